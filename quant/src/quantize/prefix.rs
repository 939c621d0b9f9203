//! Tokens that every text of a model follows: calibration after them, and their keys and values.

use super::Options;
use super::steps::Steps;
use crate::head::padded;
use accllm_hw::{fixed, tables};
use accllm_llm::float::{FloatModel, Site};
use accllm_llm::model::{HeadCache, Prefix};
use accllm_llm::{Error, Result};
use std::borrow::Cow;

/// `text` cut anew, so that each calibration window begins with the prefix, where there is one.
pub(super) fn behind<'a>(text: &'a [u32], options: &Options) -> Result<Cow<'a, [u32]>> {
    let (prefix, window) = (&options.prefix, options.calibration.window);
    if prefix.is_empty() {
        return Ok(Cow::Borrowed(text));
    }
    let room = window.saturating_sub(prefix.len());
    if room < 2 {
        return Err(Error::Argument(format!(
            "a prefix of {} tokens leaves {room} of a calibration window of {window}; use a longer window",
            prefix.len()
        )));
    }
    Ok(text.chunks_exact(room).flat_map(|part| prefix.iter().chain(part)).copied().collect())
}

/// Keys and values of `tokens` as `model` computes them, in float, rounded as the engine rounds: `unit` and `shift` are the
/// real value of one LSB of k and the shift after its Hadamard transform.
pub(super) fn prefix(
    model: &FloatModel,
    tokens: &[u32],
    unit: f64,
    shift: u8,
    steps: &Steps,
) -> Result<Prefix> {
    if tokens.is_empty() {
        return Ok(Prefix::default());
    }
    let c = &model.config;
    let mut heads = vec![HeadCache::default(); c.sizes.layers * c.sizes.kv_heads];
    let each = |data: &[f32], add: &mut dyn FnMut(usize, &[f32])| {
        data.chunks_exact(c.sizes.head_dim).enumerate().for_each(|(i, head)| add(i % c.sizes.kv_heads, head));
    };
    model.hidden(tokens, None, &mut |site: Site, l: usize, _: usize, data: &mut [f32]| match site {
        Site::Key => each(data, &mut |h, k| {
            let (codes, meta) = key_codes(k, c.lead(l, h), unit, shift);
            let head = &mut heads[l * c.sizes.kv_heads + h];
            head.k.extend(codes);
            head.k_meta.push(meta);
        }),
        Site::Value => each(data, &mut |h, v| {
            let codes = v.iter().zip(&steps.layers[l].value[h * c.sizes.head_dim..]);
            let codes = codes.map(|(v, step)| (v / step).round().clamp(-8.0, 7.0) as i8);
            heads[l * c.sizes.kv_heads + h].v.extend(codes);
        }),
        _ => {}
    })?;
    Ok(Prefix { tokens: tokens.to_vec(), heads })
}

/// Codes of a rotated key (after RoPE) with that leading pair, and its step and base.
fn key_codes(k: &[f32], lead: usize, unit: f64, shift: u8) -> (Vec<i8>, (u16, i16)) {
    let padded: Vec<i32> =
        padded(k, lead).into_iter().map(|v| (f64::from(v) / unit).round() as i32).collect();
    // RoPE is done: an angle of 0.
    let (cos, sin) = (vec![16384; padded.len() / 2], vec![0; padded.len() / 2]);
    let mut rot = vec![0; padded.len()];
    fixed::rotate_head(&padded, &cos, &sin, u32::from(shift), &mut rot);
    let (step, base) = fixed::k_step(&rot);
    let inverse = tables::recip(u32::from(step));
    (rot.iter().map(|r| fixed::k_code(*r, base, inverse)).collect(), (step, base))
}

#[cfg(test)]
mod tests {
    use super::*;
    use accllm_llm::perplexity::Protocol;

    #[test]
    fn windows_begin_with_the_prefix() -> Result<()> {
        let text: Vec<u32> = (10..20).collect();
        let calibration = Protocol { window: 5, windows: None };
        let mut options = Options { prefix: vec![1, 2], calibration, ..Options::default() };
        let cut = behind(&text, &options)?;
        assert_eq!(*cut, [1, 2, 10, 11, 12, 1, 2, 13, 14, 15, 1, 2, 16, 17, 18]);
        options.prefix.clear();
        assert_eq!(*behind(&text, &options)?, text);
        Ok(())
    }
}
