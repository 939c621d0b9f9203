//! The layers of a float model: all in memory, or read one at a time from where they are stored.

use super::FloatLayer;
use crate::{Error, Result};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Gives layers on demand, always the same ones.
pub trait LayerStore: Send + Sync {
    /// Layer `l`, below the count it was made with.
    ///
    /// # Errors
    /// The weights are damaged.
    fn layer(&self, l: usize) -> Result<FloatLayer>;
}

/// Decoder layers of a model.
#[derive(Clone)]
pub enum Layers {
    /// In memory.
    Resident(Vec<FloatLayer>),
    /// Read when asked for, and forgotten after use.
    Stored {
        /// How many there are.
        count: usize,
        /// Where they are.
        store: Arc<dyn LayerStore>,
    },
}

impl Layers {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Resident(layers) => layers.len(),
            Self::Stored { count, .. } => *count,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Layer `l`.
    ///
    /// # Errors
    /// There is no such layer, or its weights are damaged.
    pub fn get(&self, l: usize) -> Result<Cow<'_, FloatLayer>> {
        match self {
            Self::Resident(layers) => layers.get(l).map(Cow::Borrowed),
            Self::Stored { count, store } if l < *count => Some(Cow::Owned(store.layer(l)?)),
            Self::Stored { .. } => None,
        }
        .ok_or_else(|| Error::Argument(format!("layer {l} was asked for, and the model has {}", self.len())))
    }

    /// Each in turn; one at a time is in memory where they are stored.
    pub fn iter(&self) -> impl Iterator<Item = Result<Cow<'_, FloatLayer>>> {
        (0..self.len()).map(|l| self.get(l))
    }

    /// Each in turn, and no longer in memory after it.
    pub fn into_each(self) -> Box<dyn Iterator<Item = Result<FloatLayer>>> {
        match self {
            Self::Resident(layers) => Box::new(layers.into_iter().map(Ok)),
            Self::Stored { count, store } => Box::new((0..count).map(move |l| store.layer(l))),
        }
    }

    /// All of them, to be changed; brings them into memory.
    ///
    /// # Errors
    /// The weights of one are damaged.
    pub fn resident(&mut self) -> Result<&mut Vec<FloatLayer>> {
        if let Self::Stored { .. } = self {
            *self = Self::Resident(self.iter().map(|l| l.map(Cow::into_owned)).collect::<Result<_>>()?);
        }
        match self {
            Self::Resident(layers) => Ok(layers),
            Self::Stored { .. } => Err(Error::Argument("the layers cannot be held in memory".into())),
        }
    }
}

impl From<Vec<FloatLayer>> for Layers {
    fn from(layers: Vec<FloatLayer>) -> Self {
        Self::Resident(layers)
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resident(layers) => f.debug_tuple("Resident").field(layers).finish(),
            Self::Stored { count, .. } => write!(f, "Stored({count} layers)"),
        }
    }
}
