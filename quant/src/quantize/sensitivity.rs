//! What each weight format does to each linear of a model, measured.

use super::assign::FORMATS;
use super::closed::Closed;
use super::inputs::Inputs;
use super::work::{json_of_model, kept_json};
use crate::calibrate::windows;
use crate::grid::{gather_heads, spread_heads};
use accllm_llm::Result;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{FloatLayer, FloatModel, LayerAt, Matrix, NoTap, Site, Window, linear, run_layer};
use accllm_llm::model::WeightFormat;
use accllm_llm::perplexity::Protocol;
use rayon::prelude::*;
use std::path::Path;

/// `[linear][format]` of a layer.
pub type Damage = [[f64; 3]; 7];

/// Damage of each format to each linear alone: `[layer][linear][format]`, as the mean KL divergence in nats per token
/// from the float model's predictions on the windows `compared` when only that linear is quantized, with error feedback
/// on the inputs that it has on the windows of `text`. The cost is `21 * layers` fits and forward passes over `compared`,
/// each from the layer concerned on. `progress` is called for each of them. The result is kept in `folder`, where there
/// is one, and taken from there the next time.
///
/// # Errors
/// The text is shorter than a window; a layer cannot be read, or a token is none of the model's; the folder cannot be
/// written; what was kept is damaged.
pub fn sensitivity(
    model: &FloatModel,
    text: &[u32],
    protocol: Protocol,
    compared: &[&[u32]],
    folder: Option<&Path>,
    progress: &dyn Fn(),
) -> Result<Vec<Damage>> {
    let windows = windows(text, protocol)?;
    let check = |damage: &Vec<Damage>| match damage.len() == model.config.sizes.layers {
        true => Ok(()),
        false => Err(format!("{} layers", damage.len())),
    };
    let path = json_of_model(folder, model, &(&windows, compared), "damage")?;
    kept_json(path, "kept sensitivity", "measure", check, || measure(model, &windows, compared, progress))
}

fn measure(
    model: &FloatModel,
    windows: &[&[u32]],
    compared: &[&[u32]],
    progress: &dyn Fn(),
) -> Result<Vec<Damage>> {
    let c = &model.config;
    let fitted = Window::new(c, windows.first().map_or(1, |w| w.len()), None);
    let mut streams = windows.iter().map(|w| model.embed_tokens(w)).collect::<Result<Vec<_>>>()?;
    let window = Window::new(c, compared.iter().map(|w| w.len()).max().unwrap_or(1), None);
    let run = |x: &mut [Vec<f32>], l: usize, w: &FloatLayer| {
        x.par_iter_mut().for_each(|x| run_layer(c, w.at(l), &window, x, &mut NoTap));
    };
    let reference = compared.iter().map(|w| model.logits(w, None, &mut NoTap)).collect::<Result<Vec<_>>>()?;
    let mut before = compared.iter().map(|w| model.embed_tokens(w)).collect::<Result<Vec<_>>>()?;
    let tokens = compared.iter().map(|w| w.len()).sum::<usize>().max(1) as f64;
    let mut out = vec![Damage::default(); c.sizes.layers];
    for (l, damage) in out.iter_mut().enumerate() {
        let mut layer = model.layer(l)?.into_owned();
        let seen = Seen::of(c, layer.at(l), &fitted, &mut streams);
        for (n, damage) in damage.as_flattened_mut().iter_mut().enumerate() {
            let (i, format) = (n / FORMATS.len(), FORMATS[n % FORMATS.len()]);
            let w = linears(&mut layer)[i].clone();
            *linears(&mut layer)[i] = seen.fit(c, i, &w, format);
            let mut behind = before.clone();
            run(&mut behind, l, &layer);
            for later in l + 1..c.sizes.layers {
                run(&mut behind, later, &*model.layer(later)?);
            }
            let sum = |(x, reference): (&Vec<f32>, &Vec<f32>)| {
                let logits = linear(&model.last_norm(x, &mut NoTap), model.head());
                divergence(reference, &logits, c.sizes.vocab) * (x.len() / c.sizes.hidden) as f64
            };
            *damage = behind.iter().zip(&reference).map(sum).sum::<f64>() / tokens;
            *linears(&mut layer)[i] = w;
            progress();
        }
        run(&mut before, l, &layer);
    }
    Ok(out)
}

