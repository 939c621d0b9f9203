//! RTL against its models, through Verilator.

mod config;
mod ctrl;
mod mat;
mod vec;
