//! A quantized model as a Hugging Face folder of float weights, so that other programs can run and check it.
//!
//! [`float`] gives every integer weight its real value; [`write`] writes such a model. What is rounded at run time (inputs
//! of the linear layers, keys and values, the attention shape) is not part of a checkpoint and is left out.

mod folder;
mod weights;

pub use folder::{write, write_within};
pub use weights::float;
