//! Models by name or folder: the bundled one, a Hugging Face checkpoint, or a quantized model.

use crate::{Error, Result, bundled};
use accllm_quant::float::FloatModel;
use accllm_quant::model::QuantModel;
use accllm_quant::perplexity;
use accllm_quant::tokenizer::TextTokenizer;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What a folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `config.json` and safetensors.
    Checkpoint,
    /// `quant.json` and `quant.safetensors`.
    Quantized,
}

/// A model that was found but not read yet.
pub struct Source {
    /// Name for reports.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    folder: PathBuf,
    _unpacked: Option<TempDir>,
}

/// A quantized model with its tokenizer.
pub struct Ready {
    /// Name for reports.
    pub name: String,
    /// The integers.
    pub model: QuantModel,
    /// Its tokenizer.
    pub tokenizer: TextTokenizer,
}

impl Source {
    /// The model called `name`: [`bundled::NAME`] or a folder.
    ///
    /// # Errors
    /// There is no such folder, or it holds no model; the message lists what is accepted.
    pub fn find(name: &str) -> Result<Self> {
        if name == bundled::NAME {
            let unpacked = bundled::unpack()?;
            return Ok(Self {
                name: name.into(),
                kind: Kind::Checkpoint,
                folder: unpacked.path().to_path_buf(),
                _unpacked: Some(unpacked),
            });
        }
        let folder = Path::new(name);
        let kind = match folder {
            f if f.join("quant.json").is_file() => Kind::Quantized,
            f if f.join("config.json").is_file() => Kind::Checkpoint,
            f if f.is_dir() => {
                return Err(Error::Argument(format!(
                    "no model in {name}: neither config.json (Hugging Face checkpoint) nor quant.json \
                     (written by `accllm quantize`)"
                )));
            }
            _ => {
                return Err(Error::Argument(format!(
                    "no model folder {name}; give a Hugging Face folder, a folder written by \
                     `accllm quantize`, or `{}`",
                    bundled::NAME
                )));
            }
        };
        Ok(Self { name: name.into(), kind, folder: folder.to_path_buf(), _unpacked: None })
    }

    /// The folder it is in; of the bundled model, a temporary one.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads a checkpoint's float weights.
    ///
    /// # Errors
    /// A quantized model, which has none; or a damaged or unsupported checkpoint.
    pub fn float(&self) -> Result<FloatModel> {
        match self.kind {
            Kind::Checkpoint => Ok(accllm_quant::hf::load_model(&self.folder)?),
            Kind::Quantized => Err(Error::Argument(format!(
                "{} holds a quantized model, which has no float weights; give the checkpoint it was made from",
                self.name
            ))),
        }
    }

    /// Reads the tokenizer for a vocabulary of `vocab` tokens.
    ///
    /// # Errors
    /// The file is missing or damaged.
    pub fn tokenizer(&self, vocab: usize) -> Result<TextTokenizer> {
        Ok(TextTokenizer::read(&self.folder.join("tokenizer.json"), vocab)?)
    }
}

/// Tokens of `text` for calibration or scoring: stories separated by blank lines as `bos story eos` when
/// the model has both tokens, otherwise the plain text.
///
/// # Errors
/// The tokenizer refuses the text.
pub fn stream(text: &str, tokenizer: &TextTokenizer, bos: Option<u32>, eos: &[u32]) -> Result<Vec<u32>> {
    Ok(match (bos, eos.first()) {
        (Some(bos), Some(eos)) => perplexity::story_stream(text, tokenizer, bos, *eos)?,
        _ => perplexity::plain_stream(text, tokenizer)?,
    })
}
