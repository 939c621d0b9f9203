//! Perplexity by a stated protocol: a token stream cut into windows, each scored from an empty context.

use crate::tokenizer::TextTokenizer;
use crate::{Error, Result};
use rayon::prelude::*;

/// A model that can score a window of tokens.
pub trait Scorer: Sync {
    /// Negative log likelihood (nats) of tokens `1..` of `window` given the ones before;
    /// `window.len() - 1` values.
    fn nll(&self, window: &[u32]) -> Result<Vec<f64>>;

    /// The same without the first `skip` values, which a model may leave out of its work.
    fn nll_behind(&self, window: &[u32], skip: usize) -> Result<Vec<f64>> {
        Ok(self.nll(window)?.split_off(skip.min(window.len().saturating_sub(1))))
    }

    /// [`Scorer::nll_behind`] of several windows, in parallel.
    fn nll_each(&self, windows: &[(Vec<u32>, usize)]) -> Result<Vec<Vec<f64>>> {
        windows.par_iter().map(|(w, skip)| self.nll_behind(w, *skip)).collect()
    }

    /// How many windows of `window` tokens are best handed over at once.
    fn together(&self, window: usize) -> usize {
        together(window)
    }

    /// The same model made ready for many windows, where that is something else.
    fn prepare(&self) -> Option<Box<dyn Scorer + '_>> {
        None
    }
}

/// Windows computed side by side, where they are short: a long one has work for all threads.
pub fn together(window: usize) -> usize {
    if window <= 512 { 8 } else { 1 }
}

/// A model that scores a text of any length, part by part, with what it remembers of the parts before.
pub trait Stream {
    /// Appends all tokens of `text` but the last; negative log likelihoods (nats) of `text[1..]`. The next call begins
    /// with the last token again.
    fn score(&mut self, text: &[u32]) -> Result<Vec<f64>>;

    /// Bytes of keys and values that are kept.
    fn cache_bytes(&self) -> usize;
}

/// How a token stream is scored: in windows that follow each other, each from an empty context.
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

/// How a token stream is scored, with every choice there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windowing {
    /// Window and number.
    pub protocol: Protocol,
    /// Tokens from the start of a window to that of the next; only so many, the last ones, are scored of each but the
    /// first. `None`: windows follow each other.
    pub stride: Option<usize>,
    /// Token that each window begins with, one of its number, in front of the text.
    pub bos: Option<u32>,
}

impl From<Protocol> for Windowing {
    fn from(protocol: Protocol) -> Self {
        Self { protocol, stride: None, bos: None }
    }
}

impl Windowing {
    /// Tokens of the text in a window.
    fn text(&self) -> usize {
        self.protocol.window - usize::from(self.bos.is_some())
    }

    /// Tokens from the start of a window to that of the next.
    pub fn step(&self) -> usize {
        self.stride.unwrap_or_else(|| self.text())
    }

    /// Values that are left out of window `i`.
    fn skip(&self, i: usize) -> usize {
        let values = self.protocol.window - 1;
        if i == 0 { 0 } else { values - self.step().min(values) }
    }

    /// Tokens scored in `windows` windows.
    pub fn tokens(&self, windows: usize) -> usize {
        (0..windows).map(|i| self.protocol.window - 1 - self.skip(i)).sum()
    }

    /// Windows to score in a text of `length` tokens.
    ///
    /// # Errors
    /// The numbers make no sense, or the text is too short.
    pub fn windows(&self, length: usize) -> Result<usize> {
        let window = self.protocol.window;
        if window < 2 {
            return Err(Error::Argument(format!(
                "a window of {window} tokens predicts nothing; use at least 2"
            )));
        }
        if self.step() == 0 || self.step() > self.text() {
            return Err(Error::Argument(format!(
                "a stride of {} tokens; give 1 to {}, the tokens of the text in a window",
                self.step(),
                self.text()
            )));
        }
        let whole = if length < self.text() { 0 } else { 1 + (length - self.text()) / self.step() };
        let windows = self.protocol.windows.unwrap_or(whole);
        if windows == 0 || windows > whole {
            return Err(Error::Argument(format!(
                "the text has {length} tokens, {whole} whole windows of {window}; {windows} were asked for \
                 (--windows, --window)"
            )));
        }
        Ok(windows)
    }

