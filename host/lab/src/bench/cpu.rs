//! The integer reference model on this computer: tokens scored and tokens decoded in a second.

use crate::{Error, Result};
use accllm_llm::int::{Logits, NoIntTap, Prepared, Sequence};
use accllm_llm::model::QuantModel;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// Tokens of a window that is scored.
const WINDOW: usize = 2048;
/// Tokens before those that are decoded.
const CONTEXT: usize = 128;

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct CpuReport {
    /// Shape or model.
    pub model: String,
    /// Threads.
    pub threads: usize,
    /// Tokens of the window that was scored, all logits computed.
    pub window: usize,
    /// Tokens scored in a second.
    pub score_tok_per_s: f64,
    /// Tokens decoded, one at a time.
    pub decode_tokens: usize,
    /// Tokens decoded in a second.
    pub decode_tok_per_s: f64,
    /// Seconds to make the weights ready.
    pub prepare_s: f64,
}

/// Measures `model` on `threads` threads; `tokens` are decoded.
///
/// # Errors
/// The threads cannot be made.
pub fn measure(name: &str, model: &QuantModel, threads: usize, tokens: usize) -> Result<CpuReport> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|e| Error::Argument(format!("--threads {threads}: {e}")))?;
    pool.install(|| {
        let start = Instant::now();
        let prepared = Arc::new(Prepared::new(model));
        let prepare_s = start.elapsed().as_secs_f64();
        let vocab = model.arch.sizes.vocab as u64;
        let text: Vec<u32> = (0..=WINDOW as u64)
            .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % vocab)
            .map(|id| id as u32)
            .collect();
        // The first pages of everything are touched before the clock starts.
        Sequence::scoring(prepared.clone(), model.lambda)?.score(&text[..65.min(WINDOW)], 0)?;
        let start = Instant::now();
        Sequence::scoring(prepared.clone(), model.lambda)?.score(&text, 0)?;
        let score_tok_per_s = WINDOW as f64 / start.elapsed().as_secs_f64();
        let mut session = Sequence::shared(prepared, model.lambda)?;
        session.step(&text[..CONTEXT], Logits::Skip, &mut NoIntTap)?;
        let start = Instant::now();
        for id in text[CONTEXT..].iter().cycle().take(tokens) {
            session.step(&[*id], Logits::Last, &mut NoIntTap)?;
        }
        let decode_tok_per_s = tokens as f64 / start.elapsed().as_secs_f64();
        let model = name.to_string();
        let decode_tokens = tokens;
        Ok(CpuReport {
            model,
            threads,
            window: WINDOW,
            score_tok_per_s,
            decode_tokens,
            decode_tok_per_s,
            prepare_s,
        })
    })
}
