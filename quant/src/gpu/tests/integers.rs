//! From trained weights to integers.

use super::{model, tokens};
use crate::float::{FloatModel, Matrix};
use crate::gpu::shape::{KernelShape, flat_gains, flat_layers, model_of};
use crate::gpu::w2::round_weights;
use crate::gpu::w4::round_head;
use crate::perplexity::Protocol;
use crate::quantize::{Options, Quantized, quantize, quantize_trained};
use crate::{Error, Result};

/// A model whose linears lie on the grid of W2 2:4.
fn on_grid(seed: u64) -> Result<FloatModel> {
    let random = model(seed);
    let (shape, mut layers) = (KernelShape::of(&random.config)?, flat_layers(&random)?);
    for layer in layers.chunks_exact_mut(shape.layer()) {
        for p in shape.parts() {
            let w = &mut layer[p.at..p.at + p.len()];
            let grid = round_weights(&Matrix { rows: p.rows, cols: p.cols, data: w.to_vec() });
            w.copy_from_slice(&grid.dequantize().data);
        }
    }
    let gains = flat_gains(&random)?;
    model_of(random.config.clone(), &layers, &gains, random.embed.data)
}

fn options() -> Options {
    Options { calibration: Protocol { window: 64, windows: Some(4) }, ..Options::default() }
}

fn trained(model: FloatModel) -> Result<Quantized> {
    let head = round_head(&model.embed);
    quantize_trained(model, head, &tokens(256, 3), &options(), &mut |_| {})
}

/// Weights on their grids are the same integers whether texts ran through the model for the head or not.
#[test]
fn trained_weights_need_no_text() -> Result<()> {
    let (ours, all) = (trained(on_grid(7)?)?, quantize(&on_grid(7)?, &tokens(256, 3), &options())?);
    assert_eq!((ours.recovered, all.recovered), (14, 14));
    assert_eq!(ours.model.layers, all.model.layers);
    // The steps of the layers too; that of the head's input goes with the head.
    let layers = |q: &Quantized| format!("{:?}", q.steps.layers);
    assert!(layers(&ours) == layers(&all));
    Ok(())
}

/// One weight beside its grid, and the layer is fitted on the text as any other.
#[test]
fn a_weight_beside_the_grid_is_fitted() -> Result<()> {
    let mut model = on_grid(7)?;
    let last = model.layers.resident()?.last_mut().ok_or(Error::Argument("no layers".into()))?;
    last.down.data[0] += 0.01;
    let quantized = trained(model)?;
    assert_eq!(quantized.recovered, 13);
    Ok(())
}
