//! Writes a quantized model: into a temporary folder beside the target, which is then renamed.

use super::manifest::{
    BIASED, FORMAT, Formats, HeadEntry, LayerEntry, MANIFEST, Manifest, NormEntry, TENSORS, VERSION,
};
use super::packed::{self, Narrow};
use super::{HeadCache, Layer, Norm, QuantModel, Weight};
use crate::tokenizer::Files;
use crate::{Error, Result};
use accllm_hw::sizes::Linear;
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize_to_file};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

impl QuantModel {
    /// Writes the model to `folder`, with `tokenizer` (a `tokenizer.json`, or where it would be beside a
    /// `tokenizer.model`) copied beside it, and the chat template that is in the tokenizer's folder.
    ///
    /// An existing quantized model there is replaced; any other non-empty folder is refused. The folder
    /// appears complete or not at all.
    pub fn save(&self, folder: &Path, tokenizer: Option<&Path>) -> Result<()> {
        self.save_with(folder, tokenizer, &[])
    }

    /// [`QuantModel::save`] with other files, `(name, text)`: a model card.
    ///
    /// # Errors
    /// As there.
    pub fn save_with(&self, folder: &Path, tokenizer: Option<&Path>, files: &[(&str, &str)]) -> Result<()> {
        self.check(folder)?;
        let replace = may_replace(folder)?;
        let partial = sibling(folder, "partial");
        let result =
            self.write_into(&partial, tokenizer, files).and_then(|()| swap(&partial, folder, replace));
        if result.is_err() {
            // Best effort: the first error is the one to report.
            let _ = std::fs::remove_dir_all(&partial);
        }
        result
    }

    /// Refuses a folder into which [`QuantModel::save`] would not write.
    ///
    /// # Errors
    /// It holds other files, or cannot be looked into.
    pub fn check_target(folder: &Path) -> Result<()> {
        may_replace(folder).map(|_| ())
    }

    fn write_into(&self, folder: &Path, tokenizer: Option<&Path>, files: &[(&str, &str)]) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|e| Error::io("write", &path, e))?;
        }
        let path = folder.join(MANIFEST);
        let json =
            serde_json::to_string_pretty(&self.manifest()).map_err(|e| Error::malformed(&path, "JSON", e))?;
        std::fs::write(&path, json).map_err(|e| Error::io("write", &path, e))?;
        if let Some(source) = tokenizer {
            Files::copy(source, folder)?;
        }
        let path = folder.join(TENSORS);
        let tensors: Vec<_> = self.tensors().collect();
        let views = tensors
            .iter()
            .map(|t| {
                let view = TensorView::new(t.dtype, t.shape.clone(), &t.bytes);
                view.map(|v| (t.name.as_str(), v)).map_err(|e| Error::malformed(&path, "safetensors", e))
            })
            .collect::<Result<Vec<_>>>()?;
        serialize_to_file(views, None, &path).map_err(|e| Error::malformed(&path, "safetensors", e))
    }

    /// Names the model by its contents: 32 hexadecimal digits of a hash over manifest and tensors.
    ///
    /// # Errors
    /// None that a checked model has.
    pub fn fingerprint(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        let bad = |e| Error::malformed(Path::new(MANIFEST), "JSON", e);
        field(&serde_json::to_vec(&self.manifest()).map_err(bad)?);
        for tensor in self.tensors() {
            field(tensor.name.as_bytes());
            field(&tensor.bytes);
        }
        Ok(hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect())
    }

    fn manifest(&self) -> Manifest {
        Manifest {
            format: FORMAT.to_string(),
            version: if self.layers.iter().any(Layer::is_more_than_plain) { BIASED } else { VERSION },
            arch: self.arch.clone(),
            resid_frac: self.resid_frac,
            embed_shift: self.embed_shift,
            logit_frac: self.logit_frac,
            prob_wide: self.prob_wide,
            lambda: self.lambda,
            layers: self.layers.iter().map(layer_entry).collect(),
            final_norm: norm_entry(&self.final_norm),
            head: HeadEntry { format: self.head.grid.format },
            prefix: self.prefix.tokens.clone(),
        }
    }

    /// Tensor by tensor, so that a whole copy exists only where it is asked for.
    fn tensors(&self) -> impl Iterator<Item = Tensor> + '_ {
        let a = &self.arch.sizes;
        let norm = |name: String, n: &Norm| Tensor::i16(name, vec![n.g.len()], &n.g);
        let layers = self.layers.iter().enumerate().flat_map(move |(l, layer)| {
            let norms = [("attn_norm", &layer.attn_norm), ("mlp_norm", &layer.mlp_norm)];
            let norms = norms.into_iter().map(move |(name, n)| norm(format!("L{l}.{name}.g"), n));
            let linear =
                move |(linear, w): (Linear, &Weight)| Tensor::linear(&format!("L{l}.{}", linear.name()), w);
            let heads = layer.head_norms.iter().flat_map(|norms| ["q_norm", "k_norm"].into_iter().zip(norms));
            let heads = heads.map(move |(name, n)| norm(format!("L{l}.{name}.g"), n));
            norms.chain(heads).chain(layer.linears().flat_map(linear))
        });
        std::iter::once_with(|| Tensor::narrow("embed", &self.embed, a.hidden))
            .flatten()
            .chain(layers)
            .chain(std::iter::once_with(move || norm("final_norm.g".into(), &self.final_norm)))
            .chain(std::iter::once_with(|| Tensor::linear("head", &self.head)).flatten())
            .chain(self.prefix_tensors())
    }

    /// Keys and values of the prefix, `[layers * kv_heads, tokens, width]`.
    fn prefix_tensors(&self) -> Vec<Tensor> {
        let (a, p) = (&self.arch.sizes, &self.prefix);
        if p.tokens.is_empty() {
            return Vec::new();
        }
        let rows = || vec![p.heads.len(), p.tokens.len()];
        let wide = |width: usize| [rows(), vec![width]].concat();
        let codes = |name: &str, width, of: fn(&HeadCache) -> &[i8]| {
            let bytes = p.heads.iter().flat_map(of).map(|c| c.cast_unsigned()).collect();
            Tensor { name: name.into(), dtype: Dtype::I8, shape: wide(width), bytes }
        };
        let meta = || p.heads.iter().flat_map(|h| &h.k_meta);
        vec![
            codes("prefix.k", a.padded_head(), |h| &h.k),
            Tensor {
                name: "prefix.k_scale".into(),
                dtype: Dtype::U16,
                shape: rows(),
                bytes: meta().flat_map(|m| m.0.to_le_bytes()).collect(),
            },
            Tensor::i16("prefix.k_base".into(), rows(), &meta().map(|m| m.1).collect::<Vec<_>>()),
            codes("prefix.v", a.head_dim, |h| &h.v),
        ]
    }
}

