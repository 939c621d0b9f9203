//! The tensors of `docs/numerics.md` that can be observed and compared.

use accllm_hw::tensor::Tensor;

/// Where a tensor was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Which tensor.
    pub tensor: Tensor,
    /// Layer; `None` before the first and after the last.
    pub layer: Option<usize>,
    /// Position of the token in the session.
    pub token: u64,
    /// Query or KV head, for tensors that are per head.
    pub head: Option<usize>,
}

/// Sees every tensor. Within a session step calls come layer by layer, tensor by tensor, token by token,
/// except that attention's per-head tensors of one token come together.
pub trait IntTap {
    /// False when nothing is to be observed; the model then skips the copies.
    fn active(&self) -> bool {
        true
    }
    /// One tensor of one token (and head).
    fn tensor(&mut self, at: At, data: &[i32]);
}

/// Observes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoIntTap;

impl IntTap for NoIntTap {
    fn active(&self) -> bool {
        false
    }
    fn tensor(&mut self, _: At, _: &[i32]) {}
}

impl<F: FnMut(At, &[i32])> IntTap for F {
    fn tensor(&mut self, at: At, data: &[i32]) {
        self(at, data);
    }
}
