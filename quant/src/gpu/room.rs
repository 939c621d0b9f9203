//! How a training fits the memory of a device.

use super::net::{Keeping, NORM_BLOCKS};
use super::recipe::Recipe;
use super::shape::{KernelShape, Part};
use accllm_llm::{Error, Result};

/// What the driver, its libraries and small tensors take besides, bytes.
const BESIDES: usize = 256 << 20;

/// Bytes of the device that a training takes besides the teacher's weights.
pub(super) fn need(s: &KernelShape, batch: usize, text: usize, keeping: Keeping) -> usize {
    let (h, q, kv, f, layers) =
        (s.sizes.hidden, s.sizes.q_width(), s.sizes.kv_width(), s.sizes.ff, s.sizes.layers);
    let all = keeping == Keeping::All;
    let together = if all { layers } else { 1 };
    let tables = if s.tied { 1 } else { 2 };
    // Weights and moments of all layers; gradients, rounded weights, directions and their turns of those at hand.
    let widest = s.parts().iter().map(Part::len).max().unwrap_or(0);
    let square = s.parts().iter().map(|p| p.rows.min(p.cols).pow(2)).max().unwrap_or(0);
    let weights = 8 * layers * s.layer() + together * (8 * s.layer() + 2 * widest + 4 * square);
    let table = (16 * tables + 2) * s.table();
    // A layer's input, and what else is kept of it; the way back.
    let kept = 4 * h + 4 * h + 2 * (q + 2 * kv) + 4 * q + 4 * s.sizes.heads + 4 * f + 2 * f;
    let back = 4 * h + 2 * h + 4 * f + 2 * f + 2 * (q + 2 * kv) + 2 * h.max(q) + 4 * s.sizes.heads;
    let token = 4 * h * layers + together * kept + back + 8 * h + 8;
    let logits = 2 * 2 * keeping.logits().min(batch) * s.sizes.vocab;
    let gains = 4 * s.norms() * NORM_BLOCKS * h;
    weights + table + batch * token + logits + gains + 4 * text + BESIDES
}

/// What to keep of each layer, and how many tokens a step of all `cards` may have, for a training to fit `free` bytes of each: all
/// activations and whole steps, if they fit; else the layers' inputs; else smaller steps too.
///
/// # Errors
/// Not even steps of a single row fit.
pub(super) fn plan(s: &KernelShape, recipe: &Recipe, cards: usize, free: usize) -> Result<(Keeping, usize)> {
    let text = recipe.sequences() * recipe.rows[0] / cards;
    let fits = |batch, keeping| need(s, batch / cards, text, keeping) <= free;
    if fits(recipe.batch, Keeping::All) {
        return Ok((Keeping::All, recipe.batch));
    }
    let mut batch = recipe.batch;
    loop {
        if fits(batch, Keeping::Inputs) {
            return Ok((Keeping::Inputs, batch));
        }
        if !batch.is_multiple_of(2 * cards * recipe.rows[1]) {
            let gb = |bytes: usize| bytes as f64 / 1e9;
            let need = gb(need(s, batch / cards, text, Keeping::Inputs));
            return Err(Error::Argument(format!(
                "training on a device: steps of {} tokens take {need:.1} GB besides the teacher, and {:.1} GB are free",
                batch / cards,
                gb(free)
            )));
        }
        batch /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::tests::config;
    use accllm_hw::sizes::Sizes;

    fn shape(sizes: [usize; 7], tied: bool) -> KernelShape {
        let [hidden, ff, layers, heads, kv_heads, head_dim, vocab] = sizes;
        let of_config = KernelShape::of(&config()).unwrap();
        let sizes = Sizes { hidden, ff, layers, heads, kv_heads, head_dim, vocab, ..of_config.sizes };
        KernelShape { sizes, tied, ..of_config }
    }

    #[test]
    fn larger_models_keep_less() {
        let smol = shape([576, 1536, 30, 9, 3, 64, 49152], true);
        let llama_1b = shape([2048, 8192, 16, 32, 8, 64, 128256], true);
        let llama_7b = shape([4096, 11008, 32, 32, 32, 128, 32000], false);
        let recipe = Recipe { text: 1 << 20, ..Recipe::default() };
        let of = |s: &KernelShape, gb: usize| plan(s, &recipe, 1, gb * 1_000_000_000);
        // Cards of 141 and of 24 GB, less the teacher.
        assert_eq!(of(&smol, 138).unwrap(), (Keeping::All, 32768));
        assert_eq!(of(&smol, 22).unwrap(), (Keeping::Inputs, 32768));
        assert_eq!(of(&llama_1b, 137).unwrap(), (Keeping::All, 32768));
        assert_eq!(of(&llama_1b, 22).unwrap(), (Keeping::Inputs, 16384));
        assert_eq!(of(&llama_7b, 124).unwrap(), (Keeping::Inputs, 32768));
        // Two cards have half of a step each.
        assert_eq!(plan(&llama_1b, &recipe, 2, 22_000_000_000).unwrap(), (Keeping::Inputs, 32768));
        assert!(of(&llama_7b, 22).is_err_and(|e| e.to_string().contains("2048 tokens take")));
    }
}
