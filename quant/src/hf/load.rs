//! Builds a [`FloatModel`] from a checkpoint folder.

use super::{Checkpoint, LlamaConfig};
use crate::Result;
use crate::float::{FloatLayer, FloatModel, Matrix};
use std::path::Path;

/// Reads `config.json` and all weights of a Hugging Face Llama folder.
pub fn load_model(folder: &Path) -> Result<FloatModel> {
    let config = LlamaConfig::read(&folder.join("config.json"))?;
    let files = Checkpoint::open(folder)?;
    let c = &config;
    let embed = matrix(&files, "model.embed_tokens.weight", c.vocab, c.hidden)?;
    let layers = (0..c.layers).map(|l| layer(&files, c, l)).collect::<Result<Vec<_>>>()?;
    let final_norm = files.tensor("model.norm.weight", &[c.hidden])?;
    let head = match c.tied_head {
        true => None,
        false => Some(matrix(&files, "lm_head.weight", c.vocab, c.hidden)?),
    };
    Ok(FloatModel { config, embed, layers: layers.into(), final_norm, head })
}

fn matrix(files: &Checkpoint, name: &str, rows: usize, cols: usize) -> Result<Matrix> {
    Ok(Matrix { rows, cols, data: files.tensor(name, &[rows, cols])? })
}

fn layer(files: &Checkpoint, c: &LlamaConfig, number: usize) -> Result<FloatLayer> {
    let linear = |part: &str, rows, cols| {
        matrix(files, &format!("model.layers.{number}.{part}_proj.weight"), rows, cols)
    };
    let norm = |part: &str| files.tensor(&format!("model.layers.{number}.{part}.weight"), &[c.hidden]);
    Ok(FloatLayer {
        attn_norm: norm("input_layernorm")?,
        q: linear("self_attn.q", c.q_width(), c.hidden)?,
        k: linear("self_attn.k", c.kv_width(), c.hidden)?,
        v: linear("self_attn.v", c.kv_width(), c.hidden)?,
        o: linear("self_attn.o", c.hidden, c.q_width())?,
        mlp_norm: norm("post_attention_layernorm")?,
        gate: linear("mlp.gate", c.ffn, c.hidden)?,
        up: linear("mlp.up", c.ffn, c.hidden)?,
        down: linear("mlp.down", c.hidden, c.ffn)?,
    })
}
