//! RTL against its models, through Verilator.

mod ctrl;
mod mat;
mod vec;
