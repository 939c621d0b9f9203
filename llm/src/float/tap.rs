//! Points of the float forward pass that can be observed or edited.

/// A named tensor of the forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    /// Residual stream entering the layer, `[tokens, hidden]`.
    LayerIn,
    /// Output of the attention norm, input of q/k/v, `[tokens, hidden]`.
    AttnNorm,
    /// Queries after RoPE, `[tokens, heads * head_dim]`.
    Query,
    /// Keys after RoPE, `[tokens, kv_heads * head_dim]`.
    Key,
    /// Values, `[tokens, kv_heads * head_dim]`.
    Value,
    /// Input of the output projection, `[tokens, heads * head_dim]`.
    AttnOut,
    /// Residual stream after attention, `[tokens, hidden]`.
    Middle,
    /// Output of the feed-forward norm, input of gate/up, `[tokens, hidden]`.
    MlpNorm,
    /// Gate projection, `[tokens, ffn]`.
    Gate,
    /// Up projection, `[tokens, ffn]`.
    Up,
    /// `silu(gate) * up`, input of the down projection, `[tokens, ffn]`.
    DownIn,
    /// Residual stream leaving the layer, `[tokens, hidden]`.
    LayerOut,
    /// Output of the last norm, input of the head, `[tokens, hidden]`; its layer is the layer count.
    FinalNorm,
}

/// Sees every [`Site`] of every layer in order and may change the values.
pub trait Tap {
    /// `data` is `[tokens, width]`, row major.
    fn tensor(&mut self, site: Site, layer: usize, width: usize, data: &mut [f32]);
}

/// Observes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTap;

impl Tap for NoTap {
    fn tensor(&mut self, _: Site, _: usize, _: usize, _: &mut [f32]) {}
}

/// Shows a tap what follows the first tokens of each tensor.
pub struct Behind<T> {
    /// Tokens that it does not see.
    pub tokens: usize,
    /// Who sees the rest.
    pub tap: T,
}

impl<T: Tap> Tap for Behind<T> {
    fn tensor(&mut self, site: Site, layer: usize, width: usize, data: &mut [f32]) {
        self.tap.tensor(site, layer, width, data.get_mut(self.tokens * width..).unwrap_or_default());
    }
}

impl Tap for &mut dyn Tap {
    fn tensor(&mut self, site: Site, layer: usize, width: usize, data: &mut [f32]) {
        (**self).tensor(site, layer, width, data);
    }
}

impl<F: FnMut(Site, usize, usize, &mut [f32])> Tap for F {
    fn tensor(&mut self, site: Site, layer: usize, width: usize, data: &mut [f32]) {
        self(site, layer, width, data);
    }
}
