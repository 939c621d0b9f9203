//! Seeded random quantized models of any shape, for tests. Values have the magnitudes of real models, so that no
//! tensor is saturated throughout or zero.

use accllm_hw::beat::{PATTERNS, WeightFormat};
use accllm_quant::model::{Arch, LambdaShape, Layer, LayerConstants, Linear, Norm, QuantModel};

/// What to make.
#[derive(Debug, Clone, PartialEq)]
pub struct Synthetic {
    /// Residual width.
    pub hidden: usize,
    /// MLP width.
    pub ff: usize,
    /// Layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// KV heads.
    pub kv_heads: usize,
    /// Head width.
    pub head_dim: usize,
    /// Vocabulary.
    pub vocab: usize,
    /// Formats of q k v o gate up down.
    pub formats: [WeightFormat; 7],
    /// Format of the head.
    pub head: WeightFormat,
    /// 16-bit probabilities and MLP inputs.
    pub wide: bool,
    /// All layers with the same constants.
    pub uniform: bool,
    /// Default attention shape.
    pub lambda: LambdaShape,
    /// Seed.
    pub seed: u64,
}

impl Default for Synthetic {
    /// Two layers of the smallest useful size.
    fn default() -> Self {
        Self {
            hidden: 64,
            ff: 172,
            layers: 2,
            heads: 2,
            kv_heads: 1,
            head_dim: 8,
            vocab: 101,
            formats: [WeightFormat::W2Sparse; 7],
            head: WeightFormat::W4,
            wide: true,
            uniform: true,
            lambda: LambdaShape { n_sink: 4, n_window: 24 },
            seed: 1,
        }
    }
}

/// Shapes that tests go through: padded and whole heads, GQA, MQA, MHA, odd vocabularies, every format.
pub fn shapes() -> Vec<(&'static str, Synthetic)> {
    use WeightFormat::{W2Dense, W2Sparse, W4};
    let base = Synthetic::default();
    let mixed = [W4, W2Dense, W2Sparse, W2Dense, W4, W2Sparse, W4];
    let lambda = |n_sink, n_window| LambdaShape { n_sink, n_window };
    vec![
        ("mqa", base.clone()),
        (
            "gqa3",
            Synthetic {
                hidden: 576,
                ff: 172,
                heads: 9,
                kv_heads: 3,
                head_dim: 64,
                vocab: 257,
                seed: 2,
                ..base.clone()
            },
        ),
        (
            "mha128",
            Synthetic {
                hidden: 256,
                ff: 512,
                layers: 3,
                heads: 2,
                kv_heads: 2,
                head_dim: 128,
                vocab: 320,
                formats: mixed,
                head: W2Dense,
                uniform: false,
                lambda: lambda(0, 20),
                seed: 3,
                ..base.clone()
            },
        ),
        (
            "narrow",
            Synthetic {
                hidden: 100,
                ff: 40,
                layers: 1,
                heads: 4,
                kv_heads: 2,
                head_dim: 80,
                vocab: 33,
                formats: [W4; 7],
                head: W2Sparse,
                wide: false,
                lambda: lambda(1, 40),
                seed: 4,
                ..base.clone()
            },
        ),
        (
            "dense2",
            Synthetic {
                hidden: 320,
                ff: 544,
                layers: 2,
                heads: 8,
                kv_heads: 2,
                head_dim: 40,
                vocab: 1000,
                formats: [W2Dense; 7],
                lambda: lambda(40, 33),
                seed: 5,
                ..base.clone()
            },
        ),
        // MLP and head in chunks.
        (
            "chunks",
            Synthetic {
                ff: 5000,
                vocab: 5001,
                heads: 4,
                kv_heads: 4,
                head_dim: 16,
                lambda: lambda(2, 30),
                seed: 6,
                ..base
            },
        ),
    ]
}

/// splitmix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `low..=high`.
    fn range(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }
}

fn log2(x: f64) -> u8 {
    x.log2().round().clamp(0.0, 47.0) as u8
}

impl Synthetic {
    /// The model.
    pub fn build(&self) -> QuantModel {
        let mut rng = Rng(self.seed);
        let arch = Arch {
            hidden: self.hidden,
            ff: self.ff,
            layers: self.layers,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            vocab: self.vocab,
            rope_theta: 10000.0,
            bos: Some(0),
            eos: vec![1],
            max_positions: 2048,
        };
        QuantModel {
            resid_frac: 12,
            embed_shift: 3,
            logit_frac: 12,
            prob_wide: self.wide,
            h_wide: self.wide,
            lambda: self.lambda,
            embed: (0..self.vocab * self.hidden).map(|_| rng.range(-3000, 3000) as i16).collect(),
            layers: (0..self.layers).map(|l| self.layer(&arch, l, &mut rng)).collect(),
            final_norm: self.norm(&mut rng),
            head: self.linear(&arch, "head", self.head, 50_000.0, &mut rng),
            arch,
        }
    }

