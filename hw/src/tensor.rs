//! The tensors of docs/numerics.md, which the executions of a model compare.

use serde::{Deserialize, Serialize};

/// A tensor of one token (and of one head where it says so), with its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tensor {
    /// Residual stream after the embedding, `[hidden]`.
    Embed,
    /// Attention norm output (int8), `[hidden]`.
    AttnIn,
    /// Key projection, `[kv_heads * head_dim]`, checkpoint order.
    K,
    /// Query projection, `[heads * head_dim]`, checkpoint order.
    Q,
    /// Value projection, `[kv_heads * head_dim]`, checkpoint order.
    V,
    /// Rotated key, per KV head, `[hdp]`.
    KRot,
    /// Key step, per KV head, one value.
    KScale,
    /// Key base, per KV head, one value.
    KBase,
    /// Key codes, per KV head, `[hdp]`.
    KCodes,
    /// Value codes, per KV head, `[head_dim]`.
    VCodes,
    /// Rotated query at the token's position, per query head, `[hdp]`.
    QWin,
    /// Rotated query at the sink ceiling, per query head, `[hdp]`.
    QSink,
    /// Query step at the token's position, per query head, one value.
    QScaleWin,
    /// Query step at the sink ceiling, per query head, one value.
    QScaleSink,
    /// Codes of `q_win`, per query head, `[hdp]`.
    Q8Win,
    /// Codes of `q_sink`, per query head, `[hdp]`.
    Q8Sink,
    /// Sum of the codes of `q_win`, per query head, one value.
    QSumWin,
    /// Sum of the codes of `q_sink`, per query head, one value.
    QSumSink,
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
    /// Token with the largest logit, one value.
    Argmax,
}

impl Tensor {
    /// All tensors in the order in which they are computed.
    pub const ALL: [Self; 35] = [
        Self::Embed,
        Self::AttnIn,
        Self::K,
        Self::Q,
        Self::V,
        Self::KRot,
        Self::KScale,
        Self::KBase,
        Self::KCodes,
        Self::VCodes,
        Self::QWin,
        Self::QSink,
        Self::QScaleWin,
        Self::QScaleSink,
        Self::Q8Win,
        Self::Q8Sink,
        Self::QSumWin,
        Self::QSumSink,
        Self::Score,
        Self::Prob,
        Self::ProbSum,
        Self::AttnAcc,
        Self::AttnO8,
        Self::AttnOut,
        Self::ResidAttn,
        Self::MlpIn,
        Self::Gate,
        Self::Up,
        Self::MlpH,
        Self::MlpHExp,
        Self::MlpOut,
        Self::Resid,
        Self::HeadIn,
        Self::Logits,
        Self::Argmax,
    ];

    /// Name in docs/numerics.md; steps and sums of queries say for which query.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embed => "embed",
            Self::AttnIn => "attn_in",
            Self::K => "k",
            Self::Q => "q",
            Self::V => "v",
            Self::KRot => "k_rot",
            Self::KScale => "k_scale",
            Self::KBase => "k_base",
            Self::KCodes => "k_codes",
            Self::VCodes => "v_codes",
            Self::QWin => "q_win",
            Self::QSink => "q_sink",
            Self::QScaleWin => "q_scale (window)",
            Self::QScaleSink => "q_scale (sink)",
            Self::Q8Win => "q8_win",
            Self::Q8Sink => "q8_sink",
            Self::QSumWin => "q_sum (window)",
            Self::QSumSink => "q_sum (sink)",
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
            Self::Argmax => "argmax",
        }
    }
}
