//! Perplexity by position in one long text: attention to sinks and a window, beside the window alone and full attention.

mod plot;

pub use plot::svg;

use crate::{Error, Result};
use accllm_llm::float::{FloatModel, FloatStream};
use accllm_llm::int::{Prepared, Sequence};
use accllm_llm::model::{LambdaShape, MAX_VISIBLE, QuantModel};
use accllm_llm::perplexity::Stream;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// The model that reads the text.
pub enum Reader<'m> {
    /// The integer model.
    Integer(Arc<Prepared<'m>>),
    /// A checkpoint, in float.
    Float(&'m FloatModel),
}

impl<'m> Reader<'m> {
    /// The integer model, made ready.
    pub fn integer(model: &'m QuantModel) -> Self {
        Self::Integer(Arc::new(Prepared::new(model)))
    }

    /// `float` or `integer`.
    pub fn stage(&self) -> &'static str {
        match self {
            Self::Integer(_) => "integer",
            Self::Float(_) => "float",
        }
    }

    /// Most tokens that full attention can see.
    fn limit(&self) -> usize {
        match self {
            Self::Integer(_) => MAX_VISIBLE,
            Self::Float(_) => usize::MAX,
        }
    }

    fn start(&self, shape: LambdaShape) -> Result<Box<dyn Stream + '_>> {
        Ok(match self {
            Self::Integer(prepared) => Box::new(Sequence::scoring(prepared.clone(), shape)?.behind_prefix()?),
            Self::Float(model) => Box::new(FloatStream::new(model, shape)?),
        })
    }
}

/// Tokens of some positions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bucket {
    /// First position.
    pub from: usize,
    /// Position after the last one.
    pub to: usize,
    /// Perplexity of these tokens.
    pub ppl: f64,
    /// Measured.
    pub tok_per_s: f64,
}

/// One way of attention.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// `lambda`, `window` or `full`.
    pub attention: &'static str,
    /// First tokens that stay visible.
    pub sinks: usize,
    /// Last tokens that are visible.
    pub window: usize,
    /// Tokens scored.
    pub tokens: usize,
    /// Perplexity of all of them.
    pub ppl: f64,
    /// Bytes of keys and values at the end.
    pub cache_bytes: usize,
    /// By position.
    pub buckets: Vec<Bucket>,
}

impl Series {
    /// What it is, for people.
    pub fn label(&self) -> String {
        match self.attention {
            "lambda" => format!("{} sinks + window {}", self.sinks, self.window),
            "window" => format!("window {} alone", self.window),
            _ => "full attention".into(),
        }
    }
}

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Attention shape; the window alone is as many tokens in all.
    pub lambda: LambdaShape,
    /// Tokens of a bucket.
    pub bucket: usize,
    /// Tokens of full attention; 0 for none.
    pub full: usize,
}

/// The ways of attention to measure: name, shape, tokens of `text` scored.
fn ways(reader: &Reader<'_>, o: &Options, tokens: usize) -> Vec<(&'static str, LambdaShape, usize)> {
    let alone = LambdaShape { n_sink: 0, n_window: o.lambda.n_sink + o.lambda.n_window };
    let full = o.full.min(tokens).min(reader.limit());
    let mut ways = vec![("lambda", o.lambda, tokens)];
    if o.lambda.n_sink > 0 {
        ways.push(("window", alone, tokens));
    }
    if full > 0 {
        ways.push(("full", LambdaShape { n_sink: 0, n_window: full }, full));
    }
    ways
}

/// Tokens that [`measure`] computes in all, for a bar.
pub fn work(reader: &Reader<'_>, o: &Options, text: &[u32]) -> usize {
    ways(reader, o, text.len().saturating_sub(1)).iter().map(|w| w.2).sum()
}

/// Reads `text` in each way; `progress` is told the name of the way and tokens that were computed since.
///
/// # Errors
/// A shape that is not possible, or a text without two tokens.
pub fn measure(
    reader: &Reader<'_>,
    o: &Options,
    text: &[u32],
    progress: &mut dyn FnMut(&str, usize),
) -> Result<Vec<Series>> {
    if text.len() < 2 || o.bucket == 0 {
        return Err(Error::Argument(
            "a text of 2 tokens or more and a bucket of 1 or more are needed".into(),
        ));
    }
    let mut done = Vec::new();
    for (attention, shape, tokens) in ways(reader, o, text.len() - 1) {
        let mut stream = reader.start(shape)?;
        let (mut buckets, mut sum) = (Vec::new(), 0.0);
        for from in (0..tokens).step_by(o.bucket) {
            let to = (from + o.bucket).min(tokens);
            let start = Instant::now();
            let nll: f64 = stream.score(&text[from..=to])?.iter().sum();
            let n = (to - from) as f64;
            let tok_per_s = n / start.elapsed().as_secs_f64();
            buckets.push(Bucket { from, to, ppl: (nll / n).exp(), tok_per_s });
            sum += nll;
            progress(attention, to - from);
        }
        let (sinks, window) = (shape.n_sink, shape.n_window);
        let (ppl, cache_bytes) = ((sum / tokens as f64).exp(), stream.cache_bytes());
        done.push(Series { attention, sinks, window, tokens, ppl, cache_bytes, buckets });
    }
    Ok(done)
}