    fn norm(&self, rng: &mut Rng) -> Norm {
        let n = self.hidden as f64;
        let g = (0..self.hidden).map(|_| {
            let v = rng.range(6000, 26000);
            (if rng.range(0, 7) == 0 { -v } else { v }) as i16
        });
        let g = g.collect();
        Norm {
            eps: 1 + (n * 1e-5 * 4f64.powi(12)) as u32,
            gs: log2(16000.0 * 1048576.0 / (35.0 * n.sqrt())),
            g,
        }
    }

    fn layer(&self, arch: &Arch, l: usize, rng: &mut Rng) -> Layer {
        let vary = |v: u8| if self.uniform { v } else { v - (l % 2) as u8 };
        let zm = if self.uniform { 30_000 } else { 30_000 - 777 * l as u16 };
        let hdp = arch.padded_head() as f64;
        let constants = LayerConstants {
            rot_shift_q: vary(3),
            rot_shift_k: vary(4),
            v_shift: vary(4),
            zm,
            zs: log2(hdp.sqrt() * 8.0e6 * 3.0e4 / 1.2e4),
            og: zm - 5000,
            os: vary(23),
            hs: if self.wide { 10 } else { 17 },
        };
        let [q, k, v, o, gate, up, down] = self.formats;
        let mut make = |name, format, target| self.linear(arch, name, format, target, rng);
        let (q, k, v) = (make("q", q, 3000.0), make("k", k, 3000.0), make("v", v, 60.0));
        let o = make("o", o, 6000.0);
        let (gate, up, down) =
            (make("gate", gate, 8000.0), make("up", up, 2000.0), make("down", down, 6000.0));
        Layer { attn_norm: self.norm(rng), mlp_norm: self.norm(rng), constants, q, k, v, o, gate, up, down }
    }

    /// A linear layer whose outputs are about `target` in magnitude for inputs of the usual size.
    fn linear(&self, arch: &Arch, name: &str, format: WeightFormat, target: f64, rng: &mut Rng) -> Linear {
        let (rows, cols) = arch.linear_shape(name).unwrap_or_default();
        let padded = cols.next_multiple_of(32);
        // Columns that hold no weight: the tail of each head of `o`, the tail of the row otherwise.
        let (block, used) = if name == "o" { (arch.head_stride(), arch.head_dim) } else { (padded, cols) };
        let real = |c: usize| c % block < used;
        let mut level = vec![0i8; rows * padded];
        let mut scale = vec![0u8; rows * padded / 32];
        for (i, group) in level.chunks_exact_mut(32).enumerate() {
            scale[i] = if rng.range(0, 40) == 0 { 0 } else { rng.range(60, 255) as u8 };
            let first = i * 32 % padded;
            for (q, quad) in group.chunks_exact_mut(4).enumerate() {
                let column = first + 4 * q;
                self.quad(format, quad, |c| real(column + c), rng);
            }
        }
        let input = if name == "down" && self.wide { 5000.0 } else { 35.0 };
        let acc = (cols as f64).sqrt() * input * 1.3 * 150.0;
        let (mut mult, mut shift) = (Vec::new(), Vec::new());
        for _ in 0..rows {
            let m = rng.range(18_000, 60_000);
            mult.push(m as u16);
            shift.push(log2(acc * m as f64 / target));
        }
        Linear { format, rows, cols, level, scale, mult, shift }
    }

    fn quad(&self, format: WeightFormat, quad: &mut [i8], real: impl Fn(usize) -> bool, rng: &mut Rng) {
        let levels = format.levels();
        let kept = match format {
            WeightFormat::W2Sparse => {
                let (a, b) = PATTERNS[rng.range(0, 5) as usize];
                [a, b].to_vec()
            }
            _ => vec![0, 1, 2, 3],
        };
        for c in kept.into_iter().filter(|&c| real(c)) {
            quad[c] = levels[rng.range(0, levels.len() as i64 - 1) as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn synthetic_models_obey_the_contract() {
        for (name, s) in shapes() {
            let m = s.build();
            assert!(m.check(Path::new(name)).is_ok(), "{name}: {:?}", m.check(Path::new(name)));
            assert_eq!(m, s.build());
        }
    }
}
