//! Training of weights on their grids, with automatic differentiation by `candle`.

mod attention;
mod fake;
mod kernel;
mod layer;
mod ops;
mod recon;
mod schedule;

pub use recon::Reconstruction;
