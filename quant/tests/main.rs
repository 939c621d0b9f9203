//! All tests of the crate, in one executable: one is linked and started faster than twenty.

mod closed;
mod export;
mod families;
mod instruction_sets;
mod integer_model;
mod keys;
mod prefix;
mod quantize_tinytales;
mod quantized_folder;
mod recovery;
mod rope;
mod self_text;
mod sensitivity;
mod split;
mod stored_layers;
mod training;
mod transform;

use accllm_models as support;
