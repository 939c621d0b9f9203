//! The C interface of a model library (`sim/cpp/accllm_shim.cpp`).

use super::VerilateError;
use libloading::Library;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;

/// Must equal `ABI_VERSION` of the C++ side.
const ABI_VERSION: u32 = 1;

/// Status codes of the calls that run the model.
pub mod status {
    use std::ffi::c_int;
    /// `$error`, `$stop`, `$fatal` or an assertion.
    pub const FAILED: c_int = 1;
    /// The simulation kernel gave up.
    pub const FATAL: c_int = 2;
}

/// Opaque C++ object.
pub type Handle = *mut c_void;

/// `PortDesc` of the C++ side.
#[repr(C)]
pub struct PortDesc {
    pub name: *const c_char,
    pub data: *mut u8,
    pub bytes: u64,
    pub bits: u32,
    pub elements: u32,
    pub direction: u32,
}

macro_rules! api {
    ($($(#[$doc:meta])* $field:ident: $symbol:literal fn($($arg:ty),*) $(-> $ret:ty)?;)*) => {
        /// The entry points of one loaded library.
        pub struct Api {
            $($(#[$doc])* pub $field: unsafe extern "C" fn($($arg),*) $(-> $ret)?,)*
        }

        impl Api {
            fn resolve(library: &Library) -> Result<Self, libloading::Error> {
                // SAFETY: the signatures are those of accllm_shim.cpp, which every library that the
                // build step makes contains; `open` keeps the library loaded for ever.
                unsafe {
                    Ok(Self { $($field: *library.get(concat!($symbol, "\0").as_bytes())?,)* })
                }
            }
        }
    };
}

api! {
    abi: "accllm_abi" fn() -> u32;
    create: "accllm_create" fn() -> Handle;
    create_error: "accllm_create_error" fn() -> *const c_char;
    destroy: "accllm_destroy" fn(Handle);
    port_count: "accllm_port_count" fn(Handle) -> u32;
    ports: "accllm_ports" fn(Handle) -> *const PortDesc;
    set_clock: "accllm_set_clock" fn(Handle, u32) -> c_int;
    eval: "accllm_eval" fn(Handle) -> c_int;
    half: "accllm_half" fn(Handle, u32) -> c_int;
    cycle: "accllm_cycle" fn(Handle, u64) -> c_int;
    half_cycles: "accllm_half_cycles" fn(Handle) -> u64;
    finished: "accllm_finished" fn(Handle) -> c_int;
    failure: "accllm_failure" fn(Handle) -> *const c_char;
    clear_failure: "accllm_clear_failure" fn(Handle);
    log: "accllm_log" fn(Handle) -> *const c_char;
    clear_log: "accllm_clear_log" fn(Handle);
    trace_open: "accllm_trace_open" fn(Handle, *const c_char) -> c_int;
    trace_close: "accllm_trace_close" fn(Handle) -> c_int;
    run_final: "accllm_final" fn(Handle) -> c_int;
}

/// Loads a library and checks that it is one of ours.
pub fn open(path: &Path) -> Result<Api, VerilateError> {
    let fail = |why: String| VerilateError::Load { path: path.to_path_buf(), why };
    // SAFETY: the file was made by the build step; its initialisers only set up the Verilated runtime.
    let library = unsafe { Library::new(path) }.map_err(|e| fail(e.to_string()))?;
    let api = Api::resolve(&library).map_err(|e| fail(e.to_string()))?;
    // The runtime has thread-local destructors, so unloading it while threads live is not safe.
    std::mem::forget(library);
    // SAFETY: takes nothing, returns a constant.
    let found = unsafe { (api.abi)() };
    if found != ABI_VERSION {
        return Err(fail(format!("interface version {found}, expected {ABI_VERSION}")));
    }
    Ok(api)
}

/// Copies a C string.
///
/// # Safety
/// `text` must be null or point to a zero-terminated string that stays unchanged during the call.
pub unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: by this function's contract.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
