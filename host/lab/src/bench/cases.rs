//! The cases of docs/performance.md, and what is asked of them.

use super::{Options, Report};

/// A figure that a case is to reach.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What it is.
    pub what: &'static str,
    /// At least this much.
    pub least: f64,
    /// Whether it is a share, to be shown in percent.
    pub share: bool,
    /// Where it is in a report; the second says that it is *estimated* rather than *simulated*.
    pub of: fn(&Report) -> Option<(f64, bool)>,
}

/// A benchmark with its targets.
#[derive(Debug, Clone)]
pub struct Case {
    /// What runs.
    pub options: Options,
    /// What it is to reach.
    pub targets: Vec<Target>,
}

/// Tokens per second of the whole model.
fn tokens_per_s(r: &Report) -> Option<(f64, bool)> {
    match &r.estimated {
        Some(e) => Some((e.tokens_per_s, true)),
        None => Some((r.tokens_per_s, false)),
    }
}

fn rate(least: f64) -> Target {
    Target { what: "tokens/s", least, share: false, of: tokens_per_s }
}

fn bandwidth(least: f64) -> Target {
    let of = |r: &Report| Some((r.hbm_fraction_of_model, false));
    Target { what: "of the memory model, whole token", least, share: true, of }
}

fn streams(least: f64) -> Target {
    let of = |r: &Report| r.streaming_fraction_of_model.map(|s| (s, false));
    Target { what: "of the memory model, weight streams", least, share: true, of }
}

fn multipliers(least: f64) -> Target {
    Target { what: "of the multipliers", least, share: true, of: |r| Some((r.mac_utilisation, false)) }
}

/// Layers of the 7B-shaped prefill that run: all would take an hour.
const PREFILL_LAYERS: usize = 2;

/// All cases, longest last.
pub fn all() -> Vec<Case> {
    let base = |shape: &str| Options::new(shape, "u280");
    let decode = |shape: &str, context| Options { context: Some(context), ..base(shape) };
    let prompt = Options { prompt: Some(512), layers: Some(PREFILL_LAYERS), ..base("llama2-7b") };
    let case = |options, targets: &[Target]| Case { options, targets: targets.to_vec() };
    vec![
        case(decode("llama2-7b", 2048), &[rate(200.0), streams(0.97), bandwidth(0.92)]),
        case(decode("llama2-7b", 128), &[rate(235.0), streams(0.97), bandwidth(0.92)]),
        case(decode("llama3-8b", 2048), &[bandwidth(0.92)]),
        case(decode("smollm2-135m", 2048), &[]),
        case(decode("smollm2-135m", 128), &[]),
        case(Options { tokens: 16, ..decode("tinytales", 128) }, &[]),
        case(prompt, &[rate(450.0), multipliers(0.85)]),
    ]
}
