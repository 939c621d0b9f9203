//! Reads and checks a quantized model folder.

use super::manifest::{FORMAT, Header, LayerEntry, MANIFEST, Manifest, NormEntry, TENSORS, VERSION};
use super::{GROUP, HeadCache, Layer, Norm, Prefix, QuantModel, Weight, WeightFormat};
use crate::{Error, Result};
use accllm_hw::sizes::{Linear, Sizes};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use std::fs::File;
use std::path::{Path, PathBuf};

impl QuantModel {
    /// Reads the model in `folder` and checks all of it.
    pub fn load(folder: &Path) -> Result<Self> {
        let manifest = read_manifest(&folder.join(MANIFEST))?;
        manifest.arch.check(&folder.join(MANIFEST))?;
        let path = folder.join(TENSORS);
        let file = File::open(&path).map_err(|e| Error::io("open", &path, e))?;
        // SAFETY: read-only private map; see `import::hf::Checkpoint` for the accepted limit.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io("map", &path, e))?;
        let file = SafeTensors::deserialize(&map).map_err(|e| Error::malformed(&path, "safetensors", e))?;
        let model = build(manifest, &Tensors { path, file })?;
        model.check(folder)?;
        Ok(model)
    }
}

fn read_manifest(path: &Path) -> Result<Manifest> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    let bad = |e: serde_json::Error| Error::malformed(path, "quantized-model manifest", e);
    let header: Header = serde_json::from_str(&text).map_err(bad)?;
    if header.format != FORMAT {
        return Err(Error::unsupported(path, "format", format!("{:?}", header.format), FORMAT));
    }
    if header.version != VERSION {
        return Err(Error::unsupported(
            path,
            "version",
            header.version,
            format!("{VERSION}; quantize again"),
        ));
    }
    serde_json::from_str(&text).map_err(bad)
}

fn build(m: Manifest, t: &Tensors<'_>) -> Result<QuantModel> {
    let a = &m.arch.sizes;
    let layers = m.layers.iter().enumerate().map(|(l, e)| layer(t, a, l, e)).collect::<Result<Vec<_>>>()?;
    Ok(QuantModel {
        resid_frac: m.resid_frac,
        embed_shift: m.embed_shift,
        logit_frac: m.logit_frac,
        prob_wide: m.prob_wide,
        lambda: m.lambda,
        embed: t.i16("embed", &[a.vocab, a.hidden])?,
        layers,
        final_norm: t.norm("final_norm", m.final_norm, a.hidden)?,
        head: t.linear("head", a.quantized(Linear::Head), m.head.format)?,
        prefix: prefix(t, a, m.prefix)?,
        arch: m.arch,
    })
}

fn layer(t: &Tensors<'_>, a: &Sizes, l: usize, e: &LayerEntry) -> Result<Layer> {
    let linear =
        |linear: Linear, format| t.linear(&format!("L{l}.{}", linear.name()), a.quantized(linear), format);
    let f = &e.format;
    Ok(Layer {
        attn_norm: t.norm(&format!("L{l}.attn_norm"), e.attn_norm, a.hidden)?,
        mlp_norm: t.norm(&format!("L{l}.mlp_norm"), e.mlp_norm, a.hidden)?,
        constants: e.constants,
        leads: e.leads.clone(),
        q: linear(Linear::Q, f.q)?,
        k: linear(Linear::K, f.k)?,
        v: linear(Linear::V, f.v)?,
        o: linear(Linear::O, f.o)?,
        gate: linear(Linear::Gate, f.gate)?,
        up: linear(Linear::Up, f.up)?,
        down: linear(Linear::Down, f.down)?,
    })
}

fn prefix(t: &Tensors<'_>, a: &Sizes, tokens: Vec<u32>) -> Result<Prefix> {
    let (n, heads) = (tokens.len(), a.layers * a.kv_heads);
    if n == 0 {
        return Ok(Prefix::default());
    }
    let k = t.i8("prefix.k", &[heads, n, a.padded_head()])?;
    let v = t.i8("prefix.v", &[heads, n, a.head_dim])?;
    let scales = t.u16("prefix.k_scale", &[heads, n])?;
    let bases = t.i16("prefix.k_base", &[heads, n])?;
    let head = |h: usize| HeadCache {
        k: k[h * n * a.padded_head()..][..n * a.padded_head()].to_vec(),
        k_meta: (h * n..(h + 1) * n).map(|i| (scales[i], bases[i])).collect(),
        v: v[h * n * a.head_dim..][..n * a.head_dim].to_vec(),
    };
    Ok(Prefix { tokens, heads: (0..heads).map(head).collect() })
}

/// Typed access to the tensor file.
struct Tensors<'a> {
    path: PathBuf,
    file: SafeTensors<'a>,
}

impl Tensors<'_> {
    fn bytes(&self, name: &str, dtype: Dtype, expected: &'static str, shape: &[usize]) -> Result<&[u8]> {
        let view = self.file.tensor(name).map_err(|_| Error::MissingTensor {
            path: self.path.clone(),
            tensor: name.to_string(),
            shape: shape.to_vec(),
        })?;
        if view.dtype() != dtype {
            return Err(Error::Dtype {
                path: self.path.clone(),
                tensor: name.to_string(),
                found: format!("{:?}", view.dtype()),
                expected,
            });
        }
        if view.shape() != shape {
            return Err(Error::Shape {
                path: self.path.clone(),
                tensor: name.to_string(),
                found: view.shape().to_vec(),
                expected: shape.to_vec(),
            });
        }
        Ok(view.data())
    }

    fn i16(&self, name: &str, shape: &[usize]) -> Result<Vec<i16>> {
        let bytes = self.bytes(name, Dtype::I16, "I16", shape)?;
        Ok(bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect())
    }

    fn i8(&self, name: &str, shape: &[usize]) -> Result<Vec<i8>> {
        Ok(self.bytes(name, Dtype::I8, "I8", shape)?.iter().map(|b| b.cast_signed()).collect())
    }

    fn u16(&self, name: &str, shape: &[usize]) -> Result<Vec<u16>> {
        let bytes = self.bytes(name, Dtype::U16, "U16", shape)?;
        Ok(bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect())
    }

    fn norm(&self, name: &str, e: NormEntry, hidden: usize) -> Result<Norm> {
        Ok(Norm { eps: e.eps, gs: e.gs, g: self.i16(&format!("{name}.g"), &[hidden])? })
    }

    fn linear(&self, name: &str, (rows, cols): (usize, usize), format: WeightFormat) -> Result<Weight> {
        let padded = cols.checked_next_multiple_of(GROUP).unwrap_or(usize::MAX);
        let groups = padded / GROUP;
        let level = self.i8(&format!("{name}.level"), &[rows, padded])?;
        let scale = self.bytes(&format!("{name}.scale"), Dtype::U8, "U8", &[rows, groups])?;
        let offset = match format {
            WeightFormat::W4 => self.i8(&format!("{name}.offset"), &[rows, groups])?,
            _ => Vec::new(),
        };
        let mult = self.u16(&format!("{name}.mult"), &[rows])?;
        let shift = self.bytes(&format!("{name}.shift"), Dtype::U8, "U8", &[rows])?;
        Ok(Weight { format, rows, cols, level, scale: scale.to_vec(), offset, mult, shift: shift.to_vec() })
    }
}
