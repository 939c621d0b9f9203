//! Area, power and energy (docs/cost.md).

mod area;
mod energy;
mod page;
