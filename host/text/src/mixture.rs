//! Mixed weight formats: what each costs each linear, and the assignment that does least damage under a budget.

use crate::{Error, Result};
use accllm_compiler::image::ModelSource as _;
use accllm_compiler::synthetic::Synthetic;
use accllm_compiler::{Layout, Settings};
use accllm_device::progress::Progress;
use accllm_hw::config::Config;
use accllm_hw::sizes::{Linear, Sizes};
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::FloatModel;
use accllm_llm::model::WeightFormat;
use accllm_llm::perplexity::Protocol;
use accllm_quant::quantize::{Candidate, Damage, FORMATS, assign_formats, default_lambda, sensitivity};
use accllm_sim::memory::{MemoryKind, sequential};
use std::path::Path;

/// Tokens on which each linear is fitted to measure the damage.
const FITTED: usize = 4096;
/// Windows after those, where the text has so many, on which predictions are compared for that.
const COMPARED: usize = 4;
/// Tokens of each.
const OF_EACH: usize = 256;

/// What limits a mixture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// Bits a weight of the layers' linears, scales included: 2.0 to 4.5.
    Bits(f64),
    /// Tokens a second of decoding on a configuration, as far as its memory decides: the beats of weights, head and the
    /// whole KV cache, at the rate of the HBM2 model.
    Speed(f64, Config),
}

/// What the formats cost: `[linear][format]` of every layer, and what all layers may cost together.
pub struct Costs {
    each: [[f64; 3]; 7],
    most: f64,
}

impl Costs {
    /// Of a model's linears.
    ///
    /// # Errors
    /// Even the cheapest formats do not fit the budget; the model does not fit the configuration.
    pub fn new(c: &LlamaConfig, budget: Budget) -> Result<Self> {
        match budget {
            Budget::Bits(bits) => bit_costs(c, bits),
            Budget::Speed(tokens_per_s, config) => beat_costs(c, tokens_per_s, &config),
        }
    }
}

/// What each format of each linear does to the predictions on `text`, which is cut into windows. It is kept in `work`.
///
/// # Errors
/// The text is shorter than a window; the model cannot be computed on these tokens; `work` cannot be written.
pub fn measured(
    float: &FloatModel,
    text: &[u32],
    window: usize,
    work: Option<&Path>,
    progress: &dyn Progress,
) -> Result<Vec<Damage>> {
    let c = &float.config;
    progress.begin("measuring sensitivity", (c.sizes.layers * Linear::LAYER.len() * FORMATS.len()) as u64);
    let protocol = Protocol { window, windows: Some(FITTED.div_ceil(window)) };
    let compared = compared(text, window);
    let damage = sensitivity(float, text, protocol, &compared, work, &|| progress.advance(1));
    progress.end();
    Ok(damage?)
}

/// The formats of each layer's q, k, v, o, gate, up and down that do least damage in all.
///
/// # Errors
/// A damage is no number.
pub fn mixture(damage: &[Damage], costs: &Costs) -> Result<Vec<[WeightFormat; 7]>> {
    let linears = damage.iter().flat_map(|layer| layer.iter().zip(&costs.each));
    let candidates = linears.map(|(damage, costs)| {
        costs.iter().zip(damage).map(|(cost, d)| Candidate { cost: *cost, damage: *d }).collect()
    });
    let found = assign_formats(&candidates.collect::<Vec<_>>(), costs.most)?;
    let format = |i: &usize| FORMATS.get(*i).copied().unwrap_or(WeightFormat::W2Sparse);
    let choices: Vec<WeightFormat> = found.choice.iter().map(format).collect();
    Ok(choices.as_chunks::<7>().0.to_vec())
}

/// The beginnings of windows that are not fitted on; of the last ones, where the text is short.
fn compared(text: &[u32], window: usize) -> Vec<&[u32]> {
    let windows = text.chunks_exact(window);
    let first = FITTED.div_ceil(window).min(windows.len().saturating_sub(COMPARED));
    windows.skip(first).take(COMPARED).map(|w| w.get(..OF_EACH).unwrap_or(w)).collect()
}

