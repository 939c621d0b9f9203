//! The control part (`hw/rtl/ctrl`) with units played by the test: dispatch order and operands against a model of the
//! sequencer, faults, the host protocol, and the auxiliary port.

#[path = "ctrl/aux_port.rs"]
mod aux_port;
#[path = "ctrl/bench.rs"]
mod bench;
#[path = "ctrl/faults.rs"]
mod faults;
#[path = "ctrl/host.rs"]
mod host;
#[path = "ctrl/model.rs"]
mod model;
#[path = "ctrl/programs.rs"]
mod programs;
#[path = "ctrl/timeline.rs"]
mod timeline;
#[path = "ctrl/whole.rs"]
pub mod whole;
