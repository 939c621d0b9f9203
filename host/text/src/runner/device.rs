//! A compiled program on a device as a runner.

use super::held::Held;
use super::loaded::{Loaded, Phase};
use super::{Part, Runner};
use crate::{Error, Result};
use accllm_compiler::{Program, Step};
use accllm_device::perf::Work;
use accllm_device::{Compared, Device, read_head, write_head};
use accllm_llm::model::{HeadCache, LambdaShape};

/// A text on a device: the prompt in blocks, then token by token.
pub struct DeviceRunner<D> {
    loaded: Loaded<D>,
    position: u64,
    held: Held,
    /// Whether the logits in the device's memory are those of the last token.
    logits: bool,
}

impl<D: Device> DeviceRunner<D> {
    /// An empty text on a device that holds `program`.
    pub fn new(program: &Program, device: D) -> Self {
        let held = Held::new(program.layout.shape.lambda, program.layout.shape.ring);
        Self { loaded: Loaded::new(program, device), position: 0, held, logits: false }
    }

    /// The device.
    pub fn device(&self) -> &D {
        &self.loaded.device
    }

    /// Steps of prompts.
    pub fn prefill(&self) -> &Work {
        &self.loaded.prefill
    }

    /// Steps of single tokens.
    pub fn decode(&self) -> &Work {
        &self.loaded.decode
    }

    fn resume(&mut self, position: u64) -> Result<()> {
        self.logits = false;
        self.loaded.device.resume(position)?;
        self.position = position;
        Ok(())
    }
}

impl<D: Device> Runner for DeviceRunner<D> {
    fn lambda(&self) -> LambdaShape {
        self.loaded.layout.shape.lambda
    }

    fn block(&self) -> usize {
        self.loaded.layout.shape.block
    }

    fn position(&self) -> u64 {
        self.position
    }

    /// One run of the program.
    fn step(&mut self, tokens: &[u32], part: Part) -> Result<Option<u32>> {
        let head = part != Part::Prompt;
        let layout = &self.loaded.layout;
        let args = layout.args(Step { position: self.position, tokens: tokens.len(), head })?;
        let io = layout.io_block(self.position, tokens)?;
        let phase = if part == Part::Token { Phase::Decode } else { Phase::Prefill };
        self.logits = false;
        let outcome = self.loaded.run(args, &io, phase, tokens.len())?;
        self.logits = head;
        self.position += tokens.len() as u64;
        Ok(head.then_some(outcome.token))
    }

    fn logits(&mut self) -> Result<Vec<i32>> {
        if !self.logits {
            return Err(super::no_logits());
        }
        self.loaded.logits(0)
    }

    fn rewind(&mut self, to: u64) -> Result<bool> {
        let can = self.held.rewind(self.position, to);
        if can {
            self.resume(to)?;
        }
        Ok(can)
    }

    fn head_cache(&mut self, layer: usize, head: usize) -> Result<HeadCache> {
        let d = &self.loaded.layout.shape.sizes;
        if layer >= d.layers || head >= d.kv_heads {
            return Err(Error::Argument(format!("there is no KV head {head} of layer {layer}")));
        }
        let Loaded { device, layout, .. } = &mut self.loaded;
        read_head(device, layout, self.position, layer, head)
    }

    fn restore(
        &mut self,
        position: u64,
        heads: &mut dyn FnMut(usize, usize) -> Result<HeadCache>,
    ) -> Result<()> {
        self.held = Held::new(self.lambda(), self.loaded.layout.shape.ring);
        self.resume(0)?;
        let Loaded { device, layout, .. } = &mut self.loaded;
        for layer in 0..layout.shape.sizes.layers {
            for head in 0..layout.shape.sizes.kv_heads {
                let cache = heads(layer, head)?;
                write_head(device, layout, position, layer, head, &cache)?;
            }
        }
        self.held.restored(position);
        self.resume(position)
    }

    fn finish(&mut self) -> Result<()> {
        self.loaded.device.finish()
    }

    fn compared(&self) -> Option<Compared> {
        self.loaded.device.compared()
    }

    fn work(&self) -> Option<[&Work; 2]> {
        Some([&self.loaded.prefill, &self.loaded.decode])
    }
}
