//! Runtime and command line of accllm: models, devices, sessions.
//!
//! - [`model`] opens a checkpoint or a quantized model, or the bundled one.
//! - [`device`] runs compiled programs: golden executor, Verilator, both in lockstep, a card through XRT.
//! - [`emulation`] prepares XRT's hardware emulation.
//! - [`engine`] is whatever continues a text: the integer reference, a device, or two in lockstep.
//! - [`session`] is a text in progress on an engine: prompts, sampling, stop strings, cancelling, saving. Start here.
//! - [`chat`] is a conversation on a session, by the model's chat template.
//! - [`recipe`] quantizes a checkpoint: presets, formats, calibration.
//! - [`eval`] is perplexity of each step of the quantizer; [`long`] by position in a long text.
//! - [`ablate`] is the table of what each choice of the quantizer does, in a page.
//! - [`serve`] answers over HTTP.
//! - [`generate`](mod@generate) is the decoding loop, the same for all engines; [`sample`] chooses the tokens.
//!
//! The binary `accllm` (`src/main.rs`, `src/cli`) only parses arguments and prints reports.

pub mod ablate;
pub mod bench;
pub mod bundled;
pub mod chat;
pub mod device;
pub mod emulation;
pub mod engine;
pub mod error;
pub mod eval;
pub mod generate;
pub mod long;
pub mod mixture;
pub mod model;
pub mod output;
pub mod perf;
pub mod recipe;
pub mod sample;
pub mod serve;
pub mod session;
pub mod tensors;
pub mod timeline;

pub use error::{Error, Result};

/// Progress that nobody watches.
pub struct Silent;

impl bench::Progress for Silent {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
}
