//! Element types of tensors, and their values as ggml computes them.

use half::{bf16, f16};

/// A type that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "ggml's names")]
pub(super) enum ElementType {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4_K,
    Q5_K,
    Q6_K,
}

/// What a message says is read.
pub(super) const SUPPORTED: &str = "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K";

/// Weights of a K block.
const SUPER: usize = 256;

impl ElementType {
    /// By ggml's number; of one that is not read, its name.
    pub fn of(id: u32) -> Result<Self, String> {
        Ok(match id {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            12 => Self::Q4_K,
            13 => Self::Q5_K,
            14 => Self::Q6_K,
            30 => Self::BF16,
            _ => return Err(other(id)),
        })
    }

    /// Weights and bytes of a block.
    pub fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::BF16 => (1, 2),
            Self::Q4_0 => (32, 18),
            Self::Q4_1 => (32, 20),
            Self::Q5_0 => (32, 22),
            Self::Q5_1 => (32, 24),
            Self::Q8_0 => (32, 34),
            Self::Q4_K => (SUPER, 144),
            Self::Q5_K => (SUPER, 176),
            Self::Q6_K => (SUPER, 210),
        }
    }

    /// Values of whole blocks.
    pub fn decode(self, bytes: &[u8]) -> Vec<f32> {
        let (weights, size) = self.block();
        let mut out = Vec::with_capacity(bytes.len() / size * weights);
        for b in bytes.chunks_exact(size) {
            match self {
                Self::F32 => out.push(f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
                Self::F16 => out.push(half(b)),
                Self::BF16 => out.push(bf16::from_le_bytes([b[0], b[1]]).to_f32()),
                Self::Q4_0 => nibbles(&b[2..], |q, _| (f32::from(q) - 8.0) * half(b), &mut out),
                Self::Q4_1 => nibbles(&b[4..], |q, _| f32::from(q) * half(b) + half(&b[2..]), &mut out),
                Self::Q5_0 => {
                    nibbles(&b[6..], |q, i| (f32::from(q | fifth(&b[2..], i)) - 16.0) * half(b), &mut out);
                }
                Self::Q5_1 => {
                    let high = |i| fifth(&b[4..], i);
                    nibbles(&b[8..], |q, i| f32::from(q | high(i)) * half(b) + half(&b[2..]), &mut out);
                }
                Self::Q8_0 => out.extend(b[2..].iter().map(|q| f32::from(q.cast_signed()) * half(b))),
                Self::Q4_K => q4_k(b, &mut out),
                Self::Q5_K => q5_k(b, &mut out),
                Self::Q6_K => q6_k(b, &mut out),
            }
        }
        out
    }
}

/// Names of the types that exist and are not read.
fn other(id: u32) -> String {
    let name = match id {
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        _ => return format!("number {id}"),
    };
    name.into()
}

fn half(b: &[u8]) -> f32 {
    f16::from_le_bytes([b[0], b[1]]).to_f32()
}

/// 32 values from 16 bytes, all low halves first; `value` gets a nibble and its index.
fn nibbles(qs: &[u8], value: impl Fn(u8, usize) -> f32, out: &mut Vec<f32>) {
    out.extend(qs.iter().enumerate().map(|(i, q)| value(q & 15, i)));
    out.extend(qs.iter().enumerate().map(|(i, q)| value(q >> 4, i + 16)));
}

/// Bit 4 of value `i`.
fn fifth(high: &[u8], i: usize) -> u8 {
    (high[i / 8] >> (i % 8) & 1) << 4
}

/// Scale and minimum of sub-block `j`, 6 bits each, of 12 packed bytes.
fn scale_min(j: usize, q: &[u8]) -> (f32, f32) {
    let (scale, min) = match j < 4 {
        true => (q[j] & 63, q[j + 4] & 63),
        false => (q[j + 4] & 15 | (q[j - 4] >> 6) << 4, q[j + 4] >> 4 | (q[j] >> 6) << 4),
    };
    (f32::from(scale), f32::from(min))
}

fn q4_k(b: &[u8], out: &mut Vec<f32>) {
    k_block(b, &b[16..], |_, _| 0, out);
}

fn q5_k(b: &[u8], out: &mut Vec<f32>) {
    let high = &b[16..48];
    k_block(b, &b[48..], |j, l| (high[l] >> j & 1) << 4, out);
}

/// Eight sub-blocks of 32, two to 32 bytes of `qs`; `high` gives the fifth bit of value `l` of sub-block `j`.
fn k_block(b: &[u8], qs: &[u8], high: impl Fn(usize, usize) -> u8, out: &mut Vec<f32>) {
    let (d, dmin) = (half(b), half(&b[2..]));
    for j in 0..8 {
        let (scale, min) = scale_min(j, &b[4..16]);
        let (d, m) = (d * scale, dmin * min);
        for (l, q) in qs[j / 2 * 32..][..32].iter().enumerate() {
            let q = if j % 2 == 0 { q & 15 } else { q >> 4 };
            out.push(d * f32::from(q | high(j, l)) - m);
        }
    }
}

fn q6_k(b: &[u8], out: &mut Vec<f32>) {
    let (low, high, scales, d) = (&b[..128], &b[128..192], &b[192..208], half(&b[208..]));
    for n in 0..2 {
        for quarter in 0..4 {
            for l in 0..32 {
                let q = low[n * 64 + quarter % 2 * 32 + l];
                let q = if quarter < 2 { q & 15 } else { q >> 4 };
                let q = q | (high[n * 32 + l] >> (2 * quarter) & 3) << 4;
                let scale = scales[n * 8 + quarter * 2 + l / 16].cast_signed();
                out.push(d * f32::from(scale) * (f32::from(q) - 32.0));
            }
        }
    }
}
