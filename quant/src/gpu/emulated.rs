//! The kernels on the CPU, compiled by a C++ compiler, for tests where there is no card.

use super::device::{Arg, Device, Grid, Operand, Out, Product, Ptr, fetch, put};
use super::group::{Exchange, Piece, Seat};
use super::shape::{KernelShape, kernels};
use accllm_llm::{Error, Result};
use half::bf16;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CString, c_char, c_void};
use std::process::Command;

type Launch = unsafe extern "C" fn(*const c_char, *const u32, u32, *mut *mut c_void) -> i32;

/// The CPU, thread by thread.
pub(super) struct Emulated {
    library: libloading::Library,
    memory: RefCell<HashMap<u64, Vec<u128>>>,
    seat: Seat,
    _folder: tempfile::TempDir,
}

impl Emulated {
    pub const NAME: &str = "kernels on the CPU";

    /// Compiles the kernels for a model's sizes; `None`, with a message, where there is no C++ compiler.
    pub fn new(shape: &KernelShape) -> Option<Self> {
        Self::group(shape, 1)?.pop()
    }

    /// The same for each of a group, whose threads have kernels of their own.
    pub fn group(shape: &KernelShape, count: usize) -> Option<Vec<Self>> {
        Seat::group(count).into_iter().map(|seat| Self::at(shape, seat)).collect()
    }

    fn at(shape: &KernelShape, seat: Seat) -> Option<Self> {
        let folder = tempfile::tempdir().ok()?;
        let (source, library) = (folder.path().join("kernels.cpp"), folder.path().join("kernels.so"));
        let text = [include_str!("kernels/on_cpu.h"), &kernels(), include_str!("kernels/on_cpu_entries.h")];
        std::fs::write(&source, text.concat()).ok()?;
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
        let flags =
            ["-std=c++17", "-O1", "-ffp-contract=off", "-fPIC", "-shared", "-Wl,-Bsymbolic", "-w", "-o"];
        let built =
            Command::new(&compiler).args(shape.defines()).args(flags).arg(&library).arg(&source).output();
        match built {
            Err(e) => {
                eprintln!("skipped: {compiler} cannot be run: {e}");
                None
            }
            Ok(out) => {
                assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
                // SAFETY: the library was just made from our own source; it runs nothing when it is loaded.
                let library = unsafe { libloading::Library::new(&library) }.ok()?;
                Some(Self { library, memory: RefCell::default(), seat, _folder: folder })
            }
        }
    }

    fn read(at: Ptr, n: usize) -> f32 {
        // SAFETY: tests multiply matrices that lie in memory they got from `alloc`.
        unsafe { *(at.bf16s(n).0 as *const bf16) }.to_f32()
    }

    fn matrix(o: Operand, i: usize, [rows, cols]: [usize; 2]) -> Vec<f32> {
        let at = o.at.bf16s(i * o.stride);
        let element =
            |r, c| if o.transposed { Self::read(at, c * o.row + r) } else { Self::read(at, r * o.row + c) };
        (0..rows * cols).map(|i| element(i / cols, i % cols)).collect()
    }
}

impl Device for Emulated {
    fn name(&self) -> String {
        Self::NAME.into()
    }

    fn free_bytes(&self) -> Result<usize> {
        Ok(1 << 30)
    }

    fn alloc(&self, bytes: usize) -> Result<Ptr> {
        let data = vec![0u128; bytes.div_ceil(16).max(1)];
        let at = data.as_ptr() as u64;
        self.memory.borrow_mut().insert(at, data);
        Ok(Ptr(at))
    }

    fn release(&self, at: Ptr) -> Result<()> {
        self.memory.borrow_mut().remove(&at.0);
        Ok(())
    }

    fn zero(&self, at: Ptr, bytes: usize) -> Result<()> {
        self.upload(at, &vec![0; bytes])
    }

    fn upload(&self, to: Ptr, data: &[u8]) -> Result<()> {
        // SAFETY: `to` lies in memory that `alloc` gave, with room for the data.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), to.0 as *mut u8, data.len()) };
        Ok(())
    }

