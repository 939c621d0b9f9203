//! The bytes of a saved session: `docs/formats.md` §4.

use crate::message::Message;
use accllm_hw::numbers::numbers;
use accllm_hw::regs::CONTRACT_VERSION;
use accllm_hw::sizes::Sizes;
use accllm_llm::model::{HeadCache, LambdaShape};
use serde::{Deserialize, Serialize};
use std::io::Read;

/// First bytes of a session file.
pub const MAGIC: &[u8; 8] = b"ACCLLMS\0";
/// Version of the file format.
pub const VERSION: u32 = 1;
/// Magic, version, contract version, length of the description.
const START: usize = 8 + 4 + 4 + 8;
/// Largest description, conversation included.
const MAX_HEADER: u64 = 1 << 30;

/// What the file says about the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Fingerprint of the quantized model.
    pub model: String,
    /// Attention shape.
    #[serde(flatten)]
    pub lambda: LambdaShape,
    /// Decoder layers.
    pub layers: usize,
    /// KV heads of each.
    pub kv_heads: usize,
    /// Elements of a key and of a value.
    pub widths: (usize, usize),
    /// Tokens that the KV cache has seen.
    pub position: u64,
    /// Tokens of the text; at least as many.
    pub tokens: u64,
    /// The conversation that the text is, where it is one.
    #[serde(default)]
    pub messages: Option<Vec<Message>>,
}

impl Header {
    /// Of a session of this model.
    pub fn new(model: &str, sizes: &Sizes, lambda: LambdaShape) -> Self {
        Self {
            model: model.into(),
            lambda,
            layers: sizes.layers,
            kv_heads: sizes.kv_heads,
            widths: (sizes.padded_head(), sizes.head_dim),
            position: 0,
            tokens: 0,
            messages: None,
        }
    }

    /// Why a session like `here` cannot go on from this file, if so.
    fn foreign(&self, here: &Self) -> Option<String> {
        let (there, ours) = (self.lambda, here.lambda);
        if self.model != here.model {
            return Some(format!(
                "it was saved with another model (fingerprint {}, this model has {})",
                self.model, here.model
            ));
        }
        if there != ours {
            return Some(format!(
                "it was saved with {} sinks and a window of {}, this session has {} and {}; use --sinks {} --window {}",
                there.n_sink, there.n_window, ours.n_sink, ours.n_window, there.n_sink, there.n_window
            ));
        }
        let same = Self { position: 0, tokens: 0, messages: None, ..self.clone() };
        (same != Self { position: 0, tokens: 0, messages: None, ..here.clone() })
            .then(|| "its description contradicts the model".into())
    }

    fn kept(&self) -> usize {
        self.lambda.kept(self.position).count()
    }

    /// Bytes of a head's keys, parameters, values.
    fn parts(&self) -> [usize; 3] {
        let kept = self.kept();
        [kept * self.widths.0.div_ceil(2), kept * 4, kept * self.widths.1.div_ceil(2)]
    }
}

/// A session as in its file.
pub struct Saved {
    /// Description.
    pub header: Header,
    /// All tokens.
    pub tokens: Vec<u32>,
    /// Heads, one after the other.
    heads: Vec<u8>,
}

/// Puts a file together.
pub struct Writer(Vec<u8>);

impl Writer {
    /// Begins with description and tokens.
    pub fn new(header: &Header, tokens: &[u32]) -> serde_json::Result<Self> {
        let json = serde_json::to_vec(header)?;
        let mut out = MAGIC.to_vec();
        out.extend(VERSION.to_le_bytes());
        out.extend(CONTRACT_VERSION.to_le_bytes());
        out.extend((json.len() as u64).to_le_bytes());
        out.extend(json);
        out.extend(tokens.iter().flat_map(|t| t.to_le_bytes()));
        Ok(Self(out))
    }

    /// Adds a head; layer by layer, head by head.
    pub fn head(&mut self, widths: (usize, usize), head: &HeadCache) {
        pack(&mut self.0, widths.0, &head.k);
        let param = |(step, base): &(u16, i16)| u32::from(*step) | u32::from(base.cast_unsigned()) << 16;
        self.0.extend(head.k_meta.iter().flat_map(|m| param(m).to_le_bytes()));
        pack(&mut self.0, widths.1, &head.v);
    }

    /// Ends with the checksum.
    pub fn finish(mut self) -> Vec<u8> {
        let sum = crc32fast::hash(&self.0);
        self.0.extend(sum.to_le_bytes());
        self.0
    }
}

