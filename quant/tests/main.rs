//! All tests of the crate but `memory`, in one executable: one is linked and started faster than twenty.

mod cases;
mod closed;
mod export;
mod families;
mod float_perplexity;
mod float_reference;
mod gguf;
mod hostile;
mod import;
mod integer_model;
mod keys;
mod prefix;
mod quantize_tinytales;
mod quantized_folder;
mod recovery;
mod rope;
mod self_text;
mod sensitivity;
mod smollm2;
mod split;
mod stored_layers;
mod tokenizer;
mod training;
mod transform;

use accllm_models as support;
