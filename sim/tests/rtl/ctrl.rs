//! The control part (`hw/rtl/ctrl`) with units played by the test: dispatch order and operands against a model of the
//! sequencer, faults, the host protocol, and the auxiliary port.

mod aux_port;
mod bench;
mod faults;
mod host;
mod model;
mod programs;
mod timeline;
pub mod whole;
