//! Checks that a quantized model obeys the contract; run on every load and before every write.

use super::{GROUP, LambdaShape, Layer, Norm, QuantModel, UNROTATED, Weight, WeightFormat};
use crate::{Error, Result};
use accllm_hw::fixed;
use accllm_hw::sizes::Linear;
use std::path::Path;

impl QuantModel {
    /// Checks shapes, ranges and level structure; `path` is used in messages.
    pub fn check(&self, path: &Path) -> Result<()> {
        let a = &self.arch.sizes;
        self.arch.check(path)?;
        check_lambda(self.lambda, path)?;
        at_most(path, "resid_frac", self.resid_frac, 24)?;
        at_most(path, "embed_shift", self.embed_shift, 10)?;
        at_most(path, "logit_frac", self.logit_frac, 24)?;
        same(path, "embed", self.embed.len(), a.vocab * a.hidden)?;
        same(path, "layers", self.layers.len(), a.layers)?;
        let biased = |l: &Layer| l.biased().collect::<Vec<_>>();
        for (l, layer) in self.layers.iter().enumerate() {
            if biased(layer) != self.layers.first().map(biased).unwrap_or_default() {
                let why = format!("are of {:?}; all layers have the same", biased(layer));
                return Err(Error::config(path, format!("layers[{l}].biases"), why));
            }
            let c = &layer.constants;
            let limits = [
                ("rot_shift_q", c.rot_shift_q, 15),
                ("rot_shift_k", c.rot_shift_k, 15),
                ("v_shift", c.v_shift, 31),
                ("zs", c.zs, 47),
                ("os", c.os, 47),
                ("hs", c.hs, 47),
            ];
            for (name, value, max) in limits {
                at_most(path, &format!("layers[{l}].{name}"), value, max)?;
            }
            if !layer.leads.is_empty() {
                same(path, &format!("layers[{l}].leads"), layer.leads.len(), a.kv_heads)?;
            }
            if !layer.rotates() && layer.leads.iter().any(|lead| *lead != UNROTATED) {
                let why = format!(
                    "are {:?}; {UNROTATED} (no rotation) is for all heads of a layer or none",
                    layer.leads
                );
                return Err(Error::config(path, format!("layers[{l}].leads"), why));
            }
            for lead in layer.leads.iter().filter(|_| layer.rotates()) {
                at_most(path, &format!("layers[{l}].leads"), *lead, (a.head_dim / 2 - 1) as u8)?;
            }
            if layer.head_norms.is_some() != self.layers.first().is_some_and(|l| l.head_norms.is_some()) {
                let why = "are there or not, and in the first layer the other way";
                return Err(Error::config(path, format!("layers[{l}].head_norms"), why));
            }
            for (name, n) in ["q_norm", "k_norm"].into_iter().zip(layer.head_norms.iter().flatten()) {
                check_norm(n, path, &format!("L{l}.{name}"), a.head_dim)?;
            }
            check_norm(&layer.attn_norm, path, &format!("L{l}.attn_norm"), a.hidden)?;
            check_norm(&layer.mlp_norm, path, &format!("L{l}.mlp_norm"), a.hidden)?;
            for (linear, w) in layer.linears() {
                self.check_linear(w, path, linear, &format!("L{l}.{}", linear.name()))?;
            }
        }
        if !self.head.bias.is_empty() {
            return Err(Error::unsupported(path, "head.bias", "a bias of the head", "none"));
        }
        check_norm(&self.final_norm, path, "final_norm", a.hidden)?;
        self.prefix.check(path, a)?;
        self.check_linear(&self.head, path, Linear::Head, "head")
    }

    fn check_linear(&self, w: &Weight, path: &Path, linear: Linear, full: &str) -> Result<()> {
        let shape = self.arch.sizes.quantized(linear);
        if (w.grid.rows, w.grid.cols) != shape {
            return Err(Error::Shape {
                path: path.to_path_buf(),
                tensor: full.to_string(),
                found: vec![w.grid.rows, w.grid.cols],
                expected: vec![shape.0, shape.1],
            });
        }
        let (block, used) = self.arch.sizes.used_columns(linear);
        w.check(path, full, |column| column % block < used)
    }
}

