//! Float reference of the Llama block: f32, multi-threaded, the same result for any thread count.
//!
//! Used for calibration, for the per-step accuracy table and as the "before" of every comparison.

mod attention;
mod bias;
mod forward;
mod layers;
mod model;
mod ops;
mod rope;
mod sample;
mod stream;
mod tap;

pub use bias::{Biases, on_rows};
pub use forward::{Window, run_layer};
pub use layers::{LayerStore, Layers};
pub use model::{FloatLayer, FloatModel, LayerAt, Matrix};
pub use ops::{
    add, add_gram, add_scaled, dot, exp, linear, matrix_product, product, rms_norm, silu_mul, softmax, view,
    view_mut,
};
pub use rope::Rope;
pub use sample::SelfText;
pub use stream::FloatStream;
pub use tap::{Behind, NoTap, Site, Tap};