    fn download(&self, from: Ptr, data: &mut [u8]) -> Result<()> {
        // SAFETY: `from` lies in memory that `alloc` gave, with so much room from there on.
        unsafe { std::ptr::copy_nonoverlapping(from.0 as *const u8, data.as_mut_ptr(), data.len()) };
        Ok(())
    }

    fn launch(&self, kernel: &'static str, grid: Grid, arguments: &[Arg]) -> Result<()> {
        let mut words: Vec<u64> = arguments.iter().map(|a| a.word()).collect();
        let mut places: Vec<*mut c_void> = words.iter_mut().map(|w| std::ptr::from_mut(w).cast()).collect();
        let name = CString::new(kernel).map_err(|e| Error::Argument(e.to_string()))?;
        let blocks = grid.blocks.map(|b| b as u32);
        // SAFETY: the function has this signature; arguments are those of the kernel, in its order.
        let unknown = unsafe {
            let launch: libloading::Symbol<'_, Launch> =
                self.library.get(b"launch").map_err(|e| Error::Argument(e.to_string()))?;
            launch(name.as_ptr(), blocks.as_ptr(), grid.threads as u32, places.as_mut_ptr())
        };
        if unknown != 0 { Err(Error::Argument(format!("there is no kernel {kernel}"))) } else { Ok(()) }
    }

    fn multiply(&self, p: &Product) -> Result<()> {
        let [m, k, n] = p.size;
        for i in 0..p.batch.0 {
            let (a, b) = (Self::matrix(p.a, i, [m, k]), Self::matrix(p.b, i, [k, n]));
            let size = if p.kind == Out::F32 { 4 } else { 2 };
            let [with, out] = [(p.with, p.batch.1[0]), (p.out, p.batch.1[1])]
                .map(|(at, stride)| at.bytes(i * stride * size));
            let mut row = vec![0.0f32; n];
            for r in 0..m {
                row.fill(0.0);
                for (x, b) in a[r * k..(r + 1) * k].iter().zip(b.chunks_exact(n)) {
                    row.iter_mut().zip(b).for_each(|(y, b)| *y += x * b);
                }
                for (c, y) in row.iter().enumerate() {
                    let (with, out) = (with.bytes((r * n + c) * size), out.bytes((r * n + c) * size));
                    // SAFETY: both lie in memory that `alloc` gave.
                    unsafe {
                        let old = |at: Ptr| match p.kind {
                            Out::F32 => *(at.0 as *const f32),
                            Out::Bf16 => (*(at.0 as *const bf16)).to_f32(),
                        };
                        let y = p.alpha * y + if p.beta == 0.0 { 0.0 } else { p.beta * old(with) };
                        match p.kind {
                            Out::F32 => *(out.0 as *mut f32) = y,
                            Out::Bf16 => *(out.0 as *mut bf16) = bf16::from_f32(y),
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn record(&self) -> Result<()> {
        Ok(())
    }

    fn recorded(&self) -> Result<Option<usize>> {
        Ok(None)
    }

    fn replay(&self, _: usize) -> Result<()> {
        Err(Error::Argument("nothing is kept on the CPU".into()))
    }

    fn seat(&self) -> &Seat {
        &self.seat
    }

    /// By way of the host; sums in the order of the devices.
    fn exchange(&self, how: Exchange, pieces: &[Piece]) -> Result<()> {
        if self.seat.count == 1 {
            return Ok(());
        }
        for piece in pieces {
            let mine: Vec<f32> = fetch(self, piece.at, piece.count)?;
            let all = self.seat.gather(mine.into_iter().map(f64::from).collect())?;
            let column = |i: usize| all.iter().map(move |numbers| numbers[i] as f32);
            let (here, owner) = (self.seat.rank == piece.owner, piece.owner);
            let new: Vec<f32> = match how {
                Exchange::SumAtOwner if !here => continue,
                Exchange::Share => (0..piece.count).map(|i| all[owner][i] as f32).collect(),
                Exchange::Sum | Exchange::SumAtOwner => (0..piece.count).map(|i| column(i).sum()).collect(),
            };
            put(self, piece.at, &new)?;
        }
        Ok(())
    }
}