impl super::Arch {
    /// Checks the sizes against the limits of the engine, and the tokens against the vocabulary.
    pub(super) fn check(&self, path: &Path) -> Result<()> {
        let (sizes, field) = (&self.sizes, |field| format!("arch.{field}"));
        sizes.check().map_err(|(name, why)| Error::config(path, field(name), why))?;
        match self.bos.iter().chain(&self.eos).find(|id| **id as usize >= sizes.vocab) {
            Some(id) => Err(Error::config(
                path,
                field("bos/eos"),
                format!("names token {id}; vocab is {}", sizes.vocab),
            )),
            None => Ok(()),
        }
    }
}

impl Weight {
    /// Checks tensor lengths, shifts and level structure; `used` tells real columns from padding.
    fn check(&self, path: &Path, full: &str, used: impl Fn(usize) -> bool) -> Result<()> {
        let (width, groups) = (self.grid.cols_padded(), self.grid.groups());
        same(path, &format!("{full}.level"), self.grid.level.len(), self.grid.rows * width)?;
        same(path, &format!("{full}.scale"), self.grid.scale.len(), self.grid.rows * groups)?;
        let offsets = if self.grid.format == WeightFormat::W4 { self.grid.rows * groups } else { 0 };
        same(path, &format!("{full}.offset"), self.grid.offset.len(), offsets)?;
        same(path, &format!("{full}.mult"), self.mult.len(), self.grid.rows)?;
        same(path, &format!("{full}.shift"), self.shift.len(), self.grid.rows)?;
        if !self.bias.is_empty() {
            same(path, &format!("{full}.bias"), self.bias.len(), self.grid.rows)?;
        }
        let bad = |part: &str, element: usize, value: String, expected| Error::Value {
            path: path.to_path_buf(),
            tensor: format!("{full}.{part}"),
            element,
            value,
            expected,
        };
        if let Some(i) = self.shift.iter().position(|s| *s > 63) {
            return Err(bad("shift", i, self.shift[i].to_string(), "shifts are 0..=63"));
        }
        if let Some(i) = self.bias.iter().position(|b| fixed::resid_add(0, *b) != *b) {
            return Err(bad("bias", i, self.bias[i].to_string(), "biases have 26 bits"));
        }
        let mut of_format = [false; 256];
        self.grid.format.levels().iter().for_each(|l| of_format[usize::from(l.cast_unsigned())] = true);
        for (g, level) in self.grid.level.chunks_exact(GROUP).enumerate() {
            let first = g % groups * GROUP;
            let scaled = self.grid.scale[g] != 0;
            for (q, quad) in level.chunks_exact(4).enumerate() {
                let real = |i: usize| used(first + 4 * q + i);
                for (i, l) in quad.iter().enumerate() {
                    let zero_ok = self.grid.format == WeightFormat::W2Sparse || !scaled || !real(i);
                    if !(of_format[usize::from(l.cast_unsigned())] || *l == 0 && zero_ok)
                        || (*l != 0 && !real(i))
                    {
                        let what = "not a level of this weight's format, or a weight in a padding column";
                        return Err(bad("level", g * GROUP + 4 * q + i, l.to_string(), what));
                    }
                }
                let kept = quad.iter().filter(|l| **l != 0).count();
                let exact = scaled && (0..4).all(real);
                if self.grid.format == WeightFormat::W2Sparse && (kept > 2 || exact && kept != 2) {
                    let what = "2:4 needs exactly two non-zero levels in each group of four columns";
                    return Err(bad(
                        "level",
                        g * GROUP + 4 * q,
                        format!("one of {kept} non-zero levels"),
                        what,
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Checks the limits of an attention shape; `path` is used in messages.
///
/// # Errors
/// As [`LambdaShape::check`].
pub fn check_lambda(lambda: LambdaShape, path: &Path) -> Result<()> {
    lambda.check().map_err(|(field, why)| Error::config(path, format!("lambda.{field}"), why))
}

fn check_norm(n: &Norm, path: &Path, name: &str, hidden: usize) -> Result<()> {
    same(path, &format!("{name}.g"), n.g.len(), hidden)?;
    at_most(path, &format!("{name}.gs"), n.gs, 47)?;
    if n.eps == 0 {
        return Err(Error::config(path, format!("{name}.eps"), "is 0; it must be at least 1"));
    }
    Ok(())
}

fn at_most(path: &Path, field: &str, value: u8, max: u8) -> Result<()> {
    between(path, field, usize::from(value), 0, usize::from(max))
}

fn between(path: &Path, field: &str, value: usize, min: usize, max: usize) -> Result<()> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(Error::config(path, field, format!("is {value}; expected {min} to {max}")))
}

fn same(path: &Path, field: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::config(path, field, format!("has {found} elements; expected {expected}")))
}
