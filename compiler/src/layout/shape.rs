//! Sizes derived from the model, the configuration and the settings.

use crate::abi::reg;
use crate::error::{Error, Result};
use crate::label::Span;
use crate::spec::ModelSpec;
use accllm_hw::config::{Config, GROUP};
use accllm_hw::sizes::{Linear, Sizes};
use accllm_llm::model::{LambdaShape, MAX_VISIBLE};
use serde::{Deserialize, Serialize};

/// Choices of a compilation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Attention shape.
    pub lambda: LambdaShape,
    /// Tokens of a prefill block; `None`: the largest that fits the configuration.
    pub block: Option<usize>,
    /// Independent sequences, each with a KV cache of its own; steps of all of them where there are several.
    pub sequences: usize,
}

impl Settings {
    /// These sinks and window, the largest block that fits.
    pub fn new(n_sink: usize, n_window: usize) -> Self {
        Self { lambda: LambdaShape { n_sink, n_window }, block: None, sequences: 1 }
    }

    /// With blocks of `block` tokens.
    #[must_use]
    pub fn with_block(self, block: usize) -> Self {
        Self { block: Some(block), ..self }
    }

    /// For `sequences` independent sequences.
    #[must_use]
    pub fn with_sequences(self, sequences: usize) -> Self {
        Self { sequences, ..self }
    }
}

/// Sizes of the model as a configuration pads and divides them, and those of the configuration: what the whole layout
/// uses, and a program file holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Configuration's name.
    pub config: String,
    /// Channels.
    pub channels: usize,
    /// Token lanes.
    pub lanes: usize,
    /// Elements of a vector word.
    pub vec: usize,
    /// Sizes of the model.
    #[serde(rename = "dims")] // the name in program files
    pub sizes: Sizes,
    /// Attention shape.
    pub lambda: LambdaShape,
    /// Tokens of a block, at most.
    pub block: usize,
    /// Independent sequences.
    pub sequences: usize,
    /// Rows of one group of tokens in the buffers; a block with more than one token is two groups.
    pub half: usize,
    /// 16-bit probabilities.
    pub prob_wide: bool,
    /// Hidden size in multiples of 32.
    pub hidden: usize,
    /// MLP width in multiples of 32.
    pub ff: usize,
    /// Vocabulary in multiples of 32.
    pub vocab: usize,
    /// Padded head dimension of q and k, one of [`accllm_hw::sizes::PADDED_HEADS`].
    pub hdp: usize,
    /// Padded head dimension of V.
    pub v_dim: usize,
    /// Columns of a head in o_proj's input.
    pub hds: usize,
    /// Query heads per KV head.
    pub group: usize,
    /// Parts of q_proj, of whole KV heads: while the tiles compute one, the vector unit prepares the part before it.
    pub q_parts: usize,
    /// Slots of the sink region.
    pub sink_pad: usize,
    /// Slots of the window ring.
    pub ring: usize,
    /// K slots of one step over all channels.
    pub k_slots: usize,
    /// The model's different leading RoPE pairs; with layers without rotation the last is `UNROTATED`.
    pub leads: Vec<u8>,
    /// Equal groups of KV heads; in a layer, those of a group have the same lead.
    pub rope_groups: usize,
    /// Linears of each layer that add a bias.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub biases: Vec<Linear>,
    /// Whether query and key heads have norms.
    #[serde(default)]
    pub head_norms: bool,
}

impl Shape {
    pub(super) fn new(spec: &ModelSpec, config: &Config, settings: &Settings) -> Result<Self> {
        let d = &spec.sizes;
        let lambda = settings.lambda;
        let setting = |name, what: String, help: &str| Err(Error::Setting { name, what, help: help.into() });
        if lambda.n_window == 0 {
            return setting("n_window", "is 0".into(), "a token sees at least itself: use 1 or more");
        }
        if lambda.n_sink.saturating_add(lambda.n_window) > MAX_VISIBLE {
            let what = format!("{} sinks and a window of {}", lambda.n_sink, lambda.n_window);
            return setting("n_window", what, &format!("together they may be {MAX_VISIBLE} at most"));
        }
        let block = settings.block.unwrap_or(config.block);
        if block == 0 || block > config.block {
            let what = format!("is {block}");
            return setting("block", what, &format!("'{}' takes 1..={}", config.name, config.block));
        }
        let half = if block == 1 { 1 } else { block.div_ceil(2).next_multiple_of(config.lanes) };
        let hdp = d.padded_head();
        let unit = config.slot_block(hdp);
        let group = d.group();
        // Not where the vector unit's work on a part is too short to be worth the instructions.
        let long = d.heads * hdp >= 64 * config.vec;
        let q_parts = [4, 2].into_iter().find(|n| long && d.kv_heads.is_multiple_of(*n)).unwrap_or(1);
        let shape = Self {
            config: config.name.to_string(),
            channels: config.channels,
            lanes: config.lanes,
            vec: config.vec,
            sizes: *d,
            lambda,
            block,
            sequences: settings.sequences,
            half,
            prob_wide: spec.prob_wide,
            hidden: d.hidden.next_multiple_of(GROUP),
            ff: d.ff.next_multiple_of(GROUP),
            vocab: d.vocab.next_multiple_of(GROUP),
            hdp,
            v_dim: config.v_dim(d.head_dim),
            hds: d.head_stride(),
            group,
            q_parts,
            sink_pad: lambda.n_sink.next_multiple_of(unit),
            ring: (lambda.n_window + block - 1).next_multiple_of(unit),
            k_slots: config.channels * config.tokens_per_beat(hdp),
            leads: spec.leads.clone(),
            rope_groups: spec.rope_groups,
            biases: spec.biases.clone(),
            head_norms: spec.layers.iter().any(|l| l.consts.head_norms.is_some()),
        };
        let rows = half * group * if spec.prob_wide { 2 } else { 1 };
        let help = if block == 1 {
            "take a configuration with more lane_rows".to_string()
        } else {
            format!("use a block of {} or less", (2 * (half * config.lane_rows / rows)).max(1))
        };
        super::too_small(&shape, "accumulators", "lane rows", rows, config.lane_rows, &help)?;
        shape.check_sequences()?;
        Ok(shape)
    }