/// Codes as nibbles, rows of `width` in whole bytes, the first element in the low half.
fn pack(out: &mut Vec<u8>, width: usize, codes: &[i8]) {
    let nibble = |c: Option<&i8>| c.map_or(0, |c| c.cast_unsigned() & 15);
    let rows = codes.chunks(width.max(1));
    out.extend(rows.flat_map(|row| row.chunks(2).map(|p| nibble(p.first()) | nibble(p.get(1)) << 4)));
}

fn unpack(width: usize, bytes: &[u8]) -> Vec<i8> {
    let signed = |n: u8| (n << 4).cast_signed() >> 4;
    let rows = bytes.chunks(width.div_ceil(2).max(1));
    rows.flat_map(|row| row.iter().flat_map(|b| [signed(b & 15), signed(b >> 4)]).take(width)).collect()
}

impl Saved {
    /// Reads and checks all of a file of `len` bytes, which must be of a session like `here`.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(mut file: impl Read, len: u64, here: &Header, sizes: &Sizes) -> Result<Self, String> {
        let short = |_| "it is too short".to_string();
        let mut start = [0; START];
        file.read_exact(&mut start).map_err(short)?;
        let (magic, rest) = start.split_at(8);
        if magic != MAGIC {
            return Err("it does not begin like one".into());
        }
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| rest[at + i]));
        let (version, contract) = (word(0), word(4));
        if version != VERSION || contract != CONTRACT_VERSION {
            return Err(format!(
                "format {version} and contract {contract}; this is {VERSION} and {CONTRACT_VERSION}"
            ));
        }
        let json = u64::from(word(8)) | u64::from(word(12)) << 32;
        if json > MAX_HEADER || json > len {
            return Err("its description is longer than the file".into());
        }
        let mut body = Vec::new();
        file.take(len).read_to_end(&mut body).map_err(|e| e.to_string())?;
        let Some((data, sum)) = body.split_last_chunk::<4>() else { return Err("it is too short".into()) };
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&start);
        hasher.update(data);
        if hasher.finalize() != u32::from_le_bytes(*sum) {
            return Err("its checksum does not match (truncated or damaged)".into());
        }
        let (json, rest) = data.split_at_checked(json as usize).ok_or("its description is cut off")?;
        let header: Header = serde_json::from_slice(json).map_err(|e| format!("description: {e}"))?;
        if let Some(why) = header.foreign(here) {
            return Err(why);
        }
        Self::body(header, rest, sizes)
    }

    fn body(header: Header, rest: &[u8], sizes: &Sizes) -> Result<Self, String> {
        if header.position > header.tokens || header.tokens > accllm_compiler::abi::MAX_POSITION {
            return Err(format!("a position of {} in {} tokens", header.position, header.tokens));
        }
        let head: usize = header.parts().iter().sum();
        let want = 4 * header.tokens as usize + head * header.layers * header.kv_heads;
        if rest.len() != want {
            return Err(format!("{} bytes of tokens and cache instead of {want}", rest.len()));
        }
        let (tokens, heads) = rest.split_at(4 * header.tokens as usize);
        let tokens = numbers(tokens).collect();
        let saved = Self { header, tokens, heads: heads.to_vec() };
        if let Some(t) = saved.tokens.iter().find(|t| **t as usize >= sizes.vocab) {
            return Err(format!("token {t} is not below the vocabulary size {}", sizes.vocab));
        }
        let kept = saved.header.kept();
        for (layer, head) in (0..sizes.layers).flat_map(|l| (0..sizes.kv_heads).map(move |h| (l, h))) {
            if !saved.head(layer, head).is_sane(sizes, kept) {
                return Err(format!("layer {layer}, KV head {head} holds numbers that no cache has"));
            }
        }
        Ok(saved)
    }

    /// The cache of a head.
    pub fn head(&self, layer: usize, head: usize) -> HeadCache {
        let [k, meta, v] = self.header.parts();
        let at = (layer * self.header.kv_heads + head) * (k + meta + v);
        let bytes = self.heads.get(at..at + k + meta + v).unwrap_or_default();
        let (keys, rest) = bytes.split_at(k.min(bytes.len()));
        let (params, values) = rest.split_at(meta.min(rest.len()));
        let param = |b: &[u8]| (u16::from_le_bytes([b[0], b[1]]), i16::from_le_bytes([b[2], b[3]]));
        HeadCache {
            k: unpack(self.header.widths.0, keys),
            k_meta: params.chunks_exact(4).map(param).collect(),
            v: unpack(self.header.widths.1, values),
        }
    }
}
