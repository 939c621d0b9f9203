//! Perplexity by a stated protocol: a token stream cut into windows, each scored from an empty context.

use crate::tokenizer::TextTokenizer;
use crate::{Error, Result};
use rayon::prelude::*;

/// A model that can score a window of tokens.
pub trait Scorer: Sync {
    /// Negative log likelihood (nats) of tokens `1..` of `window` given the ones before;
    /// `window.len() - 1` values.
    fn nll(&self, window: &[u32]) -> Result<Vec<f64>>;

    /// [`Scorer::nll`] of each of several windows, which run in parallel.
    fn nll_each(&self, windows: &[&[u32]]) -> Result<Vec<Vec<f64>>> {
        windows.par_iter().map(|w| self.nll(w)).collect()
    }

    /// The same model made ready for many windows, where that is something else.
    fn prepare(&self) -> Option<Box<dyn Scorer + '_>> {
        None
    }
}

/// How a token stream is scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// Tokens per window; the first one of each is context only. At least 2.
    pub window: usize,
    /// Windows scored, from the start; `None` for all full windows.
    pub windows: Option<usize>,
}

impl Protocol {
    /// The bundled model's protocol: 64 windows of 320 tokens.
    pub const TINYTALES: Self = Self { window: 320, windows: Some(64) };
}

/// Outcome of a measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Perplexity {
    /// `exp` of the mean negative log likelihood.
    pub perplexity: f64,
    /// Mean negative log likelihood, nats per token.
    pub nll: f64,
    /// Tokens predicted.
    pub tokens: usize,
    /// Windows scored.
    pub windows: usize,
}

/// Scores `stream` window by window; windows run in parallel and are summed in order.
pub fn perplexity(model: &dyn Scorer, stream: &[u32], protocol: Protocol) -> Result<Perplexity> {
    if protocol.window < 2 {
        return Err(Error::Argument(format!(
            "a window of {} tokens predicts nothing; use at least 2",
            protocol.window
        )));
    }
    let whole = stream.len() / protocol.window;
    let windows = protocol.windows.unwrap_or(whole);
    if windows == 0 || windows > whole {
        return Err(Error::Argument(format!(
            "the text has {} tokens, {whole} whole windows of {}; {windows} were asked for",
            stream.len(),
            protocol.window
        )));
    }
    let prepared = model.prepare();
    let model = prepared.as_deref().unwrap_or(model);
    let all: Vec<&[u32]> = stream.chunks_exact(protocol.window).take(windows).collect();
    let sums = model.nll_each(&all)?.into_iter().map(|n| n.iter().sum::<f64>());
    let tokens = windows * (protocol.window - 1);
    let nll = sums.sum::<f64>() / tokens as f64;
    Ok(Perplexity { perplexity: nll.exp(), nll, tokens, windows })
}

/// Stories separated by blank lines, as `bos story eos` one after another.
pub fn story_stream(text: &str, tokenizer: &TextTokenizer, bos: u32, eos: u32) -> Result<Vec<u32>> {
    let mut stream = Vec::new();
    for story in text.split("\n\n").filter(|s| !s.trim().is_empty()) {
        stream.push(bos);
        stream.extend(tokenizer.encode(story.trim())?);
        stream.push(eos);
    }
    Ok(stream)
}

/// The whole text as one stream, no special tokens added.
pub fn plain_stream(text: &str, tokenizer: &TextTokenizer) -> Result<Vec<u32>> {
    tokenizer.encode(text)
}

/// Per-token negative log likelihood from logits `[tokens, vocab]`, computed in f64.
pub fn nll_of_logits(logits: &[f32], vocab: usize, window: &[u32]) -> Vec<f64> {
    let rows = logits.par_chunks_exact(vocab).zip(window.par_iter().skip(1));
    rows.map(|(row, next)| nll_of_row(row, *next)).collect()
}

/// Negative log likelihood of token `next` from the logits before it.
pub fn nll_of_row(logits: &[f32], next: u32) -> f64 {
    let mut largest = [f32::NEG_INFINITY; 16];
    for part in logits.chunks(16) {
        for (m, x) in largest.iter_mut().zip(part) {
            *m = if *x > *m { *x } else { *m };
        }
    }
    let max = largest.into_iter().fold(f32::NEG_INFINITY, f32::max);
    // Sixteen sums in a fixed order, so that the compiler can compute them side by side.
    let mut sums = [0f64; 16];
    for part in logits.chunks(16) {
        for (s, x) in sums.iter_mut().zip(part) {
            *s += exp(f64::from(x - max));
        }
    }
    sums.iter().sum::<f64>().ln() + f64::from(max) - f64::from(logits[next as usize])
}

/// `e^x` for `x <= 0`, to 1e-11 (relative), by the same operations on every computer; 0 below -700.
#[inline(always)]
fn exp(x: f64) -> f64 {
    /// Adding it rounds to a whole number, which is then in the low bits.
    const ROUND: f64 = (3u64 << 51) as f64;
    let x = if x < -700.0 { -700.0 } else { x };
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // Within half of ln 2.
    let r = x - n * std::f64::consts::LN_2;
    let mut p = 1.0 / 3_628_800.0;
    for c in [362_880.0, 40_320.0, 5040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0] {
        p = p * r + 1.0 / c;
    }
    let power = (shifted.to_bits().wrapping_add(1023) & 0x7ff) << 52;
    p * f64::from_bits(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_and_likelihood_are_exact_enough() {
        for i in 0..200_000 {
            let x = -f64::from(i) * 0.0035;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-11, "{x}");
        }
        assert!(exp(f64::NEG_INFINITY) < 1e-300);
        let logits: Vec<f32> = (0..1003).map(|i| ((i * 7919) % 1003) as f32 * 0.031 - 9.0).collect();
        let sum: f64 = logits.iter().map(|x| f64::from(*x).exp()).sum();
        for next in [0u32, 17, 1002] {
            let want = sum.ln() - f64::from(logits[next as usize]);
            assert!((nll_of_row(&logits, next) - want).abs() < 1e-6);
        }
    }
}
