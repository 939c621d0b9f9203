//! The tensors of `docs/numerics.md` that can be observed and compared.

/// A named tensor. Layouts are per token; heads are separate calls where [`At::head`] is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Point {
    /// Residual stream after the embedding, `[hidden]`.
    Embed,
    /// Attention norm output (int8), `[hidden]`.
    AttnIn,
    /// Query projection, `[heads * head_dim]`, checkpoint order.
    Q,
    /// Key projection, `[kv_heads * head_dim]`, checkpoint order.
    K,
    /// Value projection, `[kv_heads * head_dim]`, checkpoint order.
    V,
    /// Rotated query at the token's position, per query head, `[hdp]`.
    QWin,
    /// Rotated query at the sink ceiling, per query head, `[hdp]`.
    QSink,
    /// Rotated key, per KV head, `[hdp]`.
    KRot,
    /// Key codes, per KV head, `[hdp]`.
    KCodes,
    /// Key step, per KV head, one value.
    KScale,
    /// Key base, per KV head, one value.
    KBase,
    /// Codes of `q_win`, per query head, `[hdp]`.
    Q8Win,
    /// Codes of `q_sink`, per query head, `[hdp]`.
    Q8Sink,
    /// Query steps, per query head: window, sink.
    QScale,
    /// Sums of the query codes, per query head: window, sink.
    QSum,
    /// Value codes, per KV head, `[head_dim]`.
    VCodes,
    /// Scores of the visible tokens, per query head: sinks, then the window by position.
    Score,
    /// Probability codes, per query head, in the order of the scores.
    Prob,
    /// Their sum, per query head.
    ProbSum,
    /// `sum p * v_code`, per query head, `[head_dim]`.
    AttnAcc,
    /// Attention output codes, per query head, `[head_dim]`.
    AttnO8,
    /// Output projection, `[hidden]`.
    AttnOut,
    /// Residual stream after attention, `[hidden]`.
    ResidAttn,
    /// Feed-forward norm output (int8), `[hidden]`.
    MlpIn,
    /// Gate projection (Q.12), `[ff]`.
    Gate,
    /// Up projection, `[ff]`.
    Up,
    /// Input of the down projection: codes (int8), `[ff]`.
    MlpH,
    /// Its exponents, `[ff / 256, rounded up]`.
    MlpHExp,
    /// Down projection, `[hidden]`.
    MlpOut,
    /// Residual stream leaving the layer, `[hidden]`.
    Resid,
    /// Final norm output (int8), `[hidden]`.
    HeadIn,
    /// Logits, `[vocab]`.
    Logits,
}

impl Point {
    /// The tensor's name in `docs/numerics.md`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embed => "embed",
            Self::AttnIn => "attn_in",
            Self::Q => "q",
            Self::K => "k",
            Self::V => "v",
            Self::QWin => "q_win",
            Self::QSink => "q_sink",
            Self::KRot => "k_rot",
            Self::KCodes => "k_codes",
            Self::KScale => "k_scale",
            Self::KBase => "k_base",
            Self::Q8Win => "q8_win",
            Self::Q8Sink => "q8_sink",
            Self::QScale => "q_scale",
            Self::QSum => "q_sum",
            Self::VCodes => "v_codes",
            Self::Score => "score",
            Self::Prob => "prob",
            Self::ProbSum => "prob_sum",
            Self::AttnAcc => "attn_acc",
            Self::AttnO8 => "attn_o8",
            Self::AttnOut => "attn_out",
            Self::ResidAttn => "resid_attn",
            Self::MlpIn => "mlp_in",
            Self::Gate => "gate",
            Self::Up => "up",
            Self::MlpH => "mlp_h",
            Self::MlpHExp => "mlp_h_exp",
            Self::MlpOut => "mlp_out",
            Self::Resid => "resid",
            Self::HeadIn => "head_in",
            Self::Logits => "logits",
        }
    }
}

/// Where a tensor was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Which tensor.
    pub point: Point,
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