    /// Each sequence is a token of a group: its row, and where its query rows begin, lie in the buffers.
    fn check_sequences(&self) -> Result<()> {
        let most = reg::BATCH_OF.len().min((self.half - 1) / self.row_stride() + 1);
        if (1..=most).contains(&self.sequences) {
            return Ok(());
        }
        Err(Error::Setting {
            name: "sequences",
            what: format!("is {}", self.sequences),
            help: format!("'{}' with blocks of {} takes 1..={most}", self.config, self.block),
        })
    }

    /// Tokens from sequence to sequence in the buffers of query codes: each begins an activation word.
    pub fn row_stride(&self) -> usize {
        let (mut a, mut b) = (self.lanes, self.group);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        self.lanes / a
    }

    /// Rows of tokens in buffers that hold both groups.
    pub fn token_rows(&self) -> usize {
        if self.block == 1 { 1 } else { 2 * self.half }
    }

    /// Row of a token (an index in a step of `tokens`) in buffers that hold both groups: the second group begins at
    /// row `half` ([`Span`]).
    pub fn row_of(&self, token: usize, tokens: usize) -> usize {
        match token.checked_sub(Span::Second.of(tokens).start) {
            Some(behind) => self.half + behind,
            None => token,
        }
    }

    /// Rows of q in its padded layout.
    pub fn q_rows(&self) -> usize {
        self.sizes.heads * self.hdp
    }

    /// Rows of k in its padded layout.
    pub fn k_rows(&self) -> usize {
        self.sizes.kv_heads * self.hdp
    }

    /// Rows of v in its padded layout.
    pub fn v_rows(&self) -> usize {
        self.sizes.kv_heads * self.v_dim
    }

    /// Output rows of a linear layer, as laid out (a multiple of the channels).
    pub fn rows(&self, linear: Linear) -> usize {
        match linear {
            Linear::Q => self.q_rows(),
            Linear::K => self.k_rows(),
            Linear::V => self.v_rows(),
            Linear::O | Linear::Down => self.hidden,
            Linear::Gate | Linear::Up => self.ff,
            Linear::Head => self.vocab,
        }
    }

    /// Columns of a linear layer in the quantized model (a multiple of 32).
    pub fn cols(&self, linear: Linear) -> usize {
        match linear {
            Linear::O => self.sizes.heads * self.hds,
            Linear::Down => self.ff,
            _ => self.hidden,
        }
    }

    /// Slots of a KV head: sinks and window.
    pub fn slots(&self) -> usize {
        self.sink_pad + self.ring
    }

    /// Lane-row steps of `rows` lane rows.
    pub fn steps(&self, rows: usize) -> usize {
        rows.div_ceil(self.lanes)
    }

    /// Elements that the bias of a linear takes: its rows, in whole groups.
    pub fn bias_rows(&self, linear: Linear) -> usize {
        self.rows(linear).next_multiple_of(GROUP)
    }

    /// Elements of a layer's biases before that of `linear`; of all of them where it has none.
    pub fn biases_before(&self, linear: Linear) -> usize {
        self.biases.iter().take_while(|l| **l != linear).map(|l| self.bias_rows(*l)).sum()
    }

    /// Elements of the biases that are in vector memory at a time.
    pub fn bias_room(&self) -> usize {
        let together = [
            &[Linear::Q, Linear::K, Linear::V][..],
            &[Linear::O],
            &[Linear::Gate, Linear::Up],
            &[Linear::Down],
        ];
        let rows = |linears: &&[Linear]| {
            linears.iter().filter(|l| self.has_bias(**l)).map(|l| self.bias_rows(*l)).sum()
        };
        together.iter().map(rows).max().unwrap_or(0)
    }

    /// Whether a linear adds a bias.
    pub fn has_bias(&self, linear: Linear) -> bool {
        self.biases.contains(&linear)
    }

    /// Whether leading RoPE pairs differ, or only some layers rotate, so that each layer gathers the RoPE rows of its heads.
    pub fn led(&self) -> bool {
        self.leads.len() > 1
    }

    /// For each group of KV heads the index of its lead; padded.
    pub fn lead_ids(&self) -> usize {
        if self.led() { self.rope_groups.next_multiple_of(GROUP) } else { 0 }
    }

    /// Elements of the gains of the norms of heads, laid out as a head: of queries, then of keys.
    pub fn head_gains(&self) -> usize {
        if self.head_norms { 2 * self.hdp } else { 0 }
    }

    /// Elements after a layer's norm constants: indices of leads, then gains of the norms of heads.
    pub fn after_norms(&self) -> usize {
        self.lead_ids() + self.head_gains()
    }

    /// RoPE elements of a token and lead: cos and sin for the window, and again for the sinks where there are any.
    pub fn rope_row(&self) -> usize {
        if self.lambda.n_sink == 0 { self.hdp } else { 2 * self.hdp }
    }

    /// Rotated query heads of a token, elements: window, and again for the sinks where there are any.
    pub fn q_rot_row(&self) -> usize {
        if self.lambda.n_sink == 0 { self.q_rows() } else { 2 * self.q_rows() }
    }
}
