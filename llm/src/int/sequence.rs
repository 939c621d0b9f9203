//! Runs a quantized model over tokens, keeping the KV cache.

use super::attention::Turns;
use super::cache::Cache;
use super::emit::emit;
use super::forward::{Projected, Tokens};
use super::kernel::TOKENS;
use super::pack::Prepared;
use super::tap::{At, IntTap, NoIntTap};
use crate::model::check_lambda;
use crate::model::{HeadCache, LambdaShape, QuantModel};
use crate::perplexity::nll_of_row;
use crate::{Error, Result};
use accllm_hw::fixed;
use accllm_hw::tensor::Tensor;
use rayon::prelude::*;
use std::path::Path;
use std::sync::Arc;

/// Most tokens processed at once.
const BLOCK: usize = 64;
/// The same where texts are scored: enough for each thread to have several parts.
const SCORED_BLOCK: usize = 192;
/// Most tokens of a part, which one thread computes.
const PART: usize = 4 * TOKENS;

/// Which tokens' logits are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logits {
    /// All tokens of the call.
    All,
    /// The last token only.
    Last,
    /// None.
    Skip,
}

/// A running text: model, position and KV caches.
pub struct Sequence<'m> {
    prepared: Arc<Prepared<'m>>,
    lambda: LambdaShape,
    /// Most tokens processed at once.
    block: usize,
    position: u64,
    /// First position from which the window is whole; what the ring overwrites is not counted.
    held: u64,
    caches: Vec<Cache>,
}

impl<'m> Sequence<'m> {
    /// An empty session with the model's default attention shape. The model must have passed
    /// [`QuantModel::check`], as every loaded or quantized one has.
    pub fn new(model: &'m QuantModel) -> Self {
        Self::start(Arc::new(Prepared::new(model)), model.lambda, BLOCK)
    }

    /// An empty session with another attention shape.
    pub fn with_lambda(model: &'m QuantModel, lambda: LambdaShape) -> Result<Self> {
        Self::shared(Arc::new(Prepared::new(model)), lambda)
    }

    /// An empty session that shares its weights.
    pub fn shared(prepared: Arc<Prepared<'m>>, lambda: LambdaShape) -> Result<Self> {
        check_lambda(lambda, Path::new("argument"))?;
        Ok(Self::start(prepared, lambda, BLOCK))
    }

    /// An empty session for [`Sequence::score`]: as [`Sequence::shared`], with more tokens at once and so a larger cache.
    pub fn scoring(prepared: Arc<Prepared<'m>>, lambda: LambdaShape) -> Result<Self> {
        check_lambda(lambda, Path::new("argument"))?;
        Ok(Self::start(prepared, lambda, SCORED_BLOCK))
    }

    fn start(prepared: Arc<Prepared<'m>>, lambda: LambdaShape, block: usize) -> Self {
        let model = prepared.model();
        let caches = model.layers.iter().map(|_| Cache::new(&model.arch.sizes, lambda, block)).collect();
        Self { prepared, lambda, block, position: 0, held: 0, caches }
    }

    /// Bytes of the KV cache, which do not depend on the length of the text.
    pub fn cache_bytes(&self) -> usize {
        self.caches.iter().map(Cache::bytes).sum()
    }

    /// Position of the next token.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The attention shape.
    pub fn lambda(&self) -> LambdaShape {
        self.lambda
    }

    /// Most tokens that are computed together.
    pub fn block_tokens(&self) -> usize {
        self.block
    }

    /// Takes the text back to its first `to` tokens; false where the window no longer holds what they need.
    pub fn rewind(&mut self, to: u64) -> bool {
        let ring = self.caches.first().map_or(0, Cache::ring);
        let held = self.held.max(self.position.saturating_sub(ring));
        let can = self.lambda.can_rewind(held, self.position, to);
        if can {
            self.held = held.min(to);
            self.position = to;
        }
        can
    }

    /// Keys and values of a head, of the positions that are kept.
    ///
    /// # Errors
    /// There is no such head.
    pub fn head_cache(&self, layer: usize, head: usize) -> Result<HeadCache> {
        self.check_head(layer, head)?;
        Ok(self.caches[layer].head(self.lambda.kept(self.position), head))
    }

    /// An empty session after the model's prefix, where it has one; what was in the session is gone.
    ///
    /// # Errors
    /// The attention shape does not hold the prefix.
    pub fn behind_prefix(mut self) -> Result<Self> {
        let model = self.prepared.model;
        model.prefix.check_shape(self.lambda)?;
        let tokens = model.prefix.tokens.len() as u64;
        self.restore(tokens, |layer, head| Ok::<_, Error>(model.prefix_head(layer, head)))?;
        Ok(self)
    }