/// Inputs of a layer's linears: of q, k and v, of o, of gate and up, of down.
struct Seen([Inputs; 4]);

impl Seen {
    /// Of the layer before which the streams are; moves them past it.
    fn of(c: &LlamaConfig, layer: LayerAt<'_>, window: &Window, streams: &mut [Vec<f32>]) -> Self {
        let [mut attn, mut o, mut middle, mut mlp, mut down]: [Vec<f32>; 5] = Default::default();
        for x in streams.iter_mut() {
            run_layer(c, layer, window, x, &mut |site, _: usize, _: usize, data: &mut [f32]| match site {
                Site::AttnNorm => attn.extend_from_slice(data),
                Site::AttnOut => o.extend_from_slice(data),
                Site::Middle => middle.extend_from_slice(data),
                Site::MlpNorm => mlp.extend_from_slice(data),
                Site::DownIn => down.extend_from_slice(data),
                _ => {}
            });
        }
        let behind = streams.concat();
        Self([
            Inputs::new(&attn, c.sizes.hidden),
            Inputs::of_o(&o, &vec![1.0; c.sizes.q_width()], c.sizes.head_dim, &middle, c.sizes.hidden),
            Inputs::new(&mlp, c.sizes.hidden),
            Inputs::of_down(&down, &vec![1.0; c.sizes.ff], &behind, c.sizes.hidden),
        ])
    }

    /// Linear `i`, quantized.
    fn fit(&self, c: &LlamaConfig, i: usize, w: &Matrix, format: WeightFormat) -> Matrix {
        let how = Closed { rounds: 1, ..Closed::default() };
        let [attn, o, mlp, down] = &self.0;
        let fit = |inputs: &Inputs, w: &Matrix| inputs.nearest(w, format, &how).dequantize();
        match i {
            0..=2 => fit(attn, w),
            3 => gather_heads(&fit(o, &spread_heads(w, c.sizes.head_dim)), c.sizes.head_dim),
            4 | 5 => fit(mlp, w),
            _ => fit(down, w),
        }
    }
}

/// The linears of a layer, in the order of [`accllm_hw::sizes::Linear::LAYER`].
fn linears(w: &mut FloatLayer) -> [&mut Matrix; 7] {
    [&mut w.q, &mut w.k, &mut w.v, &mut w.o, &mut w.gate, &mut w.up, &mut w.down]
}

/// Mean KL divergence, in nats, of the predictions `b` from `a`, both logits `[tokens, vocab]`.
pub fn divergence(a: &[f32], b: &[f32], vocab: usize) -> f64 {
    let log_sum = |row: &[f32]| {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        f64::from(max) + row.iter().map(|v| f64::from((v - max).exp())).sum::<f64>().ln()
    };
    let rows = a.par_chunks_exact(vocab).zip(b.par_chunks_exact(vocab));
    let each = rows.map(|(a, b)| {
        let (la, lb) = (log_sum(a), log_sum(b));
        let terms = a.iter().zip(b).map(|(a, b)| {
            let p = f64::from(*a) - la;
            f64::from((p as f32).exp()) * (p - (f64::from(*b) - lb))
        });
        terms.sum::<f64>()
    });
    each.collect::<Vec<f64>>().iter().sum::<f64>() / (a.len() / vocab).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::divergence;

    #[test]
    fn divergence_is_zero_only_for_equal_predictions() {
        let a = [1.0f32, 2.0, 3.0, 0.0, 0.0, 0.0];
        let shifted = [2.0f32, 3.0, 4.0, 5.0, 5.0, 5.0];
        assert!(divergence(&a, &shifted, 3).abs() < 1e-6);
        assert!(divergence(&a, &[3.0, 2.0, 1.0, 0.0, 0.0, 0.0], 3) > 0.1);
    }
}
