//! The integer model as a scorer of windows.

use super::{Prepared, Session};
use crate::Result;
use crate::model::QuantModel;
use crate::perplexity::Scorer;
use std::sync::Arc;

impl Scorer for Arc<Prepared<'_>> {
    fn nll(&self, window: &[u32]) -> Result<Vec<f64>> {
        Session::scoring(self.clone(), self.model.lambda)?.score(window, 0)
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
