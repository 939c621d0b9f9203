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
    rows.map(|(row, next)| {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = row.iter().map(|x| f64::from(x - max).exp()).sum();
        sum.ln() + f64::from(max) - f64::from(row[*next as usize])
    })
    .collect()
}
