//! RTL against its models, through Verilator.

mod ctrl;
