//! Tokens that every text of a model follows, with their keys and values.

use super::{HeadCache, LambdaShape};
use crate::{Error, Result};
use accllm_hw::sizes::Sizes;
use std::path::Path;

/// The first tokens of every text. Their keys and values come with the model: no engine computes them
/// (PrefixQuant, arXiv 2410.05265).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Prefix {
    /// The tokens; empty for none.
    pub tokens: Vec<u32>,
    /// Their keys and values, KV head by KV head of each layer; empty where there are no tokens.
    pub heads: Vec<HeadCache>,
}

impl Prefix {
    /// Whether all of it is kept at once by attention of that shape.
    ///
    /// # Errors
    /// It is not: sinks and window together are fewer than the tokens.
    pub fn check_shape(&self, shape: LambdaShape) -> Result<()> {
        let (n, kept) = (self.tokens.len(), shape.n_sink + shape.n_window);
        match n <= kept {
            true => Ok(()),
            false => Err(Error::Argument(format!(
                "attention to {kept} tokens does not hold the model's prefix of {n}; give more sinks or a longer window"
            ))),
        }
    }

    /// Checks tokens, number and sizes of the heads, and the range of what they hold.
    pub(super) fn check(&self, path: &Path, sizes: &Sizes) -> Result<()> {
        let n = self.tokens.len();
        if let Some(id) = self.tokens.iter().find(|id| **id as usize >= sizes.vocab) {
            let why = format!("names token {id}; vocab is {}", sizes.vocab);
            return Err(Error::config(path, "prefix", why));
        }
        let heads = if n == 0 { 0 } else { sizes.layers * sizes.kv_heads };
        if self.heads.len() != heads {
            let why = format!("has keys and values of {} heads; expected {heads}", self.heads.len());
            return Err(Error::config(path, "prefix", why));
        }
        match self.heads.iter().position(|h| !h.is_sane(sizes, n)) {
            Some(i) => {
                let (layer, head) = (i / sizes.kv_heads, i % sizes.kv_heads);
                let why = format!("layer {layer}, KV head {head}: not keys and values of {n} tokens");
                Err(Error::config(path, "prefix", why))
            }
            None => Ok(()),
        }
    }
}