    /// Tokens of window `i`.
    fn cut(&self, stream: &[u32], i: usize) -> Vec<u32> {
        let text = &stream[i * self.step()..][..self.text()];
        self.bos.iter().chain(text).copied().collect()
    }
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

/// Scores `stream` window by window, summed in order.
pub fn perplexity(model: &dyn Scorer, stream: &[u32], how: impl Into<Windowing>) -> Result<Perplexity> {
    perplexity_with(model, stream, how.into(), &mut |_| {})
}

/// As [`perplexity`]; `progress` is told of windows done since it was told before.
pub fn perplexity_with(
    model: &dyn Scorer,
    stream: &[u32],
    how: Windowing,
    progress: &mut dyn FnMut(usize),
) -> Result<Perplexity> {
    let windows = how.windows(stream.len())?;
    let prepared = model.prepare();
    let model = prepared.as_deref().unwrap_or(model);
    let some = model.together(how.protocol.window);
    let mut sums = Vec::with_capacity(windows);
    for from in (0..windows).step_by(some) {
        let part = from..(from + some).min(windows);
        let texts: Vec<_> = part.clone().map(|i| (how.cut(stream, i), how.skip(i))).collect();
        sums.extend(model.nll_each(&texts)?.into_iter().map(|nll| nll.iter().sum::<f64>()));
        progress(part.len());
    }
    let tokens = how.tokens(windows);
    let nll = sums.iter().sum::<f64>() / tokens as f64;
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

/// Integer logits with `frac` fraction bits as numbers.
pub fn rescale(logits: &[i32], frac: u8) -> Vec<f32> {
    let unit = (-f32::from(frac)).exp2();
    logits.iter().map(|l| *l as f32 * unit).collect()
}

/// Negative log likelihood of token `next` from the logits before it.
pub fn nll_of_row(logits: &[f32], next: u32) -> f64 {
    log_sum(logits) - f64::from(logits[next as usize])
}

/// Logarithm of the sum of the exponentials of `logits`: what a token's logit is less of is its log-probability. By the
/// same operations on every computer.
pub fn log_sum(logits: &[f32]) -> f64 {
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
    libm::log(sums.iter().sum::<f64>()) + f64::from(max)
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

    /// Every token's value is its own number; windows that hold the token before it.
    struct Echo;

    impl Scorer for Echo {
        fn nll(&self, window: &[u32]) -> Result<Vec<f64>> {
            Ok(window[1..].iter().map(|t| f64::from(*t)).collect())
        }
    }

    #[test]
    fn windows_strides_and_first_tokens() {
        let stream: Vec<u32> = (0..100).collect();
        let run = |window, windows, stride, bos| {
            perplexity(&Echo, &stream, Windowing { protocol: Protocol { window, windows }, stride, bos })
        };
        let sum = |p: Perplexity| (p.nll * p.tokens as f64).round() as u32;
        // Ten windows, the first token of each is context only.
        let p = run(10, None, None, None).expect("fits");
        assert_eq!((p.windows, p.tokens, sum(p)), (10, 90, 4950 - 450));
        // With a token in front all of the text is scored, as far as whole windows go.
        let p = run(10, None, None, Some(777)).expect("fits");
        assert_eq!((p.windows, p.tokens, sum(p)), (11, 99, (0..99).sum()));
        // Overlapping: every token once, but the first one.
        let p = run(10, None, Some(3), None).expect("fits");
        assert_eq!((p.windows, p.tokens, sum(p)), (31, 99, 4950));
        let p = run(10, Some(4), Some(1), Some(777)).expect("fits");
        assert_eq!((p.windows, p.tokens, sum(p)), (4, 12, (0..12).sum()));
        let p = run(100, None, None, None).expect("fits");
        assert_eq!((p.windows, p.tokens), (1, 99));
        for (window, windows, stride) in [
            (1, None, None),
            (101, None, None),
            (10, Some(11), None),
            (10, Some(0), None),
            (10, None, Some(0)),
            (10, None, Some(11)),
        ] {
            assert!(run(window, windows, stride, None).is_err(), "{window} {windows:?} {stride:?}");
        }
        assert!(run(10, None, Some(10), Some(1)).is_err());
    }

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
