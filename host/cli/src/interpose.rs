//! Functions of the C library as XRT's hardware emulation gets them: the dynamic linker finds those of the program first
//! (`build.rs` exports them). Without emulation they do what the C library's do.

use accllm_device::xrt::{emulated, given_up};
use std::ffi::{CStr, c_char, c_uint};
use std::time::{Duration, Instant};

/// The emulation waits for its device with `sleep`: 10 s at every opening and a second at every wait, however fast the
/// device is. Here such waits are short; XRT looks again afterwards.
// SAFETY: the same type as the C library's, and, seen from a caller, the behaviour of a sleep that a signal ends.
#[unsafe(no_mangle)]
pub extern "C" fn sleep(seconds: c_uint) -> c_uint {
    let whole = Duration::from_secs(seconds.into());
    if emulated() {
        std::thread::sleep(whole.min(Duration::from_micros(200)));
        return 0;
    }
    let start = Instant::now();
    std::thread::sleep(whole);
    whole.saturating_sub(start.elapsed()).as_secs() as c_uint
}

/// A failed assertion. The emulation fails some when its device process dies, and would take the program with it; here
/// the thread stops, and whoever waits for it is told.
// SAFETY: the same type as the C library's, and like that it does not return.
#[unsafe(no_mangle)]
pub extern "C" fn __assert_fail(
    assertion: *const c_char,
    file: *const c_char,
    line: c_uint,
    function: *const c_char,
) -> ! {
    let text = |s: *const c_char| match s.is_null() {
        true => "?".into(),
        // SAFETY: the compiler passes C strings, or null.
        false => unsafe { CStr::from_ptr(s) }.to_string_lossy(),
    };
    let what = format!("{}:{line}: {}: assertion `{}` failed", text(file), text(function), text(assertion));
    if emulated() {
        given_up(&format!("XRT's emulation failed: {what}"));
        loop {
            std::thread::park();
        }
    }
    eprintln!("{what}");
    std::process::abort()
}

/// Keeps the functions in the program: the linker would drop what nothing in it calls.
#[used]
static KEPT: (
    extern "C" fn(c_uint) -> c_uint,
    extern "C" fn(*const c_char, *const c_char, c_uint, *const c_char) -> !,
) = (sleep, __assert_fail);
