//! Weights on grids: integer levels, group scales and offsets, and row scales in float, before the steps of activations
//! are folded in.

mod layer;
mod levels;
mod shapes;
mod weight;

pub use levels::fit;
pub use shapes::LayerShapes;
pub use weight::GridWeight;

pub(crate) use layer::{GridLayer, LayerGrids, Weights};
pub(crate) use levels::{Columns, assign, best_step, best_two, nearest, on_w4_grid};
pub(crate) use shapes::{gather_heads, spread, spread_heads};
pub(crate) use weight::{GridRow, OFFSET, Step, join, unit};
