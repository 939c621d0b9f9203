//! Reads and checks a quantized model folder.

use super::manifest::{
    BIASED, FORMAT, Header, LayerEntry, MANIFEST, Manifest, NormEntry, TENSORS, UNPACKED, VERSION,
};
use super::packed::{self, Narrow};
use super::{GROUP, HeadCache, Layer, Levels, Norm, Prefix, QuantModel, Weight, WeightFormat};
use crate::{Error, Result};
use accllm_hw::numbers::numbers;
use accllm_hw::sizes::{Linear, Sizes};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use std::fs::File;
use std::path::{Path, PathBuf};

impl QuantModel {
    /// Reads the model in `folder` and checks all of it.
    ///
    /// # Errors
    /// It cannot be read, or is damaged, or of another version.
    pub fn load(folder: &Path) -> Result<Self> {
        Self::load_version(folder, VERSION)
    }

    /// As [`QuantModel::load`] for a folder of the version before, whose tensors take a byte for each weight.
    ///
    /// # Errors
    /// As there.
    pub fn load_unpacked(folder: &Path) -> Result<Self> {
        Self::load_version(folder, UNPACKED)
    }

    fn load_version(folder: &Path, version: u32) -> Result<Self> {
        let manifest = read_manifest(&folder.join(MANIFEST), version)?;
        manifest.arch.check(&folder.join(MANIFEST))?;
        let path = folder.join(TENSORS);
        let file = File::open(&path).map_err(|e| Error::io("open", &path, e))?;
        // SAFETY: read-only private map; see `import::hf::Checkpoint` for the accepted limit.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io("map", &path, e))?;
        let file = SafeTensors::deserialize(&map).map_err(|e| Error::malformed(&path, "safetensors", e))?;
        let model = build(manifest, &Tensors { path, file, packed: version == VERSION })?;
        model.check(folder)?;
        Ok(model)
    }
}

fn read_manifest(path: &Path, version: u32) -> Result<Manifest> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    let bad = |e: serde_json::Error| Error::malformed(path, "quantized-model manifest", e);
    let header: Header = serde_json::from_str(&text).map_err(bad)?;
    if header.format != FORMAT {
        return Err(Error::unsupported(path, "format", format!("{:?}", header.format), FORMAT));
    }
    if header.version != version && (header.version, version) != (BIASED, VERSION) {
        let folder = path.parent().unwrap_or(path).display();
        let advice = match (header.version, version) {
            (UNPACKED, VERSION) => format!("{VERSION}; `accllm repack {folder} -o NEW` converts it"),
            (VERSION, UNPACKED) => format!("{UNPACKED}; this folder needs no conversion"),
            _ => format!("{version}; quantize again"),
        };
        return Err(Error::unsupported(path, "version", header.version, advice));
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
        embed: t.embed(a.vocab, a.hidden)?,
        layers,
        final_norm: t.norm("final_norm", m.final_norm, a.hidden)?,
        head: t.linear("head", a, Linear::Head, m.head.format)?,
        prefix: prefix(t, a, m.prefix)?,
        arch: m.arch,
    })
}

fn layer(t: &Tensors<'_>, a: &Sizes, l: usize, e: &LayerEntry) -> Result<Layer> {
    let linear = |linear: Linear, format| {
        let name = format!("L{l}.{}", linear.name());
        let mut w = t.linear(&name, a, linear, format)?;
        if e.biases.iter().any(|b| b == linear.name()) {
            w.bias = t.i32(&format!("{name}.bias"), &[w.grid.rows])?;
        }
        Ok(w)
    };
    let unknown = |name: &&String| !Linear::LAYER.iter().any(|l| l.name() == name.as_str());
    if let Some(name) = e.biases.iter().find(unknown) {
        return Err(Error::unsupported(&t.path, format!("L{l}.biases"), name, "names of linears"));
    }
    let f = &e.format;
    Ok(Layer {
        attn_norm: t.norm(&format!("L{l}.attn_norm"), e.attn_norm, a.hidden)?,
        mlp_norm: t.norm(&format!("L{l}.mlp_norm"), e.mlp_norm, a.hidden)?,
        constants: e.constants,
        leads: e.leads.clone(),
        head_norms: head_norms(t, l, e.head_norms, a.head_dim)?,
        q: linear(Linear::Q, f.q)?,
        k: linear(Linear::K, f.k)?,
        v: linear(Linear::V, f.v)?,
        o: linear(Linear::O, f.o)?,
        gate: linear(Linear::Gate, f.gate)?,
        up: linear(Linear::Up, f.up)?,
        down: linear(Linear::Down, f.down)?,
    })
}

