//! XRT's hardware emulation waits for its device with `sleep`: 10 s at every opening and a second at every wait, however
//! fast the device is. In emulation this definition, which the dynamic linker finds before the C library's, makes such
//! waits short; XRT looks again afterwards. Without emulation it sleeps as it should.

use std::ffi::c_uint;
use std::time::{Duration, Instant};

/// In place of the C library's.
// SAFETY: the same type as the C library's, and, seen from a caller, the behaviour of a sleep that a signal ends.
#[unsafe(no_mangle)]
pub extern "C" fn sleep(seconds: c_uint) -> c_uint {
    let whole = Duration::from_secs(seconds.into());
    if accllm::device::xrt::emulated() {
        std::thread::sleep(whole.min(Duration::from_micros(200)));
        return 0;
    }
    let start = Instant::now();
    std::thread::sleep(whole);
    whole.saturating_sub(start.elapsed()).as_secs() as c_uint
}
