//! RTL against its models, through Verilator.

mod assertions;
mod config;
mod ctrl;
mod mat;
mod vec;
