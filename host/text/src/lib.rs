//! Texts by a model: models by name, what continues a text, texts in progress, conversations, HTTP.
//!
//! - [`model`] opens a checkpoint or a quantized model, or the bundled one.
//! - [`calibration`] reads texts for calibration and scoring; [`message`] is what was said in a conversation.
//! - [`card`] says what a quantized model was made of.
//! - [`recipe`] quantizes a checkpoint: presets, formats, calibration.
//! - [`runner`] is whatever continues a text: the integer reference, a device, or two in lockstep.
//! - [`generate`](mod@generate) is the decoding loop, the same for all runners; [`sample`] chooses the tokens.
//! - [`session`] is a text in progress on a runner: prompts, sampling, stop strings, cancelling, saving. Start here.
//! - [`choices`] scores questions with several answers on a session.
//! - [`chat`] is a conversation on a session, by the model's chat template.
//! - [`serve`] answers over HTTP.

// Nothing panics on input: what fails is an error value.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo, clippy::unimplemented)
)]

pub mod bundled;
pub mod calibration;
pub mod card;
pub mod chat;
pub mod choices;
pub mod generate;
pub mod message;
pub mod mixture;
pub mod model;
pub mod recipe;
pub mod runner;
pub mod sample;
pub mod serve;
pub mod session;

pub use accllm_device::{Error, Result};
