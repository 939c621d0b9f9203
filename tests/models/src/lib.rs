//! Small models of every family, and the folders and files that hold them, for the tests.

pub mod families;
pub mod gguf;

use accllm_llm::float::FloatModel;
use accllm_llm::import::load_model;
use accllm_llm::model::QuantModel;
use accllm_llm::perplexity::{Protocol, story_stream};
use accllm_llm::tokenizer::TextTokenizer;
use accllm_quant::quantize::{Options, quantize};
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize_to_file};
use std::path::{Path, PathBuf};

/// Errors of any kind.
pub type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Folder of the bundled model and texts.
pub fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data")
}

/// A bundled text as a stream of stories.
pub fn stories(file: &str) -> Result<Vec<u32>, Box<dyn std::error::Error>> {
    let tokenizer = TextTokenizer::read(&data().join("tinytales/w2/tokenizer.json"), 1024)?;
    Ok(story_stream(&std::fs::read_to_string(data().join(file))?, &tokenizer, 0, 1)?)
}

/// Pseudo-random numbers in -1..1.
pub struct Random(
    /// The seed.
    pub u64,
);

impl Random {
    /// The next one.
    #[allow(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

/// `config.json` of the small model: hidden 40, feed-forward 72, 2 layers, 4 heads of 10, 2 KV heads.
pub const CONFIG: &str = r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
    "hidden_size": 40, "intermediate_size": 72, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 50, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": [1, 2]}"#;

/// A tensor to be written.
#[derive(Clone)]
pub struct Raw {
    /// Its name in the checkpoint.
    pub name: String,
    /// Of its numbers.
    pub dtype: Dtype,
    /// The slowest dimension first.
    pub shape: Vec<usize>,
    /// Little-endian numbers.
    pub bytes: Vec<u8>,
}

/// All tensors of the small model, random, f32.
pub fn tensors() -> Vec<Raw> {
    let mut random = Random(7);
    let mut all = Vec::new();
    let mut add = |name: String, shape: &[usize], offset: f32| {
        let n = shape.iter().product::<usize>();
        let scale = 1.0 / (shape[shape.len() - 1] as f32).sqrt();
        let bytes = (0..n).flat_map(|_| (random.next() * scale + offset).to_le_bytes()).collect();
        all.push(Raw { name, dtype: Dtype::F32, shape: shape.to_vec(), bytes });
    };
    add("model.embed_tokens.weight".into(), &[50, 40], 0.0);
    for l in 0..2 {
        for (part, shape) in [
            ("self_attn.q_proj", [40, 40]),
            ("self_attn.k_proj", [20, 40]),
            ("self_attn.v_proj", [20, 40]),
            ("self_attn.o_proj", [40, 40]),
            ("mlp.gate_proj", [72, 40]),
            ("mlp.up_proj", [72, 40]),
            ("mlp.down_proj", [40, 72]),
        ] {
            add(format!("model.layers.{l}.{part}.weight"), &shape, 0.0);
        }
        add(format!("model.layers.{l}.input_layernorm.weight"), &[40], 1.0);
        add(format!("model.layers.{l}.post_attention_layernorm.weight"), &[40], 1.0);
    }
    add("model.norm.weight".into(), &[40], 1.0);
    add("lm_head.weight".into(), &[50, 40], 0.0);
    all
}

/// Writes `tensors` to `path`.
pub fn write_tensors(path: &Path, tensors: &[Raw]) -> Outcome {
    let views = tensors
        .iter()
        .map(|t| Ok((t.name.as_str(), TensorView::new(t.dtype, t.shape.clone(), &t.bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    Ok(serialize_to_file(views, None, path)?)
}

/// Writes the small model as a Hugging Face folder.
pub fn write_folder(folder: &Path, config: &str, tensors: &[Raw]) -> Outcome {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("config.json"), config)?;
    write_tensors(&folder.join("model.safetensors"), tensors)
}

/// The small model.
pub fn small_float() -> Result<FloatModel, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    write_folder(folder.path(), CONFIG, &tensors())?;
    Ok(load_model(folder.path())?)
}

/// Tokens for the small model.
pub fn small_text(n: usize) -> Vec<u32> {
    let mut random = Random(3);
    (0..n).map(|_| ((random.next() + 1.0) * 24.9) as u32).collect()
}

/// Quantizer choices for the small model.
pub fn small_options() -> Options {
    Options { calibration: Protocol { window: 32, windows: Some(4) }, ..Options::default() }
}

/// The small model, quantized.
pub fn small_quant(options: &Options) -> Result<QuantModel, Box<dyn std::error::Error>> {
    Ok(quantize(&small_float()?, &small_text(256), options)?.model)
}