/// A tensor as it goes into the file.
struct Tensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    fn i16(name: String, shape: Vec<usize>, data: &[i16]) -> Self {
        let bytes = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { name, dtype: Dtype::I16, shape, bytes }
    }

    fn narrow(name: &str, data: &[i16], cols: usize) -> Vec<Self> {
        let Narrow { width, shift, codes } = Narrow::pack(data, cols);
        let part = |part: &str, bytes: Vec<u8>| Self {
            name: format!("{name}.{part}"),
            dtype: Dtype::U8,
            shape: vec![bytes.len()],
            bytes,
        };
        vec![part("width", width), part("shift", shift), part("codes", codes)]
    }

    fn linear(name: &str, w: &Weight) -> Vec<Self> {
        let bytes = packed::row_bytes(w.grid.format, w.grid.cols_padded());
        let mult = w.mult.iter().flat_map(|v| v.to_le_bytes()).collect();
        let part =
            |part: &str, dtype, shape, bytes| Self { name: format!("{name}.{part}"), dtype, shape, bytes };
        let mut parts = vec![
            part(w.grid.format.name(), Dtype::U8, vec![w.grid.rows, bytes], packed::pack(&w.grid)),
            part("scale", Dtype::U8, vec![w.grid.rows, w.grid.groups()], w.grid.scale.clone()),
            part("mult", Dtype::U16, vec![w.grid.rows], mult),
            part("shift", Dtype::U8, vec![w.grid.rows], w.shift.clone()),
        ];
        if !w.grid.offset.is_empty() {
            let offset = w.grid.offset.iter().map(|v| v.cast_unsigned()).collect();
            parts.push(part("offset", Dtype::I8, vec![w.grid.rows, w.grid.groups()], offset));
        }
        if !w.bias.is_empty() {
            let bias = w.bias.iter().flat_map(|v| v.to_le_bytes()).collect();
            parts.push(part("bias", Dtype::I32, vec![w.grid.rows], bias));
        }
        parts
    }
}

fn norm_entry(n: &Norm) -> NormEntry {
    NormEntry { eps: n.eps, gs: n.gs }
}

fn layer_entry(l: &Layer) -> LayerEntry {
    LayerEntry {
        attn_norm: norm_entry(&l.attn_norm),
        mlp_norm: norm_entry(&l.mlp_norm),
        constants: l.constants,
        leads: l.leads.clone(),
        format: Formats {
            q: l.q.grid.format,
            k: l.k.grid.format,
            v: l.v.grid.format,
            o: l.o.grid.format,
            gate: l.gate.grid.format,
            up: l.up.grid.format,
            down: l.down.grid.format,
        },
        biases: l.biased().map(|l| l.name().to_string()).collect(),
        head_norms: l.head_norms.as_ref().map(|norms| norms.each_ref().map(norm_entry)),
    }
}

/// `folder` with `.name.what-PID` as its last part.
fn sibling(folder: &Path, what: &str) -> PathBuf {
    let name = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    folder.with_file_name(format!(".{name}.{what}-{}", std::process::id()))
}

/// Whether something at `folder` must make way; refuses what is not a quantized model.
fn may_replace(folder: &Path) -> Result<bool> {
    let refuse = |why: &str| {
        let source = std::io::Error::new(std::io::ErrorKind::AlreadyExists, why.to_string());
        Err(Error::io("write", folder, source))
    };
    if folder.file_name().is_none() {
        return refuse("the path does not end in a folder name");
    }
    match std::fs::read_dir(folder) {
        Ok(mut entries) => {
            if entries.next().is_some() && !folder.join(MANIFEST).is_file() {
                return refuse("the folder holds other files; choose an empty or new folder");
            }
            Ok(true)
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io("look into", folder, e)),
    }
}

/// Puts `partial` in the place of `folder`.
fn swap(partial: &Path, folder: &Path, replace: bool) -> Result<()> {
    let old = sibling(folder, "old");
    if replace {
        std::fs::rename(folder, &old).map_err(|e| Error::io("move aside", folder, e))?;
    }
    if let Err(e) = std::fs::rename(partial, folder) {
        if replace {
            // Put the previous model back; the rename error is the one to report.
            let _ = std::fs::rename(&old, folder);
        }
        return Err(Error::io("rename to", folder, e));
    }
    if replace {
        std::fs::remove_dir_all(&old).map_err(|e| Error::io("remove", &old, e))?;
    }
    Ok(())
}
