//! Quality as a metric: the perplexity of a real checkpoint, quantized by closed forms to the formats of a work and scored in
//! integers with the work's attention shape.
//!
//! In a sweep's folder each quantized model and each perplexity is kept, by contents: `quality/MODEL/` and
//! `quality/KEY.json`. One process at a time quantizes or scores; the others wait, and then find what it left.

use super::format::Formats;
use super::lock::lock;
use super::name::{beside, hex};
use super::work::Work;
use crate::shapes;
use crate::{Error, Result};
use accllm_device::output::write_whole;
use accllm_device::progress::Silent;
use accllm_hw::beat::WeightFormat;
use accllm_hw::sizes::Sizes;
use accllm_llm::model::{LambdaShape, QuantModel, check_lambda};
use accllm_llm::perplexity::{Protocol, perplexity};
use accllm_text::bundled;
use accllm_text::calibration::{Calibration, read_text, stream};
use accllm_text::card;
use accllm_text::model::Source;
use accllm_text::recipe::{self, Recipe, quantize};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::create_dir_all;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Hash of the sources of quantizer and integer model.
const QUANTIZER: &str = env!("ACCLLM_QUANTIZER");

/// Keys of [`Text`] that name files.
pub const FILES: [&str; 2] = ["text", "calibration"];

/// `[quality]` as it is written in a spec.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// The checkpoint: a folder, a GGUF file, or the bundled model.
    model: String,
    /// Text that is scored; the bundled stories where it is not given.
    text: Option<String>,
    /// Calibration text; bundled stories where it is not given.
    calibration: Option<String>,
    /// Tokens of it, at most; the preset's number where it is not given.
    tokens: Option<usize>,
    /// Tokens of a window.
    #[serde(default = "window")]
    window: usize,
    /// Windows that are scored.
    #[serde(default = "windows")]
    windows: usize,
    /// Quantized models that are there already, by the format of all their linear layers.
    #[serde(default)]
    ready: BTreeMap<String, String>,
}

fn window() -> usize {
    Protocol::TINYTALES.window
}

fn windows() -> usize {
    16
}

/// A perplexity that was measured, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    perplexity: f64,
}

/// A checkpoint whose perplexity is a metric.
pub struct Quality {
    text: Text,
    source: Source,
    sizes: Sizes,
    scored: String,
    calibration: Calibration,
    ready: BTreeMap<String, Source>,
    identity: String,
    folder: OnceLock<PathBuf>,
    /// The model of the last work, by its key.
    last: Mutex<Option<(String, QuantModel)>>,
}

impl fmt::Debug for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quality").field("text", &self.text).field("identity", &self.identity).finish()
    }
}

impl Quality {
    /// Finds what a spec names, as seen from `folder`; weights of a folder are read for their hash only.
    ///
    /// # Errors
    /// A file or the checkpoint is not there, or is of no supported family; a format has no such name.
    pub fn open(text: Text, folder: &Path) -> Result<Self> {
        let model = |name: &str| if name == bundled::NAME { name.to_owned() } else { under(folder, name) };
        let source = Source::find(&model(&text.model))?;
        source.check_tokenizer()?;
        let sizes = source.sizes()?;
        let path = |name: &Option<String>| name.as_ref().map(|n| PathBuf::from(beside(folder, n)));
        let scored = path(&text.text).map_or(Ok(bundled::VALIDATION.to_owned()), |p| read_text(&p))?;
        let calibration = Calibration::open(path(&text.calibration).as_deref())?;
        let mut ready = BTreeMap::new();
        let mut hashes = vec![card::fingerprint(&source)?];
        for (format, name) in &text.ready {
            Formats::parse(&toml::Value::String(format.clone())).map_err(Error::Argument)?;
            let found = Source::find(&model(name))?;
            hashes.push(format!("{format} {}", card::fingerprint(&found)?));
            ready.insert(format.clone(), found);
        }
        let texts = [&scored, calibration.text()].map(|t| hex(&Sha256::digest(t)));
        let how = (text.tokens, text.window, text.windows);
        let identity = hex(&Sha256::digest(json!([QUANTIZER, hashes, texts, how]).to_string()));
        let (folder, last) = (OnceLock::new(), Mutex::new(None));
        Ok(Self { text, source, sizes, scored, calibration, ready, identity, folder, last })
    }

