//! Reading and writing the ports of a running model.

use super::ffi::{self, PortDesc};
use super::model::Model;

/// Which way a port goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Written by the caller.
    Input,
    /// Written by the design.
    Output,
    /// Both.
    Inout,
    /// An unpacked array, for which Verilator does not say.
    Array,
}

/// A port's name, shape and place.
#[derive(Debug)]
pub struct PortInfo {
    /// SystemVerilog name.
    pub name: String,
    /// Bits per element.
    pub bits: u32,
    /// Elements of an unpacked array (all dimensions multiplied, last index fastest), else 1.
    pub elements: u32,
    /// Which way it goes.
    pub direction: Direction,
    /// First byte of the first element.
    data: *mut u8,
    /// Bytes per element: 1, 2, 4, 8 or a multiple of 4.
    stride: usize,
    /// The valid bits of an element of at most 64 bits.
    mask: u64,
}

/// A resolved port: an index that only the model it came from accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    pub(super) index: u32,
    pub(super) serial: u32,
}

impl PortInfo {
    /// Copies a descriptor of the C++ side.
    ///
    /// # Safety
    /// The descriptor's name must be a valid C string and its data live as long as the model.
    pub(super) unsafe fn from_raw(raw: &PortDesc) -> Self {
        // SAFETY: by this function's contract.
        let name = unsafe { ffi::text(raw.name) };
        let mask = if raw.bits >= 64 { u64::MAX } else { (1 << raw.bits) - 1 };
        let stride = raw.bytes as usize / raw.elements.max(1) as usize;
        let direction = raw.direction.into();
        Self { name, bits: raw.bits, elements: raw.elements, direction, data: raw.data, stride, mask }
    }
}

impl Model {
    /// The descriptor of a port handle.
    ///
    /// # Panics
    /// When the handle came from another model.
    #[inline]
    pub fn info(&self, port: Port) -> &PortInfo {
        assert!(port.serial == self.serial, "a port handle was used on a model it does not belong to");
        &self.ports[port.index as usize]
    }

    /// Start of one element.
    #[inline]
    fn element(&self, port: Port, element: usize) -> (&PortInfo, *mut u8) {
        let info = self.info(port);
        assert!(element < info.elements as usize, "element {element} of port {} does not exist", info.name);
        // SAFETY: the element lies inside the port's storage, `stride * elements` bytes.
        (info, unsafe { info.data.add(element * info.stride) })
    }

    /// Value of a port, or the low 64 bits of a wider one.
    #[inline]
    pub fn get_u64(&self, port: Port) -> u64 {
        self.get_u64_at(port, 0)
    }

    /// Value of one element of an unpacked array port, or its low 64 bits.
    ///
    /// # Panics
    /// When the element does not exist.
    #[inline]
    pub fn get_u64_at(&self, port: Port, element: usize) -> u64 {
        let (info, data) = self.element(port, element);
        // SAFETY: Verilator stores an element of `stride` bytes as the unsigned integer of that size,
        // aligned to it; wider ones as 32-bit words. The storage lives as long as the model.
        unsafe {
            match info.stride {
                1 => u64::from(data.read()),
                2 => u64::from(data.cast::<u16>().read()),
                4 => u64::from(data.cast::<u32>().read()),
                8 if info.bits <= 64 => data.cast::<u64>().read(),
                _ => {
                    let words = data.cast::<u32>();
                    u64::from(words.read()) | u64::from(words.add(1).read()) << 32
                }
            }
        }
    }

    /// Sets a port; bits beyond its width are dropped, a wider port is filled up with zeros.
    #[inline]
    pub fn set_u64(&mut self, port: Port, value: u64) {
        self.set_u64_at(port, 0, value);
    }

    /// Sets one element of an unpacked array port.
    ///
    /// # Panics
    /// When the element does not exist.
    #[inline]
    pub fn set_u64_at(&mut self, port: Port, element: usize, value: u64) {
        let (info, data) = self.element(port, element);
        let value = value & info.mask;
        // SAFETY: as in `get_u64_at`; `&mut self` makes the access exclusive.
        unsafe {
            match info.stride {
                1 => data.write(value as u8),
                2 => data.cast::<u16>().write(value as u16),
                4 => data.cast::<u32>().write(value as u32),
                8 if info.bits <= 64 => data.cast::<u64>().write(value),
                bytes => {
                    let words = std::slice::from_raw_parts_mut(data.cast::<u32>(), bytes / 4);
                    words.fill(0);
                    words[0] = value as u32;
                    words[1] = (value >> 32) as u32;
                }
            }
        }
    }

    /// The 32-bit words of a port of more than 16 bits, least significant first.
    ///
    /// # Panics
    /// When the port is narrower or the element does not exist.
    #[inline]
    pub fn words(&self, port: Port, element: usize) -> &[u32] {
        let (info, data) = self.element(port, element);
        assert!(info.stride >= 4, "port {} is too narrow for word access; use get_u64", info.name);
        // SAFETY: an element of this size is made of `stride / 4` words (a 64-bit one is two on the
        // little-endian machines this runs on), aligned to 4, and lives as long as the model.
        unsafe { std::slice::from_raw_parts(data.cast::<u32>(), info.stride / 4) }
    }

    /// The words of [`Model::words`], writable. Bits beyond the port's width must stay zero.
    ///
    /// # Panics
    /// When the port is narrower than 17 bits or the element does not exist.
    #[inline]
    pub fn words_mut(&mut self, port: Port, element: usize) -> &mut [u32] {
        let (info, data) = self.element(port, element);
        assert!(info.stride >= 4, "port {} is too narrow for word access; use set_u64", info.name);
        // SAFETY: as in `words`; `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(data.cast::<u32>(), info.stride / 4) }
    }
}
