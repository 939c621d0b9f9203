//! Models by name or folder: the bundled one, a Hugging Face checkpoint, or a quantized model.

use crate::calibration::{Calibration, read_text};
use crate::recipe::{self, Recipe};
use crate::{Error, Result, bundled};
use accllm_device::progress::Silent;
use accllm_hw::sizes::Sizes;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::FloatModel;
use accllm_llm::import::{self, gguf};
use accllm_llm::model::QuantModel;
use accllm_llm::tokenizer::TextTokenizer;
use accllm_quant::quantize::Quantized;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// What a folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `config.json` and safetensors, or a GGUF file.
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
    /// Where tokenizer and chat template are.
    folder: PathBuf,
    /// The folder or file that the weights are in.
    weights: PathBuf,
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
    /// Where its chat template comes from.
    pub chat: TemplateFiles,
    ends: Vec<u32>,
    fingerprint: OnceLock<String>,
}

/// The files beside a tokenizer that templates come from.
#[derive(Debug, Clone, Default)]
pub struct TemplateFiles {
    /// `tokenizer_config.json`.
    pub config: Option<String>,
    /// `chat_template.jinja`, which comes before the other's.
    pub jinja: Option<String>,
    /// Where `jinja` is from, if not from there.
    pub file: Option<String>,
}

impl TemplateFiles {
    /// With `source` in place of the model's template; the file that it is from, for messages.
    #[must_use]
    pub fn with_template(self, source: String, file: String) -> Self {
        Self { jinja: Some(source), file: Some(file), ..self }
    }
}

impl Source {
    /// The model called `name`: [`bundled::NAME`], a folder, or a GGUF file.
    ///
    /// # Errors
    /// There is no such folder or file, or it holds no model; the message lists what is accepted.
    pub fn find(name: &str) -> Result<Self> {
        if name == bundled::NAME {
            let unpacked = bundled::unpack()?;
            return Ok(Self {
                name: name.into(),
                kind: Kind::Checkpoint,
                folder: unpacked.path().to_path_buf(),
                weights: unpacked.path().to_path_buf(),
                _unpacked: Some(unpacked),
            });
        }
        let folder = Path::new(name);
        if gguf::is_gguf(folder) {
            return Self::find_gguf(name);
        }
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
                    "no model folder {name}; give a Hugging Face folder, a .gguf file, a folder written by \
                     `accllm quantize`, or `{}`",
                    bundled::NAME
                )));
            }
        };
        let folder = folder.to_path_buf();
        Ok(Self { name: name.into(), kind, weights: folder.clone(), folder, _unpacked: None })
    }

    /// The model in a GGUF file, its tokenizer unpacked into a temporary folder.
    fn find_gguf(name: &str) -> Result<Self> {
        let weights = PathBuf::from(name);
        let files = gguf::tokenizer_files(&weights)?;
        let unpacked = bundled::temporary(files.iter().map(|(name, text)| (*name, text.as_bytes())))?;
        Ok(Self {
            name: name.into(),
            kind: Kind::Checkpoint,
            folder: unpacked.path().to_path_buf(),
            weights,
            _unpacked: Some(unpacked),
        })
    }

    /// The folder it is in; of the bundled model and of a GGUF file, a temporary one with its tokenizer.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder or file that the weights are in.
    pub(crate) fn weights(&self) -> &Path {
        &self.weights
    }

    /// Reads a checkpoint's float weights.
    ///
    /// # Errors
    /// A quantized model, which has none; or a damaged or unsupported checkpoint.
    pub fn float(&self) -> Result<FloatModel> {
        match self.kind {
            Kind::Checkpoint => Ok(import::load_model(&self.weights)?),
            Kind::Quantized => Err(self.no_float()),
        }
    }

    /// The sizes of a checkpoint, without its weights.
    ///
    /// # Errors
    /// As [`Source::float`], of what the checkpoint says of itself.
    pub fn sizes(&self) -> Result<Sizes> {
        match self.kind {
            Kind::Checkpoint => Ok(import::load_config(&self.weights)?.sizes),
            Kind::Quantized => Err(self.no_float()),
        }
    }

    fn no_float(&self) -> Error {
        Error::Argument(format!(
            "{} holds a quantized model, which has no float weights; give the checkpoint it was made from",
            self.name
        ))
    }

    /// Refuses a family that is not supported, and a tokenizer that cannot be read, before a large checkpoint is read.
    ///
    /// # Errors
    /// `config.json` is damaged or of another family; and as [`Source::tokenizer`].
    pub fn check_tokenizer(&self) -> Result<()> {
        let config = self.folder.join("config.json");
        if config.is_file() {
            LlamaConfig::read(&config)?;
        }
        self.tokenizer(usize::MAX).map(|_| ())
    }

    /// Reads the tokenizer for a vocabulary of `vocab` tokens.
    ///
    /// # Errors
    /// The file is missing or damaged.
    pub fn tokenizer(&self, vocab: usize) -> Result<TextTokenizer> {
        Ok(TextTokenizer::read(&self.folder.join("tokenizer.json"), vocab)?)
    }
}