    /// Makes this a text of `position` tokens whose cache is what `heads` says of each layer and KV head.
    ///
    /// # Errors
    /// Those of `heads`, or a head that is not one of this model; the text is then empty.
    pub fn restore<E: From<Error>>(
        &mut self,
        position: u64,
        mut heads: impl FnMut(usize, usize) -> std::result::Result<HeadCache, E>,
    ) -> std::result::Result<(), E> {
        (self.position, self.held) = (0, 0);
        let kept = self.lambda.kept(position);
        for layer in 0..self.prepared.model.arch.sizes.layers {
            for head in 0..self.prepared.model.arch.sizes.kv_heads {
                let cache = heads(layer, head)?;
                if !cache.is_sane(&self.prepared.model.arch.sizes, kept.clone().count()) {
                    let what = format!("layer {layer}, KV head {head}: not a cache of this model");
                    return Err(Error::Argument(what).into());
                }
                self.caches[layer].put_head(kept.clone(), head, &cache);
            }
        }
        self.position = position;
        self.held = position.saturating_sub(self.lambda.n_window as u64);
        Ok(())
    }

    fn check_head(&self, layer: usize, head: usize) -> Result<()> {
        let a = &self.prepared.model.arch.sizes;
        match layer < a.layers && head < a.kv_heads {
            true => Ok(()),
            false => Err(Error::Argument(format!("there is no KV head {head} of layer {layer}"))),
        }
    }

    /// Appends `tokens`; returns the logits asked for, `[tokens or 1, vocab]` with
    /// `model.logit_frac` fraction bits.
    pub fn step(&mut self, tokens: &[u32], which: Logits, tap: &mut dyn IntTap) -> Result<Vec<i32>> {
        self.check_tokens(tokens)?;
        match tap.active() {
            true => Ok(self.blocks(tokens, which, tap)),
            // Inside the pool, so that parallel parts do not wait for a thread to enter it.
            false => Ok(rayon::scope(|_| self.blocks(tokens, which, &mut NoIntTap))),
        }
    }

    /// Appends all tokens of `text` but the last; returns the negative log likelihoods (nats) of `text[1 + skip..]`.
    pub fn score(&mut self, text: &[u32], skip: usize) -> Result<Vec<f64>> {
        self.check_tokens(text)?;
        let Some(last) = text.len().checked_sub(1) else { return Ok(Vec::new()) };
        Ok(rayon::scope(|_| {
            let mut nll = Vec::with_capacity(last.saturating_sub(skip));
            let (block, width) = (self.block, self.prepared.model.arch.sizes.hidden);
            for at in (0..last).step_by(block) {
                let n = block.min(last - at);
                let hidden = self.block(&text[at..at + n], &mut NoIntTap);
                let first = skip.saturating_sub(at).min(n);
                nll.extend(self.nll(&hidden[first * width..], &text[at + first + 1..at + n + 1]));
                self.position += n as u64;
            }
            nll
        }))
    }

    fn check_tokens(&self, tokens: &[u32]) -> Result<()> {
        let vocab = self.prepared.model.arch.sizes.vocab;
        match tokens.iter().find(|id| **id as usize >= vocab) {
            Some(id) => Err(Error::Argument(format!("token {id} is not below the vocabulary size {vocab}"))),
            None => Ok(()),
        }
    }

    fn blocks(&mut self, tokens: &[u32], which: Logits, tap: &mut dyn IntTap) -> Vec<i32> {
        let mut logits = Vec::new();
        let blocks = tokens.len().div_ceil(self.block);
        for (i, block) in tokens.chunks(self.block).enumerate() {
            let hidden = self.block(block, tap);
            let width = self.prepared.model.arch.sizes.hidden;
            let first = match which {
                Logits::All => 0,
                Logits::Last if i + 1 == blocks => block.len() - 1,
                Logits::Last | Logits::Skip => block.len(),
            };
            if first < block.len() {
                let at = Tokens {
                    prepared: &self.prepared,
                    base: self.position + first as u64,
                    turns: &[],
                    spread: true,
                };
                logits.extend(at.head(&hidden[first * width..], tap));
            }
            self.position += block.len() as u64;
        }
        logits
    }

    /// Negative log likelihoods of `next`, each after a residual row.
    fn nll(&self, x: &[i32], next: &[u32]) -> Vec<f64> {
        let (model, width) = (self.prepared.model, self.prepared.model.arch.sizes.hidden);
        let unit = (-f32::from(model.logit_frac)).exp2();
        let part = |(x, next): (&[i32], &[u32])| {
            let at = Tokens { prepared: &self.prepared, base: 0, turns: &[], spread: false };
            let logits = at.head(x, &mut NoIntTap);
            let mut real = vec![0f32; model.arch.sizes.vocab];
            let rows = logits.chunks_exact(model.arch.sizes.vocab).zip(next);
            let each = rows.map(|(row, next)| {
                real.iter_mut().zip(row).for_each(|(r, v)| *r = *v as f32 * unit);
                nll_of_row(&real, *next)
            });
            each.collect::<Vec<_>>()
        };
        let parts = x.par_chunks(2 * TOKENS * width).zip(next.par_chunks(2 * TOKENS));
        parts.map(part).collect::<Vec<_>>().concat()
    }

