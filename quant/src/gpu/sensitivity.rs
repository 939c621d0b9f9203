//! What each format does to each linear alone, measured on a device.

use super::device::{Device, Memory, put};
use super::formats::round_weights;
use super::net::{Keeping, Net, Rounding};
use super::teacher::Teacher;
use super::train::{Report, Stage};
use crate::quantize::{Damage, FORMATS, json_of_model, kept_json};
use accllm_llm::Result;
use accllm_llm::float::FloatModel;
use std::path::Path;

/// Most tokens on which predictions are compared.
const COMPARED: usize = 32768;

/// Damage of each format to each linear alone, `[layer][linear][format]`: the mean divergence of the predictions, in nats a
/// token, on the first rows (of `length` tokens) of the text, when only that linear is rounded as a training on the device
/// begins. Passes go from the linear's layer on. The result is kept in `folder`, where there is one.
///
/// # Errors
/// The text is shorter than a row; the model does not fit the device; the device fails; the folder cannot be written, or what is
/// kept there is damaged.
pub(super) fn sensitivity_on(
    device: &dyn Device,
    model: &FloatModel,
    text: &[u32],
    length: usize,
    folder: Option<&Path>,
    progress: &mut dyn FnMut(Report),
) -> Result<Vec<Damage>> {
    let text = &text[..text.len().min(COMPARED.max(length)) / length * length];
    let check = |damage: &Vec<Damage>| match damage.len() == model.config.sizes.layers {
        true => Ok(()),
        false => Err(format!("{} layers", damage.len())),
    };
    let path = json_of_model(folder, model, &(text, length), "device-damage")?;
    kept_json(path, "kept sensitivity", "measure", check, || measure(device, model, text, length, progress))
}

fn measure(
    device: &dyn Device,
    model: &FloatModel,
    text: &[u32],
    length: usize,
    progress: &mut dyn FnMut(Report),
) -> Result<Vec<Damage>> {
    let mut memory = Memory::new(device);
    let teacher = Teacher::new(device, &mut memory, model)?;
    let net = Net::new(device, &model.config, teacher.shape, text.len(), length, Keeping::Inputs)?;
    put(device, net.ids, text)?;
    teacher.weights(|w| net.forward(w, length, Rounding::default(), net.aim))?;
    let mut all = vec![Damage::default(); model.config.sizes.layers];
    let linears = 7 * all.len();
    // From the last layer on: the inputs of those before it are still the whole model's.
    for (l, damage) in all.iter_mut().enumerate().rev() {
        let layer = model.layer(l)?;
        let weights = [&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.down];
        for (i, (w, damage)) in weights.into_iter().zip(damage).enumerate() {
            for (format, damage) in FORMATS.into_iter().zip(damage) {
                teacher.change(device, l, i, &round_weights(w, format).dequantize())?;
                teacher.weights(|w| {
                    net.forward_from(l, w, length, Rounding::default(), net.head_in)?;
                    net.compare(w.head, w.head)
                })?;
                *damage = net.mean_loss()?;
            }
            teacher.change(device, l, i, w)?;
            let tokens = [linears - 7 * l - 6 + i, linears].map(|n| n * FORMATS.len() * text.len());
            progress(Report { stage: Stage::Measuring, tokens, loss: None, watched: None });
        }
    }
    Ok(all)
}
