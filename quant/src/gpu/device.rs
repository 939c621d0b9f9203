//! What the training asks of a device: memory, kernels, matrix products, and whole steps kept to be run again.

use super::group::{Exchange, Piece, Seat};
use accllm_llm::Result;

/// An address on the device; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ptr(pub u64);

impl Ptr {
    /// So many bytes further.
    pub fn bytes(self, n: usize) -> Self {
        Self(self.0 + n as u64)
    }

    /// So many elements of 4 bytes further.
    pub fn f32s(self, n: usize) -> Self {
        self.bytes(4 * n)
    }

    /// So many elements of 2 bytes further.
    pub fn bf16s(self, n: usize) -> Self {
        self.bytes(2 * n)
    }
}

/// An argument of a kernel.
#[derive(Clone, Copy, Debug)]
pub(super) enum Arg {
    At(Ptr),
    Int(i32),
    Count(u64),
    Float(f32),
}

impl Arg {
    /// The value in the first bytes of a word, as a kernel reads it.
    pub fn word(self) -> u64 {
        match self {
            Self::At(p) => p.0,
            Self::Count(n) => n,
            Self::Int(n) => u64::from(n.cast_unsigned()),
            Self::Float(x) => u64::from(x.to_bits()),
        }
    }
}

impl From<Ptr> for Arg {
    fn from(p: Ptr) -> Self {
        Self::At(p)
    }
}

impl From<f32> for Arg {
    fn from(x: f32) -> Self {
        Self::Float(x)
    }
}

impl From<u64> for Arg {
    fn from(n: u64) -> Self {
        Self::Count(n)
    }
}

/// As the kernels' `int` or `u32`.
impl From<usize> for Arg {
    fn from(n: usize) -> Self {
        Self::Int((n as u32).cast_signed())
    }
}

/// How a kernel is started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub blocks: [usize; 3],
    pub threads: usize,
    /// Bytes of dynamic shared memory.
    pub shared: usize,
}

impl Grid {
    /// One thread for each of `count`.
    pub fn each(count: usize) -> Self {
        Self { blocks: [count.div_ceil(256), 1, 1], threads: 256, shared: 0 }
    }

    /// One warp for each of `count`.
    pub fn warps(count: usize) -> Self {
        Self::each(32 * count)
    }
}

/// Element type of a product's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Out {
    Bf16,
    F32,
}

/// An operand in memory, row-major bf16.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand {
    pub at: Ptr,
    /// Elements between rows.
    pub row: usize,
    /// Whether it is used transposed.
    pub transposed: bool,
    /// Elements between the matrices of a batch.
    pub stride: usize,
}

/// `out = alpha * a b + beta * with`, all row-major; `a` is `[m, k]` and `b` `[k, n]` as used, `with` and `out` are
/// `[m, n]` without gaps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    pub size: [usize; 3],
    pub a: Operand,
    pub b: Operand,
    pub alpha: f32,
    pub beta: f32,
    pub with: Ptr,
    pub out: Ptr,
    pub kind: Out,
    /// Matrices, and elements between those of `with` and `out`.
    pub batch: (usize, [usize; 2]),
}

impl Product {
    /// One product of `m x k` by `k x n`.
    pub fn new(size: [usize; 3], a: Operand, b: Operand, out: Ptr, kind: Out) -> Self {
        Self { size, a, b, alpha: 1.0, beta: 0.0, with: out, out, kind, batch: (1, [0, 0]) }
    }

    /// Added to `with`.
    pub fn onto(self, with: Ptr) -> Self {
        Self { beta: 1.0, with, ..self }
    }
}

/// A matrix without gaps between rows of `row` elements.
pub(super) fn plain(at: Ptr, row: usize) -> Operand {
    Operand { at, row, transposed: false, stride: 0 }
}

/// The transpose of such a matrix.
pub(super) fn turned(at: Ptr, row: usize) -> Operand {
    Operand { at, row, transposed: true, stride: 0 }
}