    /// Hash of everything that decides the perplexity but formats and attention shape.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Keeps models and perplexities in this folder from now on.
    pub fn keep(&self, folder: PathBuf) {
        // The first folder stays; a spec has one.
        let _ = self.folder.set(folder);
    }

    /// Whether a shape is that of the checkpoint.
    pub fn scores(&self, shape: &str) -> bool {
        shapes::open(shape).is_ok_and(|sizes| sizes == self.sizes)
    }

    /// Perplexity with a work's formats and attention shape; none where the work has another shape than the checkpoint.
    ///
    /// # Errors
    /// The checkpoint cannot be read or quantized, or the text is too short.
    pub fn perplexity(&self, work: &Work) -> Result<Option<f64>> {
        if !self.scores(&work.shape) {
            return Ok(None);
        }
        let formats = work.format.resolve(self.sizes.linear_weights());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let model_key = self.key(&json!(formats.map(WeightFormat::name)));
        let key = self.key(&json!([model_key, work.sinks, work.window, work.prob_bits]));
        let kept = self.folder.get().map(|folder| folder.join(format!("{key}.json")));
        let _lock = match self.folder.get() {
            Some(folder) => {
                create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
                Some(lock(folder)?)
            }
            None => None,
        };
        if let Some(text) = kept.as_ref().and_then(|path| std::fs::read(path).ok()) {
            let path = kept.unwrap_or_default();
            let known: Kept =
                serde_json::from_slice(&text).map_err(|e| Error::io("read", &path, e.into()))?;
            return Ok(Some(known.perplexity));
        }
        if last.as_ref().is_none_or(|(held, _)| *held != model_key) {
            *last = None;
            *last = Some((model_key.clone(), self.model(formats, &model_key)?));
        }
        let Some((_, model)) = last.as_mut() else { return Ok(None) };
        let lambda = LambdaShape { n_sink: work.sinks, n_window: work.window };
        check_lambda(lambda, Path::new("work"))?;
        (model.lambda, model.prob_wide) = (lambda, work.prob_bits == 16);
        let tokenizer = self.source.tokenizer(self.sizes.vocab)?;
        let tokens = stream(&self.scored, &tokenizer, model.arch.bos, &model.arch.eos)?;
        let how = Protocol { window: self.text.window, windows: Some(self.text.windows) };
        let value = perplexity(&*model, &tokens, how)?.perplexity;
        if let Some(path) = kept {
            let text = json!(Kept { perplexity: value }).to_string();
            write_whole(&path, text.as_bytes())?;
        }
        Ok(Some(value))
    }

    /// The quantized model: one that is there already, one that was kept, or a new one.
    fn model(&self, formats: [WeightFormat; 7], key: &str) -> Result<QuantModel> {
        let one = formats.iter().all(|f| *f == formats[0]).then(|| formats[0].name());
        if let Some(ready) = one.and_then(|name| self.ready.get(name)) {
            return Ok(QuantModel::load(ready.folder())?);
        }
        let kept = self.folder.get().map(|folder| folder.join(key));
        if let Some(there) = kept.as_ref().filter(|path| path.join("quant.json").is_file()) {
            return Ok(QuantModel::load(there)?);
        }
        let float = self.source.float()?;
        let tokenizer = self.source.tokenizer(self.sizes.vocab)?;
        let formats = recipe::Formats::Each(formats);
        let recipe = Recipe { formats, tokens: self.text.tokens, ..Recipe::fast() };
        let model = quantize(float, &tokenizer, &self.calibration, &recipe, None, &Silent)?.model;
        if let Some(path) = kept {
            model.save(&path, None)?;
        }
        Ok(model)
    }

    fn key(&self, of: &serde_json::Value) -> String {
        hex(&Sha256::digest(json!([self.identity, of]).to_string()))
    }
}

fn under(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}
