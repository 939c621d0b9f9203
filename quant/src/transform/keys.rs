//! Changes of q and k for the rounding of K, layer by layer.

use super::balance::balance_gains;
use super::{KeySample, align_qk, balance_qk};
use accllm_llm::Result;
use accllm_llm::float::FloatModel;

/// What is done to q and k. Scores stay the same.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Keys {
    /// Nothing.
    #[default]
    Plain,
    /// Their RoPE pairs are balanced so far, 0 to 1 ([`balance_qk`]).
    Balanced(f64),
    /// Their pairs are aligned by search ([`align_qk`]).
    Aligned,
    /// One pair of each head leads, and all are aligned.
    Led,
}

/// Changes q and k of all layers; leading pairs are noted in the model's configuration. Where heads have norms, which
/// all heads share, their gains are balanced, and nothing else is done.
///
/// # Errors
/// The weights of a layer are damaged.
pub fn match_keys(model: &mut FloatModel, sample: &KeySample, how: Keys) -> Result<()> {
    let c = model.config.clone();
    if c.head_norms {
        // A norm takes away what is done to the rows before it.
        if how != Keys::Plain {
            let layers = model.layers.resident()?.iter_mut().enumerate();
            layers.for_each(|(l, w)| balance_gains(&c, w, l, &sample.power));
        }
        return Ok(());
    }
    let mut leads = Vec::with_capacity(c.sizes.layers);
    for (l, w) in model.layers.resident()?.iter_mut().enumerate() {
        match how {
            Keys::Plain => {}
            Keys::Balanced(exponent) => balance_qk(&c, w, l, &sample.power, exponent),
            Keys::Aligned | Keys::Led => leads.push(align_qk(&c, w, l, sample, how == Keys::Led).leads),
        }
    }
    if how == Keys::Led {
        model.config.leads = leads;
    }
    Ok(())
}
