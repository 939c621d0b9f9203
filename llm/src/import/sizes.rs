//! Sizes of a model from the named numbers of a checkpoint.

use crate::{Error, Result};
use accllm_hw::rope::Rope;
use accllm_hw::sizes::Sizes;
use std::path::Path;

/// Names of the numbers in a file's format.
pub(super) struct Names<'a> {
    pub hidden: &'a str,
    pub ff: &'a str,
    pub layers: &'a str,
    pub heads: &'a str,
    pub kv_heads: &'a str,
    pub head_dim: &'a str,
}

impl Names<'_> {
    /// Sizes with this vocabulary and RoPE; `count` reads a number from 1 to a limit, `None` where it is not there. The
    /// limits are those of a float model: the engine has narrower ones ([`Sizes::check`]).
    ///
    /// # Errors
    /// A number is missing or wrong, heads do not divide, or a head has an odd width.
    pub fn read(
        &self,
        path: &Path,
        vocab: usize,
        rope: Rope,
        count: impl Fn(&str, usize) -> Result<Option<usize>>,
    ) -> Result<Sizes> {
        let must = |name: &str, most: usize| {
            let missing = || format!("is missing; expected an integer from 1 to {most}");
            count(name, most)?.ok_or_else(|| Error::config(path, name, missing()))
        };
        let hidden = must(self.hidden, 1 << 16)?;
        let heads = must(self.heads, 1 << 12)?;
        let kv_heads = count(self.kv_heads, 1 << 12)?.unwrap_or(heads);
        if !heads.is_multiple_of(kv_heads) {
            let why = format!("is {kv_heads}, which does not divide {} ({heads})", self.heads);
            return Err(Error::config(path, self.kv_heads, why));
        }
        let head_dim = match count(self.head_dim, 1 << 12)? {
            Some(width) => width,
            None if hidden.is_multiple_of(heads) => hidden / heads,
            None => {
                let why =
                    format!("is missing and {} {hidden} is not a multiple of {heads} heads", self.hidden);
                return Err(Error::config(path, self.head_dim, why));
            }
        };
        if !head_dim.is_multiple_of(2) {
            let why = format!("is {head_dim}; RoPE needs an even number");
            return Err(Error::config(path, self.head_dim, why));
        }
        let (ff, layers) = (must(self.ff, 1 << 20)?, must(self.layers, 1 << 10)?);
        Ok(Sizes { hidden, ff, layers, heads, kv_heads, head_dim, vocab, rope })
    }
}
