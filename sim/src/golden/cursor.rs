//! Sequential reading of a channel's stream, a borrowed slice of beats at a time.

use accllm_hw::beat::Beat;

use super::fault::{Fault, FaultCode};
use super::memory::{Memory, Port};

/// Reads beats in order, `left` of them.
pub(super) struct Cursor<'m, M> {
    memory: &'m M,
    channel: usize,
    beat: u64,
    left: usize,
    slice: &'m [Beat],
}

impl<'m, M: Memory> Cursor<'m, M> {
    /// The stream of `count` beats from `beat` of a channel.
    pub(super) fn new(memory: &'m M, channel: usize, beat: u64, count: usize) -> Self {
        Self { memory, channel, beat, left: count, slice: &[] }
    }

    /// The next beat.
    pub(super) fn next(&mut self) -> Result<&'m Beat, Fault> {
        if self.slice.is_empty() {
            let port = Port::Channel(self.channel);
            self.slice = self
                .memory
                .beats(port, self.beat, self.left.max(1))
                .map_err(|e| Fault::new(FaultCode::AxiRead, self.channel as u64, e.to_string()))?;
        }
        match self.slice.split_first() {
            Some((beat, rest)) => {
                self.slice = rest;
                self.beat += 1;
                self.left = self.left.saturating_sub(1);
                Ok(beat)
            }
            None => Err(Fault::new(
                FaultCode::AxiRead,
                self.channel as u64,
                format!("channel {} returned no data at beat {}", self.channel, self.beat),
            )),
        }
    }
}
