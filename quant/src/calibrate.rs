//! Ranges of activations over a calibration text.

use crate::head::hadamard;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{Behind, FloatModel, Site, Tap, Window, run_layer};
use accllm_llm::perplexity::Protocol;
use accllm_llm::{Error, Result};
use rayon::prelude::*;

/// Value rows kept per layer for the choice of V's step.
const VALUE_ROWS: usize = 2048;
/// Elements of other tensors kept per layer for the choice of their step.
const KEPT: usize = 1 << 18;
/// One row in so many is kept, so that the rows come from several windows.
const KEEP_EVERY: usize = 7;

/// Statistics of a `[tokens, width]` tensor per channel.
#[derive(Clone, Debug, Default)]
pub struct Channels {
    /// Largest magnitude.
    pub max: Vec<f32>,
    /// Sum of squares.
    pub squares: Vec<f64>,
    /// Sum of the shares of each row's energy: every row counts alike. (The first tokens of a text can be a thousand
    /// times larger than all others.)
    pub shares: Vec<f64>,
    /// Sum of the logarithms of the rows' energies.
    pub log_energy: f64,
    /// Rows seen that are not zero.
    pub rows: usize,
    /// Some of the rows, whole, for inputs of linears.
    pub kept: Vec<f32>,
}

impl Channels {
    fn add(&mut self, width: usize, data: &[f32]) {
        self.max.resize(width, 0.0);
        self.squares.resize(width, 0.0);
        self.shares.resize(width, 0.0);
        for row in data.chunks_exact(width) {
            let energy = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>();
            if energy == 0.0 {
                continue;
            }
            let sums = self.squares.iter_mut().zip(&mut self.shares);
            for ((m, (sum, share)), v) in self.max.iter_mut().zip(sums).zip(row) {
                let square = f64::from(*v) * f64::from(*v);
                *m = m.max(v.abs());
                *sum += square;
                *share += square / energy;
            }
            self.log_energy += energy.ln();
            self.rows += 1;
        }
    }

    /// [`Channels::add`]; keeps some rows, as long as there are few.
    fn add_and_keep(&mut self, width: usize, data: &[f32]) {
        self.add(width, data);
        let room = (KEPT / width).saturating_sub(self.kept.len() / width) * width;
        let rows = data.chunks_exact(width).step_by(KEEP_EVERY).flatten();
        self.kept.extend(rows.take(room));
    }

    /// As if the rows of `later` had been added here.
    fn join(&mut self, later: Self) {
        let width = later.max.len();
        if width == 0 {
            return;
        }
        self.max.resize(width, 0.0);
        self.squares.resize(width, 0.0);
        self.shares.resize(width, 0.0);
        self.max.iter_mut().zip(&later.max).for_each(|(a, b)| *a = a.max(*b));
        self.squares.iter_mut().zip(&later.squares).for_each(|(a, b)| *a += b);
        self.shares.iter_mut().zip(&later.shares).for_each(|(a, b)| *a += b);
        self.log_energy += later.log_energy;
        self.rows += later.rows;
        let room = (KEPT / width).saturating_sub(self.kept.len() / width) * width;
        self.kept.extend(later.kept.into_iter().take(room));
    }

    /// Mean square per channel, over the rows that are not zero.
    pub fn mean_square(&self) -> Vec<f32> {
        self.squares.iter().map(|s| (s / self.rows.max(1) as f64) as f32).collect()
    }

    /// Mean square per channel of a typical row (mean share times geometric mean of the energy): the diagonal of the
    /// layer's Hessian.
    pub fn power(&self) -> Vec<f32> {
        let rows = self.rows.max(1) as f64;
        let typical = (self.log_energy / rows).exp();
        self.shares.iter().map(|s| (s / rows * typical) as f32).collect()
    }

    /// Largest magnitude over all channels.
    pub fn largest(&self) -> f32 {
        self.max.iter().copied().fold(0.0, f32::max)
    }
}

/// Statistics of one layer.
#[derive(Clone, Debug, Default)]
pub struct LayerStats {
    /// Input of q, k, v.
    pub attn_in: Channels,
    /// Largest norm of a RoPE pair of q, and of k.
    pub pair: [f32; 2],
    /// Largest element after the Hadamard transform of a head of q, and of k.
    pub rotated: [f32; 2],
    /// Values.
    pub value: Channels,
    /// Up to 2,048 rows of the values.
    pub value_rows: Vec<f32>,
    /// Input of o.
    pub attn_out: Channels,
    /// Input of gate and up.
    pub mlp_in: Channels,
    /// Output of up.
    pub up: Channels,
    /// Input of down.
    pub down_in: Channels,
}

