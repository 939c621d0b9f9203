//! Handles of XRT that free themselves.

use super::api::{Api, Handle, card_name};
use crate::{Error, Result};
use std::ffi::CString;
use std::io;

/// Why XRT refused, as far as it says: it writes more on standard error.
pub fn refused(what: impl std::fmt::Display) -> Error {
    Error::Xrt(format!("XRT cannot {what}: {}", io::Error::last_os_error()))
}

fn text(what: &str) -> Result<CString> {
    CString::new(what).map_err(|_| Error::Argument(format!("'{what}' holds a zero byte")))
}

/// An open device.
pub struct Device {
    api: &'static Api,
    handle: Handle,
}

impl Device {
    /// Opens a device: a number is an index, anything else a PCIe address.
    pub fn open(api: &'static Api, card: &str) -> Result<Self> {
        // SAFETY: the functions take an index, and a C string that lives during the call.
        let handle = match card.parse() {
            Ok(index) => unsafe { (api.device_open)(index) },
            Err(_) => unsafe { (api.device_open_bdf)(text(card)?.as_ptr()) },
        };
        if handle.is_null() {
            return Err(refused(format!("open card '{card}'")));
        }
        Ok(Self { api, handle })
    }

    /// The card's name.
    pub fn name(&self) -> Option<String> {
        // SAFETY: the device is open.
        unsafe { card_name((self.api.shim)(self.handle)) }
    }

    /// Loads an xclbin; returns its identifier.
    pub fn load(&self, xclbin: &[u8], name: &str) -> Result<[u8; 16]> {
        // XRT reads 64-bit fields.
        let mut aligned = vec![0u64; xclbin.len().div_ceil(8)];
        for (word, bytes) in aligned.iter_mut().zip(xclbin.chunks(8)) {
            *word = bytes.iter().rev().fold(0, |v, b| v << 8 | u64::from(*b));
        }
        let mut id = [0; 16];
        // SAFETY: the length of the contents was checked against the header by the caller's parser; `id` is 16 bytes.
        let (loaded, known) = unsafe {
            let loaded = (self.api.load_xclbin)(self.handle, aligned.as_ptr().cast());
            (loaded, if loaded == 0 { (self.api.xclbin_uuid)(self.handle, id.as_mut_ptr()) } else { 0 })
        };
        if loaded != 0 || known != 0 {
            return Err(refused(format!("load {name}")));
        }
        Ok(id)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: the handle is open and is not used after this. A failure leaves nothing to do.
        let _ = unsafe { (self.api.device_close)(self.handle) };
    }
}

/// A kernel that this process has for itself.
pub struct Kernel {
    api: &'static Api,
    handle: Handle,
}

impl Kernel {
    /// Opens the kernel `name` of the xclbin `id`.
    pub fn open(device: &Device, id: &[u8; 16], name: &str) -> Result<Self> {
        let api = device.api;
        let c_name = text(name)?;
        // SAFETY: the device is open; identifier and name live during the call.
        let handle = unsafe { (api.kernel_open)(device.handle, id.as_ptr(), c_name.as_ptr()) };
        if handle.is_null() {
            return Err(refused(format!("open kernel {name} (does another process use it?)")));
        }
        Ok(Self { api, handle })
    }

    /// Memory group of an argument.
    pub fn group(&self, arg: usize) -> Result<u32> {
        // SAFETY: the kernel is open.
        let group = unsafe { (self.api.group)(self.handle, arg as i32) };
        u32::try_from(group).map_err(|_| refused(format!("tell the memory of argument {arg}")))
    }

    /// Register offset of an argument.
    pub fn offset(&self, arg: usize) -> u32 {
        // SAFETY: the kernel is open.
        unsafe { (self.api.offset)(self.handle, arg as i32) }
    }

    /// Reads a register.
    pub fn read(&self, offset: u32) -> Result<u32> {
        let mut value = 0;
        // SAFETY: the kernel is open; `value` lives during the call.
        match unsafe { (self.api.read)(self.handle, offset, &raw mut value) } {
            0 => Ok(value),
            _ => Err(refused(format!("read register {offset:#05x}"))),
        }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        // SAFETY: as in `Device::drop`.
        let _ = unsafe { (self.api.kernel_close)(self.handle) };
    }
}

/// Which way a buffer is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the card.
    ToCard = 0,
    /// From the card.
    FromCard = 1,
}

/// A buffer on the card with its memory on the host.
pub struct Buffer {
    api: &'static Api,
    handle: Handle,
    map: *mut u8,
    len: usize,
}

