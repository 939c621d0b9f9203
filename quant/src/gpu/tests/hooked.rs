//! A device that tells what is asked of it.

use crate::gpu::device::{Arg, Device, Grid, Product, Ptr};
use crate::gpu::group::{Exchange, Piece, Seat};
use accllm_llm::Result;

/// What is done besides.
pub(super) trait Hook {
    fn launch(&self, _kernel: &'static str, _arguments: &[Arg], work: &dyn Fn() -> Result<()>) -> Result<()> {
        work()
    }
    fn multiply(&self, _product: &Product, work: &dyn Fn() -> Result<()>) -> Result<()> {
        work()
    }
    /// Bytes that are said to be free.
    fn free(&self, bytes: usize) -> usize {
        bytes
    }
}

/// Hands all on to another device. Steps are not recorded.
pub(super) struct Hooked<'a, H> {
    pub inner: &'a dyn Device,
    pub hook: H,
}

impl<H: Hook> Device for Hooked<'_, H> {
    fn name(&self) -> String {
        self.inner.name()
    }
    fn free_bytes(&self) -> Result<usize> {
        self.inner.free_bytes().map(|bytes| self.hook.free(bytes))
    }
    fn alloc(&self, bytes: usize) -> Result<Ptr> {
        self.inner.alloc(bytes)
    }
    fn release(&self, at: Ptr) -> Result<()> {
        self.inner.release(at)
    }
    fn zero(&self, at: Ptr, bytes: usize) -> Result<()> {
        self.inner.zero(at, bytes)
    }
    fn upload(&self, to: Ptr, data: &[u8]) -> Result<()> {
        self.inner.upload(to, data)
    }
    fn download(&self, from: Ptr, data: &mut [u8]) -> Result<()> {
        self.inner.download(from, data)
    }
    fn launch(&self, kernel: &'static str, grid: Grid, arguments: &[Arg]) -> Result<()> {
        self.hook.launch(kernel, arguments, &|| self.inner.launch(kernel, grid, arguments))
    }
    fn multiply(&self, product: &Product) -> Result<()> {
        self.hook.multiply(product, &|| self.inner.multiply(product))
    }
    fn record(&self) -> Result<()> {
        Ok(())
    }
    fn recorded(&self) -> Result<Option<usize>> {
        Ok(None)
    }
    fn replay(&self, graph: usize) -> Result<()> {
        self.inner.replay(graph)
    }
    fn seat(&self) -> &Seat {
        self.inner.seat()
    }
    fn exchange(&self, how: Exchange, pieces: &[Piece]) -> Result<()> {
        self.inner.exchange(how, pieces)
    }
}
