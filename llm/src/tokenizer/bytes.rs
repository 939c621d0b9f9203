//! From tokens to the bytes of a text, one token after another.

use serde_json::Value;

/// How the text of a token becomes bytes, as a `tokenizer.json` says it in `decoder`.
#[derive(Debug, Default)]
pub(super) struct Decoding {
    /// Each character stands for a byte, as in GPT-2.
    byte_level: bool,
    /// Texts that stand for others.
    replace: Vec<(String, String)>,
    /// `<0x0A>` is the byte 10.
    byte_fallback: bool,
    /// Spaces that are taken from the beginning of a text.
    strip: usize,
    /// The sign for a space, which is left out of the first token where the flag says so.
    metaspace: Option<(String, bool)>,
    /// Tokens are words, and a space is between two.
    words: bool,
}

/// What a message says is read.
pub(super) const SUPPORTED: &str =
    "none, ByteLevel, Metaspace, or a Sequence of Replace, ByteFallback, Fuse and Strip";

impl Decoding {
    /// From `decoder`; `None` where it is of a kind that is not known.
    pub fn of(decoder: &Value) -> Option<Self> {
        let mut all = Self::default();
        if decoder.is_null() {
            all.words = true;
            return Some(all);
        }
        let mut fused = false;
        let parts = match decoder["decoders"].as_array() {
            Some(parts) if decoder["type"] == "Sequence" => parts.iter().collect(),
            _ => vec![decoder],
        };
        for part in parts {
            match part["type"].as_str()? {
                "ByteLevel" => all.byte_level = true,
                "ByteFallback" => all.byte_fallback = true,
                "Fuse" => fused = true,
                "Replace" => all
                    .replace
                    .push((part["pattern"]["String"].as_str()?.into(), part["content"].as_str()?.into())),
                // Of the whole text, so the parts must be one by then.
                "Strip" if fused && part["content"] == " " && part["stop"] == 0 => {
                    all.strip += usize::try_from(part["start"].as_u64()?).ok()?;
                }
                "Metaspace" => {
                    let never = part["prepend_scheme"] == "never" || part["add_prefix_space"] == false;
                    all.metaspace = Some((part["replacement"].as_str()?.into(), !never));
                }
                _ => return None,
            }
        }
        Some(all)
    }

    /// Spaces that are taken from the beginning of a text.
    pub fn strip(&self) -> usize {
        self.strip
    }

    /// Whether every byte that belongs to no character becomes a sign of its own, as SentencePiece has it; otherwise
    /// the bytes of what began as one character share one.
    pub fn sign_for_each_byte(&self) -> bool {
        self.byte_fallback
    }

    /// The bytes of a token; `first` of its text.
    pub fn bytes(&self, token: &str, first: bool) -> Vec<u8> {
        if self.byte_level {
            let known: Option<Vec<u8>> = token.chars().map(byte_of).collect();
            return known.unwrap_or_else(|| token.as_bytes().to_vec());
        }
        if let Some(byte) = fallback(token).filter(|_| self.byte_fallback) {
            return vec![byte];
        }
        let mut text = match &self.metaspace {
            Some((sign, true)) if first => token.replace(sign, ""),
            Some((sign, _)) => token.replace(sign, " "),
            None => token.to_string(),
        };
        for (from, to) in &self.replace {
            text = text.replace(from, to);
        }
        if self.words && !first {
            text.insert(0, ' ');
        }
        text.into_bytes()
    }
}

/// The byte that a token like `<0x0A>` is for.
fn fallback(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 2)
}

/// The byte that a character is for in byte-level vocabularies: the printable ones of Latin-1 are themselves, and the
/// others are the characters from 256 on, in order.
fn byte_of(c: char) -> Option<u8> {
    let own = |b: u32| matches!(b, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let code = u32::from(c);
    let byte = if code < 256 {
        Some(code).filter(|b| own(*b))
    } else {
        (0..256).filter(|b| !own(*b)).nth(usize::try_from(code - 256).ok()?)
    };
    byte.and_then(|b| u8::try_from(b).ok())
}

/// Characters out of bytes that come in pieces. What is not yet a whole character is held back; bytes that cannot be
/// part of one become U+FFFD.
#[derive(Debug, Clone, Default)]
pub(super) struct Characters {
    pending: Vec<u8>,
    each: bool,
}

impl Characters {
    /// With a sign for each byte of what is no character, or for all of them together.
    pub fn new(each: bool) -> Self {
        Self { pending: Vec::new(), each }
    }

    /// Adds bytes; returns the characters that are complete.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut out = String::new();
        let mut rest = self.pending.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    out.push_str(text);
                    rest = &[];
                    break;
                }
                Err(e) => {
                    let (good, bad) = rest.split_at(e.valid_up_to());
                    out.push_str(&String::from_utf8_lossy(good));
                    rest = bad;
                    let Some(n) = e.error_len() else { break };
                    (0..if self.each { n } else { 1 }).for_each(|_| out.push(char::REPLACEMENT_CHARACTER));
                    rest = &rest[n..];
                }
            }
        }
        self.pending = rest.to_vec();
        out
    }

    /// What is held back at the end of the text.
    pub fn finish(self) -> String {
        let signs = if self.each { self.pending.len() } else { usize::from(!self.pending.is_empty()) };
        std::iter::repeat_n(char::REPLACEMENT_CHARACTER, signs).collect()
    }
}