fn head_norms(
    t: &Tensors<'_>,
    l: usize,
    entries: Option<[NormEntry; 2]>,
    width: usize,
) -> Result<Option<[Norm; 2]>> {
    let Some([q, k]) = entries else { return Ok(None) };
    Ok(Some([t.norm(&format!("L{l}.q_norm"), q, width)?, t.norm(&format!("L{l}.k_norm"), k, width)?]))
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
    /// Whether levels and embedding are packed.
    packed: bool,
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
        Ok(numbers(self.bytes(name, Dtype::I16, "I16", shape)?).collect())
    }

    fn i32(&self, name: &str, shape: &[usize]) -> Result<Vec<i32>> {
        Ok(numbers(self.bytes(name, Dtype::I32, "I32", shape)?).collect())
    }

    fn i8(&self, name: &str, shape: &[usize]) -> Result<Vec<i8>> {
        Ok(numbers(self.bytes(name, Dtype::I8, "I8", shape)?).collect())
    }

    fn u16(&self, name: &str, shape: &[usize]) -> Result<Vec<u16>> {
        Ok(numbers(self.bytes(name, Dtype::U16, "U16", shape)?).collect())
    }

    fn norm(&self, name: &str, e: NormEntry, hidden: usize) -> Result<Norm> {
        Ok(Norm { eps: e.eps, gs: e.gs, g: self.i16(&format!("{name}.g"), &[hidden])? })
    }

    fn u8(&self, name: &str, shape: &[usize]) -> Result<&[u8]> {
        self.bytes(name, Dtype::U8, "U8", shape)
    }

    fn embed(&self, rows: usize, cols: usize) -> Result<Vec<i16>> {
        if !self.packed {
            return self.i16("embed", &[rows, cols]);
        }
        let (width, shift) = (self.u8("embed.width", &[rows])?, self.u8("embed.shift", &[rows])?);
        for (name, values, most) in [("embed.width", width, 16), ("embed.shift", shift, 15)] {
            if let Some(i) = values.iter().position(|v| *v > most) {
                let what = if most == 16 { "widths are 0..=16" } else { "shifts are 0..=15" };
                return Err(self.bad(name, i, values[i], what));
            }
        }
        let codes = self.u8("embed.codes", &[Narrow::bytes(width, cols)])?;
        Ok(Narrow { width: width.to_vec(), shift: shift.to_vec(), codes: codes.to_vec() }.unpack(cols))
    }

    fn bad(&self, tensor: &str, element: usize, value: u8, expected: &'static str) -> Error {
        let (path, tensor) = (self.path.clone(), tensor.to_string());
        Error::Value { path, tensor, element, value: value.to_string(), expected }
    }

    fn linear(&self, name: &str, sizes: &Sizes, linear: Linear, format: WeightFormat) -> Result<Weight> {
        let (rows, cols) = sizes.quantized(linear);
        let padded = cols.checked_next_multiple_of(GROUP).unwrap_or(usize::MAX);
        let groups = padded / GROUP;
        let part = |part: &str| format!("{name}.{part}");
        let scale = self.u8(&part("scale"), &[rows, groups])?;
        let level = if self.packed {
            let (block, used) = sizes.used_columns(linear);
            let levels = part(format.name());
            let bytes = self.u8(&levels, &[rows, packed::row_bytes(format, padded)])?;
            packed::unpack(format, padded, bytes, scale, |column| column % block < used)
                .map_err(|i| self.bad(&levels, i, bytes[i], "no group of four columns is written so"))?
        } else {
            self.i8(&part("level"), &[rows, padded])?
        };
        let offset = match format {
            WeightFormat::W4 => self.i8(&part("offset"), &[rows, groups])?,
            _ => Vec::new(),
        };
        let (mult, shift) = (self.u16(&part("mult"), &[rows])?, self.u8(&part("shift"), &[rows])?);
        let grid = Levels { format, rows, cols, level, scale: scale.to_vec(), offset };
        Ok(Weight { grid, mult, shift: shift.to_vec(), bias: Vec::new() })
    }
}