impl Source {
    /// Reads what its chat template comes from.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub fn chat(&self) -> Result<TemplateFiles> {
        let read = |name: &str| {
            let path = self.folder.join(name);
            path.is_file().then(|| read_text(&path)).transpose()
        };
        let (config, jinja) = (read("tokenizer_config.json")?, read("chat_template.jinja")?);
        Ok(TemplateFiles { config, jinja, file: None })
    }
}

/// Quantizes a float model without training.
///
/// # Errors
/// The calibration text is too short or does not fit the tokenizer; a weight cannot be represented.
pub fn quantize(
    float: FloatModel,
    tokenizer: &TextTokenizer,
    calibration: &Calibration,
) -> Result<Quantized> {
    recipe::quantize(float, tokenizer, calibration, &Recipe::fast(), None, &Silent)
}

impl Ready {
    /// Reads a quantized model, or quantizes a checkpoint.
    ///
    /// # Errors
    /// See [`Source::find`], [`Source::float`] and [`quantize`].
    pub fn open(source: &Source, calibration: &Calibration) -> Result<Self> {
        let (model, tokenizer) = match source.kind {
            Kind::Quantized => {
                let model = QuantModel::load(source.folder())?;
                let tokenizer = source.tokenizer(model.arch.sizes.vocab)?;
                (model, tokenizer)
            }
            Kind::Checkpoint => {
                source.check_tokenizer()?;
                let float = source.float()?;
                let tokenizer = source.tokenizer(float.config.sizes.vocab)?;
                let quantized = quantize(float, &tokenizer, calibration)?;
                (quantized.model, tokenizer)
            }
        };
        let chat = source.chat()?;
        let mut ends = model.arch.eos.clone();
        ends.extend(tokenizer.end().filter(|end| !ends.contains(end)));
        Ok(Self { name: source.name.clone(), model, tokenizer, chat, ends, fingerprint: OnceLock::new() })
    }

    /// Names the model by its contents. Takes a while for a large one, once.
    ///
    /// # Errors
    /// None that a checked model has.
    pub fn fingerprint(&self) -> Result<&str> {
        if let Some(known) = self.fingerprint.get() {
            return Ok(known);
        }
        let new = self.model.fingerprint()?;
        Ok(self.fingerprint.get_or_init(|| new))
    }

    /// The token that texts begin with: the tokenizer's, where the model has no prefix in its place.
    pub fn begin(&self) -> Option<u32> {
        self.tokenizer.begin().filter(|_| self.model.prefix.tokens.is_empty())
    }

    /// The tokens that texts end at: those of the checkpoint and of its tokenizer.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Tokens of a prompt, after the token that texts begin with.
    ///
    /// # Errors
    /// The tokenizer refuses the text, or nothing is left of it.
    pub fn prompt(&self, text: &str) -> Result<Vec<u32>> {
        let mut tokens: Vec<u32> = self.begin().into_iter().collect();
        tokens.extend(self.tokenizer.encode(text)?);
        if tokens.is_empty() {
            return Err(Error::Argument(
                "the prompt is empty, and the model does not begin texts with a token of its own".into(),
            ));
        }
        Ok(tokens)
    }
}
