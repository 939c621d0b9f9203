//! The model of a benchmark: random weights of a known shape, or the bundled model.

use super::Options;
use crate::shapes::{self, Random};
use crate::{Error, Result};
use accllm_compiler::image::{ModelSource, fill_image};
use accllm_compiler::synthetic::Synthetic;
use accllm_compiler::{MemoryImage, ModelSpec, Program, Settings, Step};
use accllm_device::progress::Progress;
use accllm_device::{Device as _, GoldenDevice};
use accllm_hw::config::{BEAT_BYTES, Config};
use accllm_llm::model::LambdaShape;
use accllm_text::bundled;
use accllm_text::calibration::{Calibration, stream};
use accllm_text::model::{Ready, Source};

/// Weights, and where tokens come from.
pub enum Model {
    /// Random weights and tokens.
    Random {
        /// The generator.
        source: Box<Synthetic>,
        /// Layers of the shape.
        layers: usize,
    },
    /// The bundled model and a text of its kind.
    Bundled {
        /// The model.
        ready: Box<Ready>,
        /// The text.
        text: Vec<u32>,
    },
}

fn lambda(o: &Options, default: LambdaShape) -> LambdaShape {
    LambdaShape { n_sink: o.sinks.unwrap_or(default.n_sink), n_window: o.window.unwrap_or(default.n_window) }
}

impl Model {
    /// The model that `o` names.
    ///
    /// # Errors
    /// There is none of that name, or an option has no meaning for it.
    pub fn open(o: &Options) -> Result<Self> {
        if o.shape == shapes::BUNDLED {
            return Self::bundled(o);
        }
        let sizes = shapes::open(&o.shape)?;
        let random = Random {
            layers: o.layers,
            lambda: lambda(o, shapes::LAMBDA),
            prob_wide: o.prob_wide.unwrap_or(true),
            seed: o.seed,
        };
        let mut source = random.model(&sizes)?;
        source.formats = o.formats.unwrap_or(source.formats);
        Ok(Self::Random { source: Box::new(source), layers: sizes.layers })
    }

    fn bundled(o: &Options) -> Result<Self> {
        let fixed = [
            ("--layers", o.layers.is_some()),
            ("--prob-bits", o.prob_wide.is_some()),
            ("formats", o.formats.is_some()),
        ];
        if let Some((option, _)) = fixed.iter().find(|f| f.1) {
            let shape = shapes::BUNDLED;
            return Err(Error::Argument(format!(
                "{option} is for shapes with random weights; {shape} is a model with its own"
            )));
        }
        let source = Source::find(bundled::NAME)?;
        let ready = Ready::open(&source, &Calibration::open(None)?)?;
        let arch = &ready.model.arch;
        let text = stream(bundled::VALIDATION, &ready.tokenizer, arch.bos, &arch.eos)?;
        Ok(Self::Bundled { ready: Box::new(ready), text })
    }

    /// What the compiler knows of the model.
    pub fn spec(&self) -> ModelSpec {
        self.source().spec()
    }

    /// The attention shape that `o` asks for.
    pub fn lambda(&self, o: &Options) -> LambdaShape {
        match self {
            Self::Random { source, .. } => source.lambda,
            Self::Bundled { ready, .. } => lambda(o, ready.model.lambda),
        }
    }

    fn source(&self) -> &dyn ModelSource {
        match self {
            Self::Random { source, .. } => source.as_ref(),
            Self::Bundled { ready, .. } => &ready.model,
        }
    }

    /// Layers of the whole model.
    pub fn layers(&self) -> usize {
        match self {
            Self::Random { layers, .. } => *layers,
            Self::Bundled { ready, .. } => ready.model.arch.sizes.layers,
        }
    }

    /// Compiles and checks.
    ///
    /// # Errors
    /// The model does not fit the configuration.
    pub fn program(&self, o: &Options, config: &Config) -> Result<Program> {
        let settings = Settings { lambda: self.lambda(o), block: o.block, sequences: o.batch.unwrap_or(1) };
        let program = Program::compile(&self.spec(), config, &settings)?;
        program.check()?;
        Ok(program)
    }

    /// The image with an empty cache.
    ///
    /// # Errors
    /// A weight cannot be packed.
    pub fn image(&self, program: &Program, progress: &dyn Progress) -> Result<MemoryImage> {
        let l = &program.layout;
        let beats = l.weights.end * l.shape.channels + l.shape.sizes.vocab * l.aux.embed_row;
        progress.begin("weights", (beats * BEAT_BYTES) as u64);
        let image = fill_image(program, self.source(), &|bytes| progress.advance(bytes as u64));
        progress.end();
        Ok(image?)
    }

    /// Puts a text of `context` tokens into the KV cache of each sequence: random codes, or the text itself by way of the
    /// golden executor.
    ///
    /// # Errors
    /// The text is not that long.
    pub fn fill_cache(&self, program: &Program, image: &mut MemoryImage, context: u64) -> Result<()> {
        if let Self::Random { source, .. } = self {
            return Ok(source.fill_cache(program, image, context)?);
        }
        let layout = &program.layout;
        let mut golden = GoldenDevice::new(program, image)?;
        for s in 0..layout.shape.sequences {
            let mut position = 0;
            for block in self.tokens(s, context as usize, 0)?.chunks(layout.shape.block) {
                golden.write_aux(layout.aux.ids, &layout.io_block(position, block)?)?;
                let step = Step { position, tokens: block.len(), head: false };
                golden.run(layout.sequence_args(s, step)?)?;
                position += block.len() as u64;
            }
        }
        golden.copy_memory(image)
    }

    /// `count` tokens of a sequence from `position` on.
    ///
    /// # Errors
    /// The text is not that long.
    pub fn tokens(&self, sequence: usize, count: usize, position: u64) -> Result<Vec<u32>> {
        match self {
            Self::Random { source, .. } => {
                // Any spread of ids will do: each reads an embedding row of its own.
                let seed = source.seed.wrapping_add((sequence as u64) << 32);
                let id = |p: u64| p.wrapping_add(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
                Ok((position..).take(count).map(|p| (id(p) % source.sizes.vocab as u64) as u32).collect())
            }
            Self::Bundled { text, .. } => {
                // Sequences begin in different places of the text.
                const APART: u64 = 101;
                let from = position.saturating_add(sequence as u64 * APART);
                let at = usize::try_from(from).unwrap_or(usize::MAX);
                let end = at.checked_add(count).filter(|end| *end <= text.len());
                let tokens = end.and_then(|end| text.get(at..end)).ok_or_else(|| {
                    Error::Argument(format!(
                        "{count} tokens from position {position}: the text of {} has {}",
                        shapes::BUNDLED,
                        text.len()
                    ))
                })?;
                Ok(tokens.to_vec())
            }
        }
    }
}