impl LayerStats {
    /// As if all that `later` has seen had been seen here.
    fn join(&mut self, later: Self) {
        let larger = |a: [f32; 2], b: [f32; 2]| [a[0].max(b[0]), a[1].max(b[1])];
        (self.pair, self.rotated) = (larger(self.pair, later.pair), larger(self.rotated, later.rotated));
        let room = (VALUE_ROWS * later.value.max.len()).saturating_sub(self.value_rows.len());
        self.value_rows.extend(later.value_rows.into_iter().take(room));
        for (own, later) in [
            (&mut self.attn_in, later.attn_in),
            (&mut self.value, later.value),
            (&mut self.attn_out, later.attn_out),
            (&mut self.mlp_in, later.mlp_in),
            (&mut self.up, later.up),
            (&mut self.down_in, later.down_in),
        ] {
            own.join(later);
        }
    }
}

/// Statistics of a whole model.
#[derive(Clone, Debug, Default)]
pub struct Calibration {
    /// Per layer.
    pub layers: Vec<LayerStats>,
    /// Input of the head.
    pub head_in: Channels,
    /// Largest magnitude of the residual stream anywhere.
    pub resid: f32,
}

/// The calibration windows of `text`.
pub(crate) fn windows(text: &[u32], protocol: Protocol) -> Result<Vec<&[u32]>> {
    let window = protocol.window;
    if window < 2 {
        return Err(Error::Argument(format!(
            "a calibration window of {window} tokens is too short; use at least 2"
        )));
    }
    let whole = text.len() / window;
    let count = protocol.windows.unwrap_or(whole).min(whole);
    if count == 0 {
        return Err(Error::Argument(format!(
            "the calibration text has {} tokens, fewer than one window of {window}; give more text",
            text.len(),
        )));
    }
    Ok(text.chunks_exact(window).take(count).collect())
}

/// Windows on which ranges are measured; more tell little more.
pub(crate) const SEEN: usize = 32;

/// Runs `model` over the first 32 windows of `text` (fewer when the text is shorter, or `protocol` asks for fewer) and
/// collects ranges.
pub fn calibrate(model: &FloatModel, text: &[u32], protocol: Protocol) -> Result<Calibration> {
    calibrate_behind(model, text, protocol, 0)
}

/// [`calibrate`] without the first `prefix` tokens of each window.
pub fn calibrate_behind(
    model: &FloatModel,
    text: &[u32],
    protocol: Protocol,
    prefix: usize,
) -> Result<Calibration> {
    let mut seen = Collector::new(model);
    watch(model, text, protocol, prefix, &mut seen)?;
    seen.finish()
}

/// [`calibrate_behind`] with all windows side by side, for many cores: ranges and kept rows are the same, sums to their last bits.
pub(crate) fn ranges_behind(
    model: &FloatModel,
    text: &[u32],
    protocol: Protocol,
    prefix: usize,
) -> Result<Calibration> {
    let (c, windows) = (&model.config, windows(text, protocol)?);
    let windows = windows.get(..SEEN).unwrap_or(&windows);
    let shared = Window::new(c, protocol.window, None);
    let mut seen = Collector::new(model);
    let mut streams = windows.iter().map(|w| model.embed_tokens(w)).collect::<Result<Vec<_>>>()?;
    for (l, layer) in model.layers.iter().enumerate() {
        let layer = layer?;
        let look = |x: &mut Vec<f32>| {
            let mut part = Behind { tokens: prefix, tap: Collector::new(model) };
            run_layer(c, layer.at(l), &shared, x, &mut part);
            part.tap
        };
        let parts: Vec<Collector> = streams.par_iter_mut().map(look).collect();
        parts.into_iter().for_each(|part| seen.join(l, part));
    }
    let mut end = Behind { tokens: prefix, tap: seen };
    streams.iter().for_each(|x| {
        model.last_norm(x, &mut end);
    });
    end.tap.finish()
}

/// Shows `tap` the windows of a text on which ranges are measured, without the first `prefix` tokens of each.
pub(crate) fn watch(
    model: &FloatModel,
    text: &[u32],
    protocol: Protocol,
    prefix: usize,
    tap: &mut dyn Tap,
) -> Result<()> {
    let windows = windows(text, protocol)?;
    let windows = windows.get(..SEEN).unwrap_or(&windows);
    model.hidden_of(windows, None, &mut Behind { tokens: prefix, tap })?;
    Ok(())
}

/// A tap that gathers a [`Calibration`].
pub(crate) struct Collector {
    out: Calibration,
    config: LlamaConfig,
}

impl Collector {
    /// An empty collector.
    pub fn new(model: &FloatModel) -> Self {
        let layers = vec![LayerStats::default(); model.config.sizes.layers];
        Self { out: Calibration { layers, ..Default::default() }, config: model.config.clone() }
    }

    /// Takes what was gathered for one layer.
    pub fn take(&mut self, layer: usize) -> LayerStats {
        self.out.layers.get_mut(layer).map(std::mem::take).unwrap_or_default()
    }

    /// As if all that `later` has seen of a layer had been seen here.
    fn join(&mut self, layer: usize, mut later: Self) {
        self.out.resid = self.out.resid.max(later.out.resid);
        let stats = later.take(layer);
        if let Some(own) = self.out.layers.get_mut(layer) {
            own.join(stats);
        }
    }

