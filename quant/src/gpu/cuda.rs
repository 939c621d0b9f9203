//! An NVIDIA card, through the driver; kernels are compiled for it by NVRTC when the program runs.

use super::device::{Arg, Device, Grid, Product, Ptr};
use super::group::{Exchange, Piece, Seat, wait_for};
use super::nccl::Nccl;
use super::products::Products;
use super::shape::{KernelShape, kernels};
use accllm_llm::{Error, Result};
use cudarc::driver::{result, sys};
use cudarc::nvrtc;
use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::{CString, c_char, c_void};

/// A card.
pub(super) struct Cuda {
    name: String,
    context: sys::CUcontext,
    seat: Seat,
    /// To the other cards of the group, where there are some.
    nccl: Option<Nccl>,
    stream: sys::CUstream,
    module: sys::CUmodule,
    functions: RefCell<HashMap<&'static str, sys::CUfunction>>,
    products: Products,
    graphs: RefCell<Vec<sys::CUgraphExec>>,
}

// SAFETY: neither the driver's handles nor those of its libraries belong to a thread; `enter` makes the context the current one
// of the thread that uses them.
unsafe impl Send for Cuda {}

/// An error of the driver.
pub(super) fn failed(e: impl std::fmt::Debug) -> Error {
    Error::Argument(format!("the card failed: {e:?}"))
}

impl Cuda {
    /// Opens the first card and compiles the kernels for a model's sizes.
    ///
    /// # Errors
    /// As for [`Cuda::group`].
    #[cfg(test)]
    pub fn open(shape: &KernelShape) -> Result<Self> {
        Self::group(shape, Some(1))?.pop().ok_or_else(|| no_card("none was opened"))
    }

    /// Opens the first `count` of the visible cards, or all of them, as a group.
    ///
    /// # Errors
    /// Driver, NVRTC, cuBLASLt or, for several cards, NCCL is not installed, there are not as many cards, or one is older than
    /// Ampere.
    pub fn group(shape: &KernelShape, count: Option<usize>) -> Result<Vec<Self>> {
        present()?;
        result::init().map_err(no_card)?;
        let visible = result::device::get_count().map_err(no_card)?.max(0) as usize;
        let count = count.unwrap_or(visible);
        if visible == 0 || visible < count {
            let s = if visible == 1 { "" } else { "s" };
            return Err(no_card(format!("{visible} card{s} visible, {} wanted", count.max(1))));
        }
        let mut kernels = HashMap::new();
        let open = |seat| Self::at(shape, seat, &mut kernels);
        let mut cards = Seat::group(count).into_iter().map(open).collect::<Result<Vec<_>>>()?;
        if count > 1 {
            cards.iter_mut().zip(Nccl::connect(count)?).for_each(|(card, nccl)| card.nccl = Some(nccl));
        }
        Ok(cards)
    }

    /// Opens the card of a seat; `kernels` are those compiled so far, by capability.
    fn at(shape: &KernelShape, seat: Seat, kernels: &mut HashMap<(i32, i32), Vec<c_char>>) -> Result<Self> {
        let device = result::device::get(seat.rank as i32).map_err(no_card)?;
        let name = result::device::get_name(device).map_err(failed)?;
        // SAFETY: the device comes from `get`, the context lives until the process ends.
        let (context, capability) = unsafe {
            let context = result::primary_ctx::retain(device).map_err(failed)?;
            result::ctx::set_current(context).map_err(failed)?;
            use sys::CUdevice_attribute::{
                CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR,
                CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
            };
            let get = |a| result::device::get_attribute(device, a).map_err(failed);
            (context, (get(MAJOR)?, get(MINOR)?))
        };
        if capability < (8, 0) {
            let (major, minor) = capability;
            return Err(no_card(format!(
                "{name} has compute capability {major}.{minor}; 8.0 or later is needed"
            )));
        }
        let stream = result::stream::create(result::stream::StreamKind::NonBlocking).map_err(failed)?;
        let image = match kernels.entry(capability) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(compile(shape, capability.0, capability.1)?),
        };
        // SAFETY: `image` is what NVRTC made for such a card.
        let module = unsafe { result::module::load_data(image.as_ptr().cast()) }.map_err(failed)?;
        Ok(Self {
            name,
            context,
            seat,
            nccl: None,
            stream,
            module,
            functions: RefCell::default(),
            products: Products::new(stream)?,
            graphs: RefCell::default(),
        })
    }

    /// Waits for all work. In a group, no longer than the other cards work too.
    fn wait(&self) -> Result<()> {
        let Some(nccl) = &self.nccl else {
            // SAFETY: the stream is ours.
            return unsafe { result::stream::synchronize(self.stream) }.map_err(failed);
        };
        let done = wait_for(&self.seat, || {
            use sys::cudaError_enum::{CUDA_ERROR_NOT_READY, CUDA_SUCCESS};
            // SAFETY: the stream is ours.
            match unsafe { sys::cuStreamQuery(self.stream) } {
                CUDA_SUCCESS => Ok(true),
                CUDA_ERROR_NOT_READY => nccl.check().map(|()| false),
                e => Err(failed(e)),
            }
        });
        done.inspect_err(|_| self.leave())
    }

    /// Before a copy: the driver may wait for it without an end, for what another card does not do.
    fn wait_in_group(&self) -> Result<()> {
        if self.nccl.is_some() { self.wait() } else { Ok(()) }
    }

    /// Leaves the group: what waits for another card ends.
    fn leave(&self) {
        let Some(nccl) = &self.nccl else { return };
        // Connections are kept as long as graphs use them.
        // SAFETY: the stream and the graphs are ours; the driver keeps a graph until it has run.
        unsafe {
            if let Ok(graph) = result::stream::end_capture(self.stream)
                && !graph.is_null()
            {
                let _ = sys::cuGraphDestroy(graph);
            }
            for exec in self.graphs.borrow_mut().drain(..) {
                let _ = sys::cuGraphExecDestroy(exec);
            }
        }
        nccl.abort();
    }

    fn function(&self, name: &'static str) -> Result<sys::CUfunction> {
        if let Some(f) = self.functions.borrow().get(name) {
            return Ok(*f);
        }
        let c_name = CString::new(name).map_err(failed)?;
        // SAFETY: the module is loaded and stays.
        let f = unsafe { result::module::get_function(self.module, c_name) }.map_err(failed)?;
        self.functions.borrow_mut().insert(name, f);
        Ok(f)
    }
}

