//! Saving and restoring sessions.

use super::Session;
use super::file::{Header, Saved, Writer};
use crate::message::Message;
use crate::{Error, Result};
use accllm_device::output;
use std::fs::File;
use std::path::Path;

impl Session<'_> {
    /// Writes the session to `path`: whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written, or the device's.
    pub fn save(&mut self, path: &Path) -> Result<()> {
        self.save_conversation(path, None)
    }

    /// [`Session::save`] of a text that is the conversation `messages`.
    ///
    /// # Errors
    /// As there.
    pub fn save_conversation(&mut self, path: &Path, messages: Option<&[Message]>) -> Result<()> {
        output::check_file(path)?;
        let header = Header {
            position: self.runner.position(),
            tokens: self.tokens.len() as u64,
            messages: messages.map(<[_]>::to_vec),
            ..self.header()?
        };
        let mut writer = Writer::new(&header, &self.tokens)
            .map_err(|e| Error::Argument(format!("cannot describe the session: {e}")))?;
        for layer in 0..header.layers {
            for head in 0..header.kv_heads {
                writer.head(header.widths, &self.runner.head_cache(layer, head)?);
            }
        }
        output::write_whole(path, &writer.finish())
    }

    /// Makes this the session in `path`, which may have been saved from any device. Returns the conversation that it
    /// is, where it is one.
    ///
    /// # Errors
    /// The file cannot be read, is truncated or damaged, or is of another model or attention shape: the session is then
    /// as before. Or the device's: it is then empty.
    pub fn load(&mut self, path: &Path) -> Result<Option<Vec<Message>>> {
        let io = |e| Error::io("read session from", path, e);
        let file = File::open(path).map_err(io)?;
        let meta = file.metadata().map_err(io)?;
        let bad =
            |what: String| Error::Argument(format!("{} is not a session for this: {what}", path.display()));
        if !meta.is_file() {
            return Err(bad("it is no file".into()));
        }
        let saved =
            Saved::read(file, meta.len(), &self.header()?, &self.ready.model.arch.sizes).map_err(bad)?;
        if let Some(what) = self.without_prefix(&saved.tokens, saved.header.position) {
            return Err(bad(what));
        }
        self.reset()?;
        let heads = &mut |layer, head| Ok(saved.head(layer, head));
        if let Err(e) = self.runner.restore(saved.header.position, heads) {
            self.reset()?;
            return Err(e);
        }
        self.tokens = saved.tokens;
        Ok(saved.header.messages)
    }

    fn header(&self) -> Result<Header> {
        Ok(Header::new(self.ready.fingerprint()?, &self.ready.model.arch.sizes, self.runner.lambda()))
    }
}
