//! All tests of the crate but `memory`, in one executable.

mod cases;
mod float_perplexity;
mod float_reference;
mod gguf;
mod hostile;
mod import;
mod smollm2;
mod tokenizer;

use accllm_models as support;
