//! XRT's C interface, loaded when it is first used: the program starts where XRT is absent.

use crate::{Error, Result};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::ffi::{CStr, OsString, c_char, c_int, c_uint, c_void};
use std::path::PathBuf;
use std::sync::OnceLock;

/// A handle of XRT; null is none.
pub type Handle = *mut c_void;

/// Name of the library: the same in AMD's and in Debian's package.
const LIBRARY: &str = "libxrt_coreutil.so.2";

macro_rules! functions {
    ($($(#[doc = $doc:literal])+ $name:ident: $symbol:literal, $type:ty;)+) => {
        /// The functions that are used.
        pub struct Api {
            $($(#[doc = $doc])+ pub $name: $type,)+
            /// Keeps the functions loaded.
            _library: Library,
        }

        impl Api {
            /// # Safety
            /// The library must be XRT's, whose headers declare the functions with these types.
            unsafe fn resolve(library: Library) -> std::result::Result<Self, libloading::Error> {
                // SAFETY: by this function's contract; the library stays loaded as long as `Self`.
                unsafe {
                    Ok(Self {
                        $($name: *library.get::<$type>($symbol)?,)+
                        _library: library,
                    })
                }
            }
        }
    };
}

functions! {
    /// Opens a device by index.
    device_open: b"xrtDeviceOpen\0", unsafe extern "C" fn(c_uint) -> Handle;
    /// Opens a device by its PCIe address.
    device_open_bdf: b"xrtDeviceOpenByBDF\0", unsafe extern "C" fn(*const c_char) -> Handle;
    /// Closes a device.
    device_close: b"xrtDeviceClose\0", unsafe extern "C" fn(Handle) -> c_int;
    /// Loads an xclbin from memory.
    load_xclbin: b"xrtDeviceLoadXclbin\0", unsafe extern "C" fn(Handle, *const c_void) -> c_int;
    /// Identifier of the xclbin that is loaded.
    xclbin_uuid: b"xrtDeviceGetXclbinUUID\0", unsafe extern "C" fn(Handle, *mut u8) -> c_int;
    /// Handle of the shim below.
    shim: b"xrtDeviceToXclDevice\0", unsafe extern "C" fn(Handle) -> Handle;
    /// Opens a kernel for this process alone.
    kernel_open: b"xrtPLKernelOpenExclusive\0", unsafe extern "C" fn(Handle, *const u8, *const c_char) -> Handle;
    /// Closes a kernel.
    kernel_close: b"xrtKernelClose\0", unsafe extern "C" fn(Handle) -> c_int;
    /// Memory group of an argument.
    group: b"xrtKernelArgGroupId\0", unsafe extern "C" fn(Handle, c_int) -> c_int;
    /// Register offset of an argument.
    offset: b"xrtKernelArgOffset\0", unsafe extern "C" fn(Handle, c_int) -> u32;
    /// Reads a register.
    read: b"xrtKernelReadRegister\0", unsafe extern "C" fn(Handle, u32, *mut u32) -> c_int;
    /// Allocates a buffer.
    bo_alloc: b"xrtBOAlloc\0", unsafe extern "C" fn(Handle, usize, u64, u32) -> Handle;
    /// Frees a buffer.
    bo_free: b"xrtBOFree\0", unsafe extern "C" fn(Handle) -> c_int;
    /// Host memory of a buffer.
    bo_map: b"xrtBOMap\0", unsafe extern "C" fn(Handle) -> *mut c_void;
    /// Moves a part of a buffer, to the device (0) or from it (1).
    bo_sync: b"xrtBOSync\0", unsafe extern "C" fn(Handle, c_int, usize, usize) -> c_int;
    /// Address of a buffer on the card.
    bo_address: b"xrtBOAddress\0", unsafe extern "C" fn(Handle) -> u64;
    /// Makes a run.
    run_open: b"xrtRunOpen\0", unsafe extern "C" fn(Handle) -> Handle;
    /// Frees a run.
    run_close: b"xrtRunClose\0", unsafe extern "C" fn(Handle) -> c_int;
    /// Sets an argument.
    run_set: b"xrtRunSetArg\0", unsafe extern "C" fn(Handle, c_int, ...) -> c_int;
    /// Starts a run.
    run_start: b"xrtRunStart\0", unsafe extern "C" fn(Handle) -> c_int;
    /// State of a run.
    run_state: b"xrtRunState\0", unsafe extern "C" fn(Handle) -> c_int;
    /// Waits for a run, milliseconds; returns its state.
    run_wait: b"xrtRunWaitFor\0", unsafe extern "C" fn(Handle, c_uint) -> c_int;
    /// Sets a key of xrt.ini.
    ini: b"xrtIniStringSet\0", unsafe extern "C" fn(*const c_char, *const c_char) -> c_int;
}

impl Api {
    /// The library, loaded at the first call.
    ///
    /// # Errors
    /// It is not installed, or is not a version that has all functions.
    pub fn get() -> Result<&'static Self> {
        static API: OnceLock<std::result::Result<Api, String>> = OnceLock::new();
        API.get_or_init(Self::load).as_ref().map_err(|e| Error::Xrt(e.clone()))
    }

    fn load() -> std::result::Result<Self, String> {
        let mut reasons = Vec::new();
        for path in paths() {
            // SAFETY: XRT's library runs no code at loading that depends on this program's state.
            let library = match unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) } {
                Ok(library) => library,
                Err(e) => {
                    reasons.push(e.to_string());
                    continue;
                }
            };
            // SAFETY: a library of this name and version number is XRT's.
            return unsafe { Self::resolve(library) }
                .map_err(|e| format!("{} is no version of XRT that accllm can use: {e}", path.display()));
        }
        Err(format!(
            "XRT is not installed: {} (Debian: apt-get install libxrt1; for a card: AMD's xrt package; ACCLLM_XRT names \
             the library where it is elsewhere)",
            reasons.join("; ")
        ))
    }
}

/// Where the library may be.
fn paths() -> Vec<PathBuf> {
    if let Some(chosen) = std::env::var_os("ACCLLM_XRT").filter(|p| !p.is_empty()) {
        return vec![chosen.into()];
    }
    let root = std::env::var_os("XILINX_XRT").filter(|r| !r.is_empty());
    let roots = root.into_iter().chain([OsString::from("/opt/xilinx/xrt")]).map(PathBuf::from);
    let files = roots.map(|r| r.join("lib").join(LIBRARY)).filter(|f| f.is_file());
    files.chain([PathBuf::from(LIBRARY)]).collect()
}

/// Name of the card as the shim below XRT tells it, for example `xilinx_u280_gen3x16_xdma_base_1`.
///
/// # Safety
/// `shim` must be a handle from [`Api::shim`] of an open device.
pub unsafe fn card_name(shim: Handle) -> Option<String> {
    /// Larger than any version of `struct xclDeviceInfo2`, of which the first field is a magic number and the second the name.
    const INFO: usize = 16 << 10;
    const NAME: usize = 4;
    type GetInfo = unsafe extern "C" fn(Handle, *mut c_void) -> c_int;
    let mut info = vec![0u64; INFO / 8];
    // SAFETY: the shim is loaded with global symbols; XRT's header declares the function so. It fills a structure that
    // is smaller than `info`, of the same alignment.
    let done = unsafe {
        let all = Library::this();
        let get = all.get::<GetInfo>(b"xclGetDeviceInfo2\0").ok()?;
        get(shim, info.as_mut_ptr().cast())
    };
    let bytes: Vec<u8> = info.iter().flat_map(|w| w.to_le_bytes()).skip(NAME).take(256).collect();
    let name = CStr::from_bytes_until_nul(&bytes).ok()?.to_str().ok()?;
    (done == 0 && !name.is_empty()).then(|| name.to_owned())
}