/// Says what is missing, before the loader panics over it.
fn present() -> Result<()> {
    // SAFETY: these only try to load a library.
    let found = unsafe {
        [
            ("NVIDIA's driver (libcuda)", sys::is_culib_present()),
            ("NVRTC (libnvrtc)", nvrtc::sys::is_culib_present()),
            ("cuBLASLt (libcublasLt)", cudarc::cublaslt::sys::is_culib_present()),
        ]
    };
    match found.iter().find(|(_, found)| !found) {
        None => Ok(()),
        Some((what, _)) => Err(Error::Argument(format!(
            "--device cuda needs {what}, which is not found; docs/gpu.md says what to install, and LD_LIBRARY_PATH must name \
             the folder (or use --device cpu)"
        ))),
    }
}

fn no_card(why: impl std::fmt::Debug) -> Error {
    Error::Argument(format!("--device cuda: there is no usable card: {why:?} (or use --device cpu)"))
}

/// Machine code of the kernels.
pub(super) fn compile(shape: &KernelShape, major: i32, minor: i32) -> Result<Vec<c_char>> {
    let source = CString::new(kernels()).map_err(failed)?;
    let mut options = shape.defines();
    options.extend([format!("--gpu-architecture=compute_{major}{minor}")]);
    options.extend(["--fmad=false", "--std=c++17"].map(String::from));
    let program = nvrtc::result::create_program(&source, None).map_err(failed)?;
    // SAFETY: the program was just made, and is given up below.
    unsafe {
        let compiled = nvrtc::result::compile_program(program, &options);
        let image = match compiled {
            Ok(()) => nvrtc::result::get_ptx(program).map_err(failed),
            Err(e) => {
                let log = nvrtc::result::get_program_log(program).unwrap_or_default();
                let log: Vec<u8> = log.into_iter().map(|c| c.cast_unsigned()).collect();
                Err(Error::Argument(format!(
                    "the kernels do not compile: {e:?}\n{}",
                    String::from_utf8_lossy(&log)
                )))
            }
        };
        nvrtc::result::destroy_program(program).map_err(failed)?;
        image
    }
}

impl Drop for Cuda {
    fn drop(&mut self) {
        // After a failure nothing can be said about the connection; the process ends anyway.
        if self.seat.check().is_ok() {
            self.leave();
        }
    }
}

impl Device for Cuda {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn free_bytes(&self) -> Result<usize> {
        Ok(result::mem_get_info().map_err(failed)?.0)
    }

    fn alloc(&self, bytes: usize) -> Result<Ptr> {
        let free = self.free_bytes()?;
        // SAFETY: the memory is zeroed before it is read.
        let at = unsafe { result::malloc_sync(bytes.max(16)) }.map_err(|e| {
            let (need, free) = (bytes >> 20, free >> 20);
            Error::Argument(format!("the card has no {need} MB left ({free} MB are free): {e:?}"))
        })?;
        self.zero(Ptr(at), bytes.max(16))?;
        Ok(Ptr(at))
    }