/// A device. Work is done in the order in which it was asked for.
pub(super) trait Device {
    /// Its name, for people.
    fn name(&self) -> String;
    /// Bytes that are free.
    fn free_bytes(&self) -> Result<usize>;
    /// Memory of zeros.
    fn alloc(&self, bytes: usize) -> Result<Ptr>;
    /// Gives memory back.
    fn release(&self, at: Ptr) -> Result<()>;
    fn zero(&self, at: Ptr, bytes: usize) -> Result<()>;
    fn upload(&self, to: Ptr, data: &[u8]) -> Result<()>;
    /// Waits for all work before it.
    fn download(&self, from: Ptr, data: &mut [u8]) -> Result<()>;
    fn launch(&self, kernel: &'static str, grid: Grid, arguments: &[Arg]) -> Result<()>;
    fn multiply(&self, product: &Product) -> Result<()>;
    /// Begins to keep what is asked for, instead of doing it.
    fn record(&self) -> Result<()>;
    /// What was kept, to be run with [`Device::replay`]; `None` where the device keeps nothing and it has been done.
    fn recorded(&self) -> Result<Option<usize>>;
    fn replay(&self, graph: usize) -> Result<()>;
    /// Its place among the devices that work together.
    fn seat(&self) -> &Seat;
    /// To be called first by the thread that uses it.
    fn enter(&self) -> Result<()> {
        Ok(())
    }
    /// Prepares exchanges; all devices of the group do it.
    fn meet(&self) -> Result<()> {
        Ok(())
    }
    /// An exchange with the other devices of its group.
    fn exchange(&self, how: Exchange, pieces: &[Piece]) -> Result<()>;
}

/// Memory that is given back at the end.
pub(super) struct Memory<'d> {
    device: &'d dyn Device,
    all: Vec<Ptr>,
}

impl<'d> Memory<'d> {
    pub fn new(device: &'d dyn Device) -> Self {
        Self { device, all: Vec::new() }
    }

    /// Zeros.
    pub fn bytes(&mut self, n: usize) -> Result<Ptr> {
        let at = self.device.alloc(n)?;
        self.all.push(at);
        Ok(at)
    }

    pub fn f32s(&mut self, n: usize) -> Result<Ptr> {
        self.bytes(4 * n)
    }

    pub fn bf16s(&mut self, n: usize) -> Result<Ptr> {
        self.bytes(2 * n)
    }
}

impl Drop for Memory<'_> {
    fn drop(&mut self) {
        for at in self.all.drain(..) {
            // Nothing can be done about memory that cannot be given back.
            let _ = self.device.release(at);
        }
    }
}

/// Numbers from the device.
pub(super) fn fetch<T: Number>(device: &dyn Device, from: Ptr, count: usize) -> Result<Vec<T>> {
    let mut bytes = vec![0u8; count * T::SIZE];
    device.download(from, &mut bytes)?;
    Ok(bytes.chunks_exact(T::SIZE).map(T::read).collect())
}

/// Numbers that are put on the device at a time.
const PUT: usize = 1 << 20;

/// Puts numbers on the device.
pub(super) fn put<T: Number>(device: &dyn Device, to: Ptr, data: &[T]) -> Result<()> {
    let mut bytes = vec![0u8; PUT.min(data.len()) * T::SIZE];
    for (i, part) in data.chunks(PUT).enumerate() {
        bytes.chunks_exact_mut(T::SIZE).zip(part).for_each(|(to, x)| x.write(to));
        device.upload(to.bytes(i * PUT * T::SIZE), &bytes[..part.len() * T::SIZE])?;
    }
    Ok(())
}

/// A number as the device holds it: little-endian.
pub(super) trait Number: Copy {
    const SIZE: usize;
    fn write(self, to: &mut [u8]);
    fn read(bytes: &[u8]) -> Self;
}

macro_rules! number {
    ($t:ty, $size:literal) => {
        impl Number for $t {
            const SIZE: usize = $size;
            fn write(self, to: &mut [u8]) {
                to.copy_from_slice(&self.to_le_bytes());
            }
            fn read(bytes: &[u8]) -> Self {
                let mut raw = [0u8; $size];
                raw.copy_from_slice(bytes);
                Self::from_le_bytes(raw)
            }
        }
    };
}
number!(f32, 4);
number!(u32, 4);
number!(half::bf16, 2);
