//! A compiled program on a device as an engine.

use super::held::Held;
use super::{Engine, Part};
use crate::{Error, Result};
use accllm_compiler::{Layout, Program, Step};
use accllm_device::perf::Work;
use accllm_device::{Compared, Device, read_head, write_head};
use accllm_quant::model::{HeadCache, LambdaShape};

/// A text on a device: the prompt in blocks, then token by token.
pub struct DeviceEngine<D> {
    device: D,
    layout: Layout,
    position: u64,
    held: Held,
    /// Whether the logits in the device's memory are those of the last token.
    logits: bool,
    prefill: Work,
    decode: Work,
}

impl<D: Device> DeviceEngine<D> {
    /// An empty text on a device that holds `program`.
    pub fn new(program: &Program, device: D) -> Self {
        let layout = program.layout.clone();
        let held = Held::new(layout.shape.lambda, layout.shape.ring);
        let (prefill, decode) = (Work::default(), Work::default());
        Self { device, layout, position: 0, held, logits: false, prefill, decode }
    }

    /// The device.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// Steps of prompts.
    pub fn prefill(&self) -> &Work {
        &self.prefill
    }

    /// Steps of single tokens.
    pub fn decode(&self) -> &Work {
        &self.decode
    }

    fn resume(&mut self, position: u64) -> Result<()> {
        self.logits = false;
        self.device.resume(position)?;
        self.position = position;
        Ok(())
    }
}

impl<D: Device> Engine for DeviceEngine<D> {
    fn lambda(&self) -> LambdaShape {
        self.layout.shape.lambda
    }

    fn block(&self) -> usize {
        self.layout.shape.block
    }

    fn position(&self) -> u64 {
        self.position
    }

    /// One run of the program.
    fn step(&mut self, tokens: &[u32], part: Part) -> Result<Option<u32>> {
        let head = part != Part::Prompt;
        let args = self.layout.args(Step { position: self.position, tokens: tokens.len(), head })?;
        let block = self.layout.io_block(self.position, tokens)?;
        self.device.write_aux(self.layout.aux.ids, &block)?;
        self.logits = false;
        let outcome = self.device.run(args)?;
        self.logits = head;
        self.position += tokens.len() as u64;
        let work = if part == Part::Token { &mut self.decode } else { &mut self.prefill };
        work.add(tokens.len(), outcome.counters);
        Ok(head.then_some(outcome.token))
    }

    fn logits(&mut self) -> Result<Vec<i32>> {
        if !self.logits {
            return Err(super::no_logits());
        }
        let mut bytes = vec![0; 4 * self.layout.shape.dims.vocab];
        self.device.read_aux(self.layout.aux.logits, &mut bytes)?;
        Ok(bytes.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    fn rewind(&mut self, to: u64) -> Result<bool> {
        let can = self.held.rewind(self.position, to);
        if can {
            self.resume(to)?;
        }
        Ok(can)
    }

    fn head_cache(&mut self, layer: usize, head: usize) -> Result<HeadCache> {
        let d = &self.layout.shape.dims;
        if layer >= d.layers || head >= d.kv_heads {
            return Err(Error::Argument(format!("there is no KV head {head} of layer {layer}")));
        }
        read_head(&mut self.device, &self.layout, self.position, (layer, head))
    }

    fn restore(
        &mut self,
        position: u64,
        heads: &mut dyn FnMut(usize, usize) -> Result<HeadCache>,
    ) -> Result<()> {
        self.held = Held::new(self.lambda(), self.layout.shape.ring);
        self.resume(0)?;
        for layer in 0..self.layout.shape.dims.layers {
            for head in 0..self.layout.shape.dims.kv_heads {
                let cache = heads(layer, head)?;
                write_head(&mut self.device, &self.layout, position, (layer, head), &cache)?;
            }
        }
        self.held.restored(position);
        self.resume(position)
    }

    fn finish(&mut self) -> Result<()> {
        self.device.finish()
    }

    fn compared(&self) -> Option<Compared> {
        self.device.compared()
    }

    fn work(&self) -> Option<[&Work; 2]> {
        Some([&self.prefill, &self.decode])
    }
}