    fn release(&self, at: Ptr) -> Result<()> {
        self.wait()?;
        // SAFETY: the address comes from `alloc`; nothing that uses it is under way.
        unsafe { result::free_sync(at.0) }.map_err(failed)
    }

    fn zero(&self, at: Ptr, bytes: usize) -> Result<()> {
        // SAFETY: callers stay within memory from `alloc`.
        unsafe { result::memset_d8_async(at.0, 0, bytes, self.stream) }.map_err(failed)
    }

    fn upload(&self, to: Ptr, data: &[u8]) -> Result<()> {
        self.wait_in_group()?;
        // SAFETY: callers stay within memory from `alloc`; pageable memory is read before the call returns or by the
        // wait below.
        unsafe { result::memcpy_htod_async(to.0, data, self.stream) }.map_err(failed)?;
        self.wait()
    }

    fn download(&self, from: Ptr, data: &mut [u8]) -> Result<()> {
        self.wait_in_group()?;
        // SAFETY: callers stay within memory from `alloc`, and the copy is waited for.
        unsafe { result::memcpy_dtoh_async(data, from.0, self.stream) }.map_err(failed)?;
        self.wait()
    }

    fn launch(&self, kernel: &'static str, grid: Grid, arguments: &[Arg]) -> Result<()> {
        let mut words: Vec<u64> = arguments.iter().map(|a| a.word()).collect();
        let mut places: Vec<*mut c_void> = words.iter_mut().map(|w| std::ptr::from_mut(w).cast()).collect();
        let [x, y, z] = grid.blocks.map(|b| b as u32);
        let (threads, shared) = (grid.threads as u32, grid.shared as u32);
        let f = self.function(kernel)?;
        // SAFETY: the arguments are those of the kernel, in its order; the driver copies them before it returns.
        unsafe { result::launch_kernel(f, (x, y, z), (threads, 1, 1), shared, self.stream, &mut places) }
            .map_err(|e| Error::Argument(format!("kernel {kernel} does not start: {e:?}")))
    }

    fn multiply(&self, product: &Product) -> Result<()> {
        self.products.run(product, &|| self.wait())
    }

    fn record(&self) -> Result<()> {
        use sys::CUstreamCaptureMode_enum::CU_STREAM_CAPTURE_MODE_RELAXED;
        // SAFETY: the stream is ours.
        unsafe { result::stream::begin_capture(self.stream, CU_STREAM_CAPTURE_MODE_RELAXED) }.map_err(failed)
    }

    fn recorded(&self) -> Result<Option<usize>> {
        let mut exec = std::ptr::null_mut();
        // SAFETY: the stream is ours; the graph is whole once capturing has ended.
        unsafe {
            let graph = result::stream::end_capture(self.stream).map_err(failed)?;
            sys::cuGraphInstantiateWithFlags(&raw mut exec, graph, 0).result().map_err(failed)?;
            sys::cuGraphDestroy(graph).result().map_err(failed)?;
        }
        self.graphs.borrow_mut().push(exec);
        Ok(Some(self.graphs.borrow().len() - 1))
    }

    fn replay(&self, graph: usize) -> Result<()> {
        let exec = self.graphs.borrow().get(graph).copied().ok_or_else(|| failed("no such graph"))?;
        // SAFETY: the graph was instantiated and stays.
        unsafe { sys::cuGraphLaunch(exec, self.stream) }.result().map_err(failed)
    }

    fn seat(&self) -> &Seat {
        &self.seat
    }

    fn enter(&self) -> Result<()> {
        // SAFETY: the context is alive.
        unsafe { result::ctx::set_current(self.context) }.map_err(failed)
    }

    /// NCCL connects cards when they first need it, and cannot be stopped then: it does so now, before anything can fail.
    fn meet(&self) -> Result<()> {
        const MOST: usize = 8 << 20;
        let at = self.alloc(4 * MOST)?;
        // Small and large exchanges go different ways.
        for count in [4, MOST] {
            let pieces: Vec<Piece> = (0..self.seat.count).map(|owner| Piece { at, count, owner }).collect();
            for how in [Exchange::Sum, Exchange::SumAtOwner, Exchange::Share] {
                self.exchange(how, &pieces)?;
            }
        }
        self.release(at)
    }

    fn exchange(&self, how: Exchange, pieces: &[Piece]) -> Result<()> {
        self.seat.check()?;
        self.nccl.as_ref().map_or(Ok(()), |nccl| nccl.exchange(how, pieces, self.stream.cast()))
    }
}