    /// What was gathered; refuses a model that overflowed.
    pub fn finish(self) -> Result<Calibration> {
        match self.out.resid.is_finite() {
            true => Ok(self.out),
            false => Err(Error::Argument(
                "the model overflows on the calibration text; its weights do not form a working model".into(),
            )),
        }
    }

    /// Largest pair norm and largest Hadamard output over the heads of `data`, `group` of which have a KV head.
    fn rotation(&self, data: &[f32], layer: usize, group: usize, pair: &mut f32, rotated: &mut f32) {
        let c = &self.config;
        for (i, head) in data.chunks_exact(c.sizes.head_dim).enumerate() {
            let (a, b) = head.split_at(c.sizes.head_dim / 2);
            let lead = c.lead(layer, i / group % c.sizes.kv_heads);
            *pair = a.iter().zip(b).map(|(a, b)| a.hypot(*b)).fold(*pair, f32::max);
            *rotated = hadamard(head, lead).iter().map(|v| v.abs()).fold(*rotated, f32::max);
        }
    }
}

impl Tap for Collector {
    fn tensor(&mut self, site: Site, layer: usize, width: usize, data: &mut [f32]) {
        if matches!(site, Site::LayerIn | Site::Middle | Site::LayerOut) {
            // A NaN must not vanish in a maximum.
            for v in data.iter() {
                if v.is_nan() || v.abs() > self.out.resid {
                    self.out.resid = if v.is_nan() { f32::INFINITY } else { v.abs() };
                }
            }
            return;
        }
        if site == Site::FinalNorm {
            self.out.head_in.add_and_keep(width, data);
            return;
        }
        let mut stats = self.take(layer);
        match site {
            Site::AttnNorm => stats.attn_in.add_and_keep(width, data),
            Site::Query => {
                let group = self.config.sizes.group();
                self.rotation(data, layer, group, &mut stats.pair[0], &mut stats.rotated[0]);
            }
            Site::Key => {
                self.rotation(data, layer, 1, &mut stats.pair[1], &mut stats.rotated[1]);
            }
            Site::Value => {
                stats.value.add(width, data);
                let room = (VALUE_ROWS * width).saturating_sub(stats.value_rows.len());
                let rows = data.chunks_exact(width).step_by(KEEP_EVERY).flatten();
                stats.value_rows.extend(rows.take(room));
            }
            Site::AttnOut => stats.attn_out.add_and_keep(width, data),
            Site::MlpNorm => stats.mlp_in.add_and_keep(width, data),
            Site::Up => stats.up.add(width, data),
            Site::DownIn => stats.down_in.add_and_keep(width, data),
            _ => {}
        }
        if let Some(slot) = self.out.layers.get_mut(layer) {
            *slot = stats;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tests::{config, float_layer, random};
    use accllm_llm::float::Matrix;

    fn model() -> FloatModel {
        let c = config();
        let table = |seed| Matrix {
            rows: c.sizes.vocab,
            cols: c.sizes.hidden,
            data: random(c.sizes.vocab * c.sizes.hidden, seed),
        };
        FloatModel {
            embed: table(1),
            layers: vec![float_layer(&c), float_layer(&c)].into(),
            final_norm: vec![1.0; c.sizes.hidden],
            head: Some(table(2)),
            config: c,
        }
    }

    /// Windows side by side are seen as windows one after another, but for the last bits of sums.
    #[test]
    fn windows_side_by_side() -> Result<()> {
        let model = model();
        let mut random = fastrand::Rng::with_seed(4);
        let text: Vec<u32> = (0..5 * 24).map(|_| random.u32(0..50)).collect();
        let protocol = Protocol { window: 24, windows: None };
        for prefix in [0, 3] {
            let one = calibrate_behind(&model, &text, protocol, prefix)?;
            let all = ranges_behind(&model, &text, protocol, prefix)?;
            assert_eq!(one.resid, all.resid);
            assert_eq!((&one.head_in.max, one.head_in.rows), (&all.head_in.max, all.head_in.rows));
            for (a, b) in one.layers.iter().zip(&all.layers) {
                assert_eq!((a.pair, a.rotated, &a.value_rows), (b.pair, b.rotated, &b.value_rows));
                assert!(!a.value_rows.is_empty());
                let channels = |s: &LayerStats| {
                    [&s.attn_in, &s.value, &s.attn_out, &s.mlp_in, &s.up, &s.down_in].map(Channels::clone)
                };
                for (a, b) in channels(a).iter().zip(&channels(b)) {
                    assert_eq!((&a.max, a.rows, &a.kept), (&b.max, b.rows, &b.kept));
                    assert_eq!(a.rows, 5 * (24 - prefix));
                    for (x, y) in a.power().iter().zip(b.power()) {
                        assert!((x / y - 1.0).abs() < 1e-5, "{x} and {y}");
                    }
                }
            }
        }
        Ok(())
    }
}
