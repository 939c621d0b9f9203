//! The hardware contract of accllm: numeric functions, beat formats, configurations, ISA and register map.
//! See `docs/numerics.md`, `docs/formats.md`, `docs/isa.md`.

pub mod beat;
pub mod card;
pub mod config;
pub mod fixed;
mod r#gen;
pub mod isa;
pub mod kernel;
pub mod regs;
pub mod rope;
pub mod tables;

pub use r#gen::files as gen_files;
