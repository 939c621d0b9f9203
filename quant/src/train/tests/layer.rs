//! A layer in training.

use super::super::layer::{TrainLayer, save};
use super::{assert_near, config, float_layer, random, values};
use crate::grid::{GridLayer, LayerGrids, fit, spread, spread_heads};
use crate::head::{each_head, key_head, query_head};
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{FloatLayer, NoTap, Site, Window, run_layer};
use accllm_llm::model::WeightFormat;
use candle_core::{Device, Result, Tensor};

pub(in crate::train) const SEQ: usize = 9;

fn grids(c: &LlamaConfig, w: &FloatLayer, format: WeightFormat) -> LayerGrids {
    let plain = |m| fit(m, &vec![1.0; m.cols], &vec![true; m.cols], format);
    let o = spread_heads(&w.o, c.sizes.head_dim);
    let used = spread(&vec![true; c.sizes.q_width()], c.sizes.head_dim, false);
    let o = fit(&o, &vec![1.0; o.cols], &used, format);
    let [q, k, v, gate, up, down] = [&w.q, &w.k, &w.v, &w.gate, &w.up, &w.down].map(plain);
    LayerGrids::of([q, k, v, o, gate, up, down], [const { None }; 7])
}

pub(in crate::train) fn train_layer(
    c: &LlamaConfig,
    format: WeightFormat,
    step: Option<f32>,
) -> Result<(TrainLayer, GridLayer)> {
    let w = float_layer(c);
    let start = GridLayer {
        grids: grids(c, &w, format),
        attn_norm: w.attn_norm.clone(),
        mlp_norm: w.mlp_norm.clone(),
        biases: w.biases.clone(),
        q_norm: w.q_norm.clone(),
        k_norm: w.k_norm.clone(),
    };
    Ok((TrainLayer::new(c, w.at(0), &start.grids, SEQ, step, &Device::Cpu)?, start))
}

/// Two sequences through the layer in training.
fn run(c: &LlamaConfig, layer: &TrainLayer, x: &[f32]) -> Result<Vec<f32>> {
    let x = Tensor::from_vec(x.to_vec(), (x.len() / c.sizes.hidden, c.sizes.hidden), &Device::Cpu)?;
    values(&layer.forward(&x, &layer.weights()?)?)
}

#[test]
fn it_gives_what_the_float_layer_gives() -> Result<()> {
    let still = LlamaConfig { unrotated: vec![0], ..config() };
    for (c, format) in WeightFormat::ALL.map(|f| (config(), f)).into_iter().chain([(still, WeightFormat::W4)])
    {
        let x = random(2 * SEQ * c.sizes.hidden, 21);
        let (layer, start) = train_layer(&c, format, None)?;
        let got = run(&c, &layer, &x)?;
        let reached = layer.result()?;
        assert_eq!((&reached.attn_norm, &reached.mlp_norm), (&start.attn_norm, &start.mlp_norm));
        let window = Window::new(&c, SEQ, None);
        let expected: Vec<f32> = x
            .chunks_exact(SEQ * c.sizes.hidden)
            .flat_map(|x| {
                let mut x = x.to_vec();
                run_layer(&c, reached.dequantize(&c).at(0), &window, &mut x, &mut NoTap);
                x
            })
            .collect();
        assert_near(&format!("{format:?}"), &got, &expected);
        let rounded = run(&c, &train_layer(&c, format, Some(0.1))?.0, &x)?;
        assert!(rounded.iter().zip(&got).any(|(a, b)| (a - b).abs() > 1e-3), "K, Q and V are rounded");
    }
    Ok(())
}

/// In a layer whose heads have leading pairs, K and Q are rounded as in the simulation.
#[test]
fn leading_pairs_are_those_of_the_layer() -> Result<()> {
    let c = LlamaConfig { leads: vec![vec![3, 1], vec![0, 0]], ..config() };
    let x = random(SEQ * c.sizes.hidden, 22);
    let (layer, start) = train_layer(&c, WeightFormat::W4, Some(0.1))?;
    let mut tap = |site: Site, l: usize, _: usize, data: &mut [f32]| match site {
        Site::Key => {
            each_head(data, c.sizes.head_dim, c.sizes.kv_heads, |h, head| key_head(head, c.lead(l, h)))
        }
        Site::Query => {
            each_head(data, c.sizes.head_dim, c.sizes.heads, |h, head| {
                query_head(head, c.lead(l, h / c.sizes.group()))
            });
        }
        Site::Value => data.iter_mut().for_each(|v| *v = (*v / 0.1).round().clamp(-8.0, 7.0) * 0.1),
        _ => {}
    };
    let mut expected = x.clone();
    run_layer(&c, start.dequantize(&c).at(0), &Window::new(&c, SEQ, None), &mut expected, &mut tap);
    assert_near("led", &run(&c, &layer, &x)?, &expected);
    Ok(())
}

#[test]
fn a_kept_layer_is_the_same() -> Result<()> {
    let (c, folder) = (config(), std::env::temp_dir().join(format!("accllm-layer-{}", std::process::id())));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("layer.safetensors");
    let x = random(2 * SEQ * c.sizes.hidden, 21);
    for step in [None, Some(0.1)] {
        let (layer, _) = train_layer(&c, WeightFormat::W2Sparse, step)?;
        save(layer.tensors()?, &path)?;
        let formats = [WeightFormat::W2Sparse; 7];
        let (other, _) = train_layer(&c, WeightFormat::W2Sparse, step)?;
        let parameters = other.parameters();
        for var in [parameters.weights, parameters.scales, parameters.gains].iter().flatten() {
            var.set(&var.zeros_like()?)?;
        }
        other.take(&layer.tensors()?)?;
        for back in [TrainLayer::restore(&c, 0, &formats, SEQ, &path, &Device::Cpu)?, other] {
            assert_eq!(back.result()?, layer.result()?);
            assert_eq!(run(&c, &back, &x)?, run(&c, &layer, &x)?);
        }
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