impl Buffer {
    /// Allocates `len` bytes (not 0) in a memory group. `what` and `memory` are for messages.
    pub fn new(device: &Device, len: usize, group: u32, what: &str, memory: &str) -> Result<Self> {
        let api = device.api;
        // SAFETY: the device is open.
        let handle = unsafe { (api.bo_alloc)(device.handle, len, 0, group) };
        if handle.is_null() {
            return Err(refused(format!("allocate {len} bytes for {what} in {memory}")));
        }
        let mut buffer = Self { api, handle, map: std::ptr::null_mut(), len };
        // SAFETY: the buffer exists.
        buffer.map = unsafe { (api.bo_map)(handle) }.cast();
        if buffer.map.is_null() {
            return Err(refused(format!("map the buffer for {what}")));
        }
        Ok(buffer)
    }

    /// Address on the card.
    pub fn address(&self) -> u64 {
        // SAFETY: the buffer exists.
        unsafe { (self.api.bo_address)(self.handle) }
    }

    /// The host's memory.
    pub fn map(&self) -> Map {
        Map { at: self.map, len: self.len }
    }

    /// Moves a part of the buffer.
    pub fn sync(&mut self, way: Way, offset: usize, len: usize) -> Result<()> {
        if offset > self.len || len > self.len - offset {
            let what = format!("{len} bytes at {offset:#x} lie outside a buffer of {}", self.len);
            return Err(Error::Argument(what));
        }
        // SAFETY: the buffer exists; the caller keeps to its size.
        match unsafe { (self.api.bo_sync)(self.handle, way as i32, len, offset) } {
            0 => Ok(()),
            _ => Err(refused(format!("move {len} bytes at {offset:#x} of a buffer ({way:?})"))),
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: as in `Device::drop`; the map is not used after this.
        let _ = unsafe { (self.api.bo_free)(self.handle) };
    }
}

/// The host's memory of a buffer. It may be used on another thread than the buffer's, but only between the calls made
/// there, and not after the buffer is freed: `Xrt` sees to both.
pub struct Map {
    at: *mut u8,
    len: usize,
}

// SAFETY: plain memory; see the type's rule.
unsafe impl Send for Map {}

impl Map {
    /// The bytes.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: XRT maps the whole buffer until it is freed, and touches it in `Buffer::sync` only.
        unsafe { std::slice::from_raw_parts_mut(self.at, self.len) }
    }
}

/// States of a run, `enum ert_cmd_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Not finished.
    Going,
    /// Finished.
    Completed,
    /// XRT gave it up; the number of its state.
    Failed(i32),
}

/// An execution of a kernel, to be started many times.
pub struct Run {
    api: &'static Api,
    handle: Handle,
}

impl Run {
    /// A run of a kernel.
    pub fn new(kernel: &Kernel) -> Result<Self> {
        let api = kernel.api;
        // SAFETY: the kernel is open.
        let handle = unsafe { (api.run_open)(kernel.handle) };
        if handle.is_null() {
            return Err(refused("make a run of the kernel"));
        }
        Ok(Self { api, handle })
    }

    /// Sets a 32-bit argument.
    pub fn set(&mut self, arg: usize, value: u32) -> Result<()> {
        // SAFETY: the run exists; a scalar argument takes an unsigned int.
        match unsafe { (self.api.run_set)(self.handle, arg as i32, value) } {
            0 => Ok(()),
            _ => Err(refused(format!("set argument {arg}"))),
        }
    }

    /// Sets a pointer argument to a buffer.
    pub fn set_buffer(&mut self, arg: usize, buffer: &Buffer) -> Result<()> {
        // SAFETY: the run and the buffer exist; a pointer argument takes a buffer's handle.
        match unsafe { (self.api.run_set)(self.handle, arg as i32, buffer.handle) } {
            0 => Ok(()),
            _ => Err(refused(format!("set argument {arg} to a buffer"))),
        }
    }

    /// Starts it.
    pub fn start(&mut self) -> Result<()> {
        // SAFETY: the run exists.
        match unsafe { (self.api.run_start)(self.handle) } {
            0 => Ok(()),
            _ => Err(refused("start the kernel")),
        }
    }

    /// Its state. Does not wait: in emulation XRT's own waiting has no time limit.
    pub fn state(&mut self) -> RunState {
        // SAFETY: the run exists.
        let state = unsafe { (self.api.run_state)(self.handle) };
        match state {
            // new, queued, running, submitted
            1 | 2 | 3 | 7 => return RunState::Going,
            _ => {}
        }
        // XRT lets a run be started again once it was waited for, which ends at once now.
        // SAFETY: as above.
        match unsafe { (self.api.run_wait)(self.handle, 1) } {
            4 => RunState::Completed,
            other => RunState::Failed(other),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // SAFETY: as in `Device::drop`.
        let _ = unsafe { (self.api.run_close)(self.handle) };
    }
}