fn bit_costs(c: &LlamaConfig, bits: f64) -> Result<Costs> {
    if !(2.0..=4.5).contains(&bits) {
        return Err(Error::Argument(format!("{bits} bits a weight: the formats have 2.0 to 4.5")));
    }
    let sizes = c.sizes.linear_weights();
    let all = c.sizes.layers * sizes.iter().sum::<usize>();
    Ok(Costs { each: sizes.map(|n| FORMATS.map(|f| f.bits() * n as f64)), most: bits * all as f64 })
}

/// Costs in beats that a token takes of a channel.
fn beat_costs(c: &LlamaConfig, tokens_per_s: f64, config: &Config) -> Result<Costs> {
    if !(tokens_per_s.is_finite() && tokens_per_s > 0.0) {
        return Err(Error::Argument(format!("{tokens_per_s} tokens a second: give a number above 0")));
    }
    let mut each = [[0.0; 3]; 7];
    let mut rest = 0.0;
    for (i, format) in FORMATS.into_iter().enumerate() {
        let shape = Synthetic {
            sizes: Sizes { layers: 1, ..c.sizes },
            formats: [format; 7],
            lambda: default_lambda(c),
            ..Synthetic::default()
        };
        let settings = Settings::new(shape.lambda.n_sink, shape.lambda.n_window);
        let layout = Layout::new(&shape.spec(), config, &settings)?;
        for stream in layout.weights.layers.iter().flatten() {
            each[stream.linear as usize][i] += stream.beats as f64;
        }
        let head: usize = layout.weights.head.iter().map(|s| s.beats).sum();
        rest = (head + c.sizes.layers * layout.kv.seq) as f64;
    }
    let beats_per_s = config.mhz as f64 * 1e6 * sequential(MemoryKind::HBM2, config.mhz)?;
    let most = beats_per_s / tokens_per_s - rest;
    let least: f64 = each.iter().map(|f| f.iter().copied().fold(f64::INFINITY, f64::min)).sum();
    if c.sizes.layers as f64 * least > most {
        let fastest = beats_per_s / (c.sizes.layers as f64 * least + rest);
        return Err(Error::Argument(format!(
            "{tokens_per_s} tokens a second: with all layers in their cheapest format the memory of '{}' gives {fastest:.1}",
            config.name
        )));
    }
    Ok(Costs { each, most })
}

#[cfg(test)]
mod tests {
    use super::*;
    use accllm_hw::config::find;

    fn llama() -> LlamaConfig {
        let text = r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096,
            "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32, "vocab_size": 32000,
            "rms_norm_eps": 1e-5, "max_position_embeddings": 4096, "hidden_act": "silu"}"#;
        LlamaConfig::parse(text, std::path::Path::new("config.json")).unwrap()
    }

    #[test]
    fn what_is_compared_is_not_fitted_on() {
        let text: Vec<u32> = (0..20 * 512).collect();
        let starts = |text: &[u32]| compared(text, 512).iter().map(|w| (w[0], w.len())).collect::<Vec<_>>();
        assert_eq!(starts(&text), [8, 9, 10, 11].map(|w| (w * 512, 256)));
        assert_eq!(starts(&text[..10 * 512]), [6, 7, 8, 9].map(|w| (w * 512, 256)));
        assert_eq!(starts(&text[..600]), [(0, 256)]);
        assert_eq!(compared(&text, 20)[0], (4100..4120).collect::<Vec<_>>());
    }

    #[test]
    fn beats_follow_bits_and_the_budget_the_bandwidth() {
        let config = find("u280").unwrap();
        let costs = beat_costs(&llama(), 150.0, config).unwrap();
        let bits = bit_costs(&llama(), 3.0).unwrap();
        for (beats, bits) in costs.each.iter().zip(&bits.each) {
            for (beats, bits) in beats.iter().zip(bits) {
                let ideal = bits / 512.0 / config.channels as f64;
                assert!(*beats >= ideal && *beats < ideal * 1.03, "{beats} for {ideal}");
            }
        }
        // 211 tokens/s with a full window are simulated for all W2 2:4 (a token does not see the whole ring of the cache,
        // which counts here); between that and all W4 lies the mixture.
        let sum = |i: usize| 32.0 * costs.each.iter().map(|f| f[i]).sum::<f64>();
        assert!(sum(0) < costs.most && costs.most < sum(2), "{} {} {}", sum(0), costs.most, sum(2));
        let error = beat_costs(&llama(), 300.0, config).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains("gives 206.9"), "{error}");
    }
}
