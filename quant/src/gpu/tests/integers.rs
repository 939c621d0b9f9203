//! From trained weights to integers.

use super::{all_in, flat_layers, model, tokens};
use crate::gpu::formats::round_weights;
use crate::gpu::shape::KernelShape;
use crate::quantize::{Grids, Options, quantize, quantize_trained};
use accllm_llm::Result;
use accllm_llm::float::{FloatModel, Matrix};
use accllm_llm::model::{Layer, Weight, WeightFormat};
use accllm_llm::perplexity::Protocol;

/// A model whose linears have the values of grids of these formats, and the grids.
pub(super) fn on_grids(mut model: FloatModel, formats: &[[WeightFormat; 7]]) -> Result<(FloatModel, Grids)> {
    let parts = KernelShape::of(&model.config)?.parts();
    let weights = flat_layers(&model);
    let size = weights.len() / formats.len();
    let mut layers = Vec::new();
    for ((w, all), formats) in model.layers.resident()?.iter_mut().zip(weights.chunks(size)).zip(formats) {
        let grids = std::array::from_fn(|i| {
            let (p, data) = (parts[i], all[parts[i].at..parts[i].at + parts[i].len()].to_vec());
            round_weights(&Matrix { rows: p.rows, cols: p.cols, data }, formats[i])
        });
        let linears =
            [&mut w.q, &mut w.k, &mut w.v, &mut w.o, &mut w.gate, &mut w.up, &mut w.down].into_iter();
        linears.zip(&grids).for_each(|(w, grid)| *w = grid.dequantize());
        layers.push(grids);
    }
    let head = round_weights(model.head(), WeightFormat::W4);
    Ok((model, Grids { layers, head }))
}

fn options(formats: &[[WeightFormat; 7]]) -> Options {
    let calibration = Protocol { window: 64, windows: Some(4) };
    Options { calibration, layer_formats: formats.to_vec(), ..Options::default() }
}

/// Levels and scales are the same whether the grids are handed over or found in the values; so are the steps of the layers, up to
/// the last bits of the scales of rows.
#[test]
fn grids_are_kept_as_they_are_found() -> Result<()> {
    for format in [WeightFormat::W2Sparse, WeightFormat::W2Dense] {
        let formats = all_in(format);
        let (trained, grids) = on_grids(model(7), &formats)?;
        let (text, options) = (tokens(256, 3), options(&formats));
        let ours = quantize_trained(trained.clone(), grids, &text, &options, &mut |_| {})?;
        let all = quantize(&trained, &text, &options)?;
        assert_eq!((ours.recovered, all.recovered), (14, 14));
        for (a, b) in ours.model.layers.iter().zip(&all.model.layers) {
            assert!(linears(a).iter().zip(linears(b)).all(|(a, b)| a.grid == b.grid));
        }
        for (a, b) in ours.steps.layers.iter().zip(&all.steps.layers) {
            let apart = |a: f32, b: f32| (a / b - 1.0).abs();
            assert!(apart(a.attn_in[0], b.attn_in[0]) < 1e-4 && apart(a.down_in[0], b.down_in[0]) < 1e-4);
        }
    }
    Ok(())
}

/// The levels of a mixture are those of its grids.
#[test]
fn a_mixture_keeps_its_levels() -> Result<()> {
    let [a, b, c] = [WeightFormat::W4, WeightFormat::W2Sparse, WeightFormat::W2Dense];
    let formats = [[a, b, c, a, b, c, a], [b, c, a, a, a, b, c]];
    let (trained, grids) = on_grids(model(7), &formats)?;
    let values = flat_layers(&trained);
    let ours = quantize_trained(trained, grids, &tokens(256, 3), &options(&formats), &mut |_| {})?;
    assert_eq!(flat_layers(&ours.dequantized), values);
    let found: Vec<_> = ours.model.layers.iter().map(|l| linears(l).map(|w| w.grid.format)).collect();
    assert_eq!(found, formats);
    Ok(())
}

fn linears(l: &Layer) -> [&Weight; 7] {
    [&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down]
}

#[test]
fn grids_of_other_formats_are_refused() -> Result<()> {
    let (trained, grids) = on_grids(model(7), &all_in(WeightFormat::W2Dense))?;
    let result =
        quantize_trained(trained, grids, &tokens(256, 3), &options(&all_in(WeightFormat::W4)), &mut |_| {});
    assert!(result.is_err_and(|e| e.to_string().contains("grids of another model")));
    Ok(())
}
