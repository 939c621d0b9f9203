//! Reads and checks a quantized model folder.

use super::manifest::{FORMAT, Header, LayerEntry, MANIFEST, Manifest, NormEntry, TENSORS, VERSION};
use super::{GROUP, Layer, Linear, Norm, QuantModel, WeightFormat};
use crate::{Error, Result};
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
        // SAFETY: read-only private map; see `hf::Checkpoint` for the accepted limit.
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
    let a = &m.arch;
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
        head: t.linear("head", (a.vocab, a.hidden), m.head.format)?,
        arch: m.arch,
    })
}

fn layer(t: &Tensors<'_>, a: &super::Arch, l: usize, e: &LayerEntry) -> Result<Layer> {
    let linear = |name: &str, format| {
        t.linear(&format!("L{l}.{name}"), a.linear_shape(name).unwrap_or_default(), format)
    };
    let f = &e.format;
    Ok(Layer {
        attn_norm: t.norm(&format!("L{l}.attn_norm"), e.attn_norm, a.hidden)?,
        mlp_norm: t.norm(&format!("L{l}.mlp_norm"), e.mlp_norm, a.hidden)?,
        constants: e.constants,
        leads: e.leads.clone(),
        q: linear("q", f.q)?,
        k: linear("k", f.k)?,
        v: linear("v", f.v)?,
        o: linear("o", f.o)?,
        gate: linear("gate", f.gate)?,
        up: linear("up", f.up)?,
        down: linear("down", f.down)?,
    })
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

    fn norm(&self, name: &str, e: NormEntry, hidden: usize) -> Result<Norm> {
        Ok(Norm { eps: e.eps, gs: e.gs, g: self.i16(&format!("{name}.g"), &[hidden])? })
    }

    fn linear(&self, name: &str, (rows, cols): (usize, usize), format: WeightFormat) -> Result<Linear> {
        let padded = cols.checked_next_multiple_of(GROUP).unwrap_or(usize::MAX);
        let groups = padded / GROUP;
        let level = self.bytes(&format!("{name}.level"), Dtype::I8, "I8", &[rows, padded])?;
        let scale = self.bytes(&format!("{name}.scale"), Dtype::U8, "U8", &[rows, groups])?;
        let offset = match format {
            WeightFormat::W4 => self.bytes(&format!("{name}.offset"), Dtype::I8, "I8", &[rows, groups])?,
            _ => &[],
        };
        let mult = self.bytes(&format!("{name}.mult"), Dtype::U16, "U16", &[rows])?;
        let shift = self.bytes(&format!("{name}.shift"), Dtype::U8, "U8", &[rows])?;
        Ok(Linear {
            format,
            rows,
            cols,
            level: level.iter().map(|b| b.cast_signed()).collect(),
            scale: scale.to_vec(),
            offset: offset.iter().map(|b| b.cast_signed()).collect(),
            mult: mult.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect(),
            shift: shift.to_vec(),
        })
    }
}
