//! Exports `sleep` of the program (src/sleep.rs) to the libraries that it loads.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol=sleep");
}
