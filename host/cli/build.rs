//! Exports functions of the program (src/interpose.rs) to the libraries that it loads.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for name in ["sleep", "__assert_fail"] {
        println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol={name}");
    }
}
