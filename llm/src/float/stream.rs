//! The float model on a text of any length, in constant memory: Λ attention with keys and values that are kept.

use super::forward::{Past, Window, run_layer_behind};
use super::{FloatModel, NoTap};
use crate::perplexity::Stream;
use crate::{Error, Result};
use accllm_hw::lambda::LambdaShape;

/// Most tokens that are computed together.
const BLOCK: usize = 256;

/// A running text of a float model.
pub struct FloatStream<'m> {
    model: &'m FloatModel,
    lambda: LambdaShape,
    position: usize,
    /// Of each layer.
    past: Vec<Past>,
}

impl<'m> FloatStream<'m> {
    /// An empty text; a window as long as the text is full attention.
    ///
    /// # Errors
    /// The window is empty.
    pub fn new(model: &'m FloatModel, lambda: LambdaShape) -> Result<Self> {
        if lambda.n_window == 0 {
            return Err(Error::Argument("an attention window of 0 tokens; give 1 or more".into()));
        }
        let past = (0..model.config.sizes.layers).map(|_| Past::default()).collect();
        Ok(Self { model, lambda, position: 0, past })
    }
}

impl Stream for FloatStream<'_> {
    fn score(&mut self, text: &[u32]) -> Result<Vec<f64>> {
        let (m, mut nll) = (self.model, Vec::new());
        let Some((_, tokens)) = text.split_last() else { return Ok(nll) };
        for (i, block) in tokens.chunks(BLOCK).enumerate() {
            let window = Window::at(&m.config, self.position, block.len(), Some(self.lambda));
            let mut x = m.embed_tokens(block)?;
            for ((l, layer), past) in m.layers.iter().enumerate().zip(&mut self.past) {
                run_layer_behind(&m.config, layer?.at(l), &window, past, &mut x, &mut NoTap);
            }
            let hidden = m.last_norm(&x, &mut NoTap);
            nll.extend(m.nll_of_hidden(&hidden, &text[i * BLOCK + 1..][..block.len()]));
            self.position += block.len();
        }
        Ok(nll)
    }

    fn cache_bytes(&self) -> usize {
        self.past.iter().map(Past::bytes).sum()
    }
}
