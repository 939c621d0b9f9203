//! The model's prefix, which every text follows and no runner computes.

use super::Session;
use crate::Result;
use accllm_llm::model::Prefix;

impl Session<'_> {
    /// The model's prefix; without tokens for most models.
    pub(super) fn prefix(&self) -> &Prefix {
        &self.ready.model.prefix
    }

    /// `text` after the prefix; an empty text stays empty.
    pub(super) fn behind_prefix(&self, text: &[u32]) -> Vec<u32> {
        match text.is_empty() {
            true => Vec::new(),
            false => [&self.prefix().tokens, text].concat(),
        }
    }

    /// Gives a runner that has nothing the prefix's keys and values.
    pub(super) fn begin(&mut self) -> Result<()> {
        let model = &self.ready.model;
        let tokens = model.prefix.tokens.len() as u64;
        if tokens == 0 || self.runner.position() > 0 {
            return Ok(());
        }
        model.prefix.check_shape(self.runner.lambda())?;
        self.runner.restore(tokens, &mut |layer, head| Ok(model.prefix_head(layer, head)))
    }

    /// What is wrong with the tokens of a session that the runner has `position` of, if anything.
    pub(super) fn without_prefix(&self, tokens: &[u32], position: u64) -> Option<String> {
        let prefix = &self.prefix().tokens;
        let whole = tokens.is_empty() || tokens.starts_with(prefix) && tokens.len() > prefix.len();
        let computed = position == 0 || position >= prefix.len() as u64;
        (!whole || !computed).then(|| "its text does not begin with the model's prefix".into())
    }
}