    /// Residual stream after the last layer for a block of tokens.
    fn block(&mut self, tokens: &[u32], tap: &mut dyn IntTap) -> Vec<i32> {
        let m = self.prepared.model;
        let (h, base) = (m.arch.sizes.hidden, self.position);
        let shift = u32::from(m.embed_shift);
        let mut x: Vec<i32> = tokens
            .iter()
            .flat_map(|id| m.embed[*id as usize * h..][..h].iter().map(|e| fixed::embed(*e, shift)))
            .collect();
        emit(tap, Tensor::Embed, None, base, h, &x);
        let angles = |p: u64| {
            let (cos, sin) =
                fixed::rope_row(p, &m.arch.sizes.rope, m.arch.sizes.head_dim, m.arch.sizes.padded_head());
            self.prepared.leads.iter().map(|lead| fixed::led_row(cos.clone(), sin.clone(), *lead)).collect()
        };
        let ceiling: Vec<_> = angles(self.lambda.sink_position(u64::MAX));
        let row = |p: u64| Turns {
            near: angles(p),
            far: (self.lambda.sink_position(p) != p).then(|| ceiling.clone()),
        };
        let rows: Vec<_> = (0..tokens.len() as u64).map(|t| row(base + t)).collect();
        // A part for each thread, unless somebody watches, or there is only one.
        let threads = rayon::current_num_threads();
        let part = match tap.active() || tokens.len() == 1 || threads == 1 {
            true => tokens.len(),
            false => tokens.len().div_ceil(threads).next_multiple_of(TOKENS).min(PART),
        };
        for l in 0..m.layers.len() {
            match part >= tokens.len() {
                true => self.layer(l, &mut x, &rows, tap),
                false => self.layer_in_parts(l, &mut x, &rows, part),
            }
        }
        x
    }

    fn layer(&mut self, l: usize, x: &mut [i32], rows: &[Turns], tap: &mut dyn IntTap) {
        let prepared = self.prepared.clone();
        let at = Tokens { prepared: &prepared, base: self.position, turns: rows, spread: true };
        let projected = at.project(l, x, tap);
        self.append(l, self.position, &projected, tap);
        at.finish(l, x, &projected, &self.caches[l], self.lambda, tap);
    }

    /// As [`Self::layer`], `part` tokens a thread.
    fn layer_in_parts(&mut self, l: usize, x: &mut [i32], rows: &[Turns], part: usize) {
        let (prepared, position) = (self.prepared.clone(), self.position);
        let h = prepared.model.arch.sizes.hidden;
        let at = |i: usize, turns| {
            let base = position + (i * part) as u64;
            Tokens { prepared: &prepared, base, turns, spread: false }
        };
        let parts = x.par_chunks(part * h).zip(rows.par_chunks(part)).enumerate();
        let projected: Vec<Projected> =
            parts.map(|(i, (x, rows))| at(i, rows).project(l, x, &mut NoIntTap)).collect();
        for (i, projected) in projected.iter().enumerate() {
            self.append(l, position + (i * part) as u64, projected, &mut NoIntTap);
        }
        let (cache, lambda) = (&self.caches[l], self.lambda);
        let parts = x.par_chunks_mut(part * h).zip(rows.par_chunks(part)).zip(&projected).enumerate();
        parts.for_each(|(i, ((x, rows), projected))| {
            at(i, rows).finish(l, x, projected, cache, lambda, &mut NoIntTap);
        });
    }

    /// Stores the keys and values of tokens from position `base` on.
    fn append(&mut self, l: usize, base: u64, new: &Projected, tap: &mut dyn IntTap) {
        let a = &self.prepared.model.arch.sizes;
        let cache = &mut self.caches[l];
        let (hdp, hd) = (a.padded_head(), a.head_dim);
        let heads = new.k.chunks_exact(hdp).zip(&new.k_meta).zip(new.v.chunks_exact(hd));
        for (i, ((k, (scale, low)), v)) in heads.enumerate() {
            let (p, head) = (base + (i / a.kv_heads) as u64, i % a.kv_heads);
            cache.put_key(p, head, k, *scale, *low);
            cache.put_value(p, head, v);
            if tap.active() {
                let mut say = |tensor, data: &[i32]| {
                    tap.tensor(At { tensor, layer: Some(l), token: p, head: Some(head) }, data);
                };
                let widen = |codes: &[i8]| codes.iter().map(|v| i32::from(*v)).collect::<Vec<_>>();
                say(Tensor::KRot, &new.k_rot[i * hdp..][..hdp]);
                say(Tensor::KScale, &[i32::from(*scale)]);
                say(Tensor::KBase, &[i32::from(*low)]);
                // As they are in the cache.
                let stored = cache.head(std::iter::once(p), head);
                say(Tensor::KCodes, &widen(&stored.k));
                say(Tensor::VCodes, &widen(&stored.v));
            }
        }
    }
}
