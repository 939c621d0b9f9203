//! Where everything is: channel memory, auxiliary memory and on-chip buffers.

mod act;
mod auxmem;
mod channel;
mod place;
mod sets;
mod shape;
mod vmem;

pub use act::{ActMap, ScalarMap, ScoreMap};
pub use auxmem::AuxMap;
pub(crate) use auxmem::{I16 as AUX_I16, I32 as AUX_I32};
pub use channel::{KvMap, Stream, WeightMap};
pub use place::{KeyPlace, ValuePlace};
pub use sets::Sets;
pub use shape::{Settings, Shape};
pub use vmem::{Chunk, VmemMap};

use crate::error::{Error, Result};
use crate::spec::ModelSpec;
use accllm_hw::config::Config;
use serde::{Deserialize, Serialize};

/// The memory map of a model on a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// Sizes derived from model, configuration and settings.
    pub shape: Shape,
    /// Weight streams in the channels.
    pub weights: WeightMap,
    /// KV cache in the channels.
    pub kv: KvMap,
    /// Auxiliary memory.
    pub aux: AuxMap,
    /// Vector memory.
    pub vmem: VmemMap,
    /// Activation buffer.
    pub act: ActMap,
    /// Score buffer.
    pub score: ScoreMap,
    /// Scalar file.
    pub scalars: ScalarMap,
}

impl Layout {
    /// Lays out a model.
    ///
    /// # Errors
    /// The model or the settings are outside the engine's limits, or a buffer of the configuration is too small.
    pub fn new(spec: &ModelSpec, config: &Config, settings: &Settings) -> Result<Self> {
        spec.check()?;
        match settings.block {
            Some(_) => Self::with_block(spec, config, settings),
            None => {
                // The largest block that fits; the error of the smallest says what stands in the way.
                let (mut block, mut small) = (config.block, None);
                loop {
                    let tried = Self::with_block(spec, config, &Settings { block: Some(block), ..*settings });
                    match tried {
                        Err(e @ Error::TooSmall { .. }) if block > 1 => (block, small) = (block - 1, Some(e)),
                        // Smaller blocks have no room for the sequences: what does not fit stands in the way.
                        Err(Error::Setting { name: "sequences", .. }) if small.is_some() => {
                            return small.map_or_else(|| Err(Error::Internal("no error".into())), Err);
                        }
                        other => return other,
                    }
                }
            }
        }
    }

    /// Values of the unit constants, in the order of `accllm_hw::isa::CONSTANTS`.
    pub fn constants(&self) -> [usize; 9] {
        let s = &self.shape;
        [
            s.hdp,
            s.lambda.n_sink,
            s.lambda.n_window,
            s.ring,
            s.sink_pad,
            s.group,
            self.score.row,
            self.kv.k_window,
            s.v_dim,
        ]
    }

    fn with_block(spec: &ModelSpec, config: &Config, settings: &Settings) -> Result<Self> {
        let shape = Shape::new(spec, config, settings)?;
        let score = ScoreMap::new(&shape, config)?;
        let scalars = ScalarMap::new(&shape, &score, config)?;
        let act = ActMap::new(&shape, &score, config)?;
        let vmem = VmemMap::new(&shape, &score, config)?;
        let weights = WeightMap::new(spec, &shape, &vmem)?;
        let kv = KvMap::new(&shape, weights.end, config)?;
        let aux = AuxMap::new(&shape, config);
        Ok(Self { shape, weights, kv, aux, vmem, act, score, scalars })
    }
}

/// Error: a buffer of the configuration is too small.
fn too_small(
    shape: &Shape,
    buffer: &'static str,
    unit: &'static str,
    needed: usize,
    available: usize,
    help: &str,
) -> Result<()> {
    if needed <= available {
        return Ok(());
    }
    Err(Error::TooSmall {
        config: shape.config.clone(),
        buffer,
        needed,
        available,
        unit,
        help: help.to_string(),
    })
}
