//! The integer model as a scorer of windows.

use super::{Prepared, Sequence};
use crate::Result;
use crate::model::QuantModel;
use crate::perplexity::{Scorer, Stream};
use std::sync::Arc;

impl Scorer for Arc<Prepared<'_>> {
    fn nll(&self, window: &[u32]) -> Result<Vec<f64>> {
        self.nll_behind(window, 0)
    }

    fn nll_behind(&self, window: &[u32], skip: usize) -> Result<Vec<f64>> {
        Sequence::scoring(self.clone(), self.model.lambda)?.behind_prefix()?.score(window, skip)
    }
}

impl Stream for Sequence<'_> {
    fn score(&mut self, text: &[u32]) -> Result<Vec<f64>> {
        Sequence::score(self, text, 0)
    }

    fn cache_bytes(&self) -> usize {
        Sequence::cache_bytes(self)
    }
}

impl Scorer for QuantModel {
    fn nll(&self, window: &[u32]) -> Result<Vec<f64>> {
        Arc::new(Prepared::new(self)).nll(window)
    }

    fn prepare(&self) -> Option<Box<dyn Scorer + '_>> {
        Some(Box::new(Arc::new(Prepared::new(self))))
    }
}
