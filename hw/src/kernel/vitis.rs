//! The Vitis package of a kernel: kernel.xml, the packaging scripts, the link configuration and the wrapper.

mod link;
mod tcl;
mod wrapper;
mod xml;

pub use xml::kernel_element;

use super::Kernel;
use crate::regs::CONTRACT_VERSION;

/// Files of the package, as `(name, contents)`.
pub fn files(kernel: &Kernel) -> Vec<(String, String)> {
    vec![
        ("kernel.xml".into(), xml::file(kernel)),
        ("package_kernel.tcl".into(), tcl::package(kernel)),
        ("gen_xo.tcl".into(), tcl::gen_xo(kernel)),
        ("link.cfg".into(), link::file(kernel)),
        (format!("{}.sv", kernel.name), wrapper::file(kernel)),
    ]
}

/// Version of the packaged IP, by which hosts tell kernels of another contract.
pub fn version() -> String {
    format!("{CONTRACT_VERSION}.0")
}

/// Collects what `f` writes.
fn text(f: impl FnOnce(&mut String) -> std::fmt::Result) -> String {
    let mut s = String::new();
    // Writing to a String cannot fail.
    let _ = f(&mut s);
    s
}
