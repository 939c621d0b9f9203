//! Writes GGUF files.

use crate::{Raw, tensors};

/// A key-value pair: type and bytes of the value.
pub type Pair = (String, u32, Vec<u8>);

/// A 32-bit number.
pub fn u32_pair(key: &str, v: u32) -> Pair {
    (key.into(), 4, v.to_le_bytes().to_vec())
}

/// A 32-bit float.
pub fn f32_pair(key: &str, v: f32) -> Pair {
    (key.into(), 6, v.to_le_bytes().to_vec())
}

/// A text.
pub fn text_pair(key: &str, v: &str) -> Pair {
    (key.into(), 8, text(v))
}

/// A list of values that all are of one kind.
pub fn list_pair(key: &str, kind: u32, values: &[Vec<u8>]) -> Pair {
    let head = kind.to_le_bytes().into_iter().chain((values.len() as u64).to_le_bytes());
    (key.into(), 9, head.chain(values.iter().flatten().copied()).collect())
}

/// A text as a value: its length, and its bytes.
pub fn text(v: &str) -> Vec<u8> {
    (v.len() as u64).to_le_bytes().into_iter().chain(v.bytes()).collect()
}

/// A tensor: name, shape with the slowest dimension first, ggml's type, bytes.
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// The slowest dimension first.
    pub shape: Vec<usize>,
    /// ggml's type.
    pub kind: u32,
    /// Blocks of that type.
    pub bytes: Vec<u8>,
}

/// A whole file, tensors 32 bytes apart.
pub fn file(pairs: &[Pair], tensors: &[Tensor]) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((pairs.len() as u64).to_le_bytes());
    for (key, kind, bytes) in pairs {
        out.extend(text(key));
        out.extend(kind.to_le_bytes());
        out.extend(bytes);
    }
    let mut offset = 0u64;
    for t in tensors {
        out.extend(text(&t.name));
        out.extend((t.shape.len() as u32).to_le_bytes());
        t.shape.iter().rev().for_each(|d| out.extend((*d as u64).to_le_bytes()));
        out.extend(t.kind.to_le_bytes());
        out.extend(offset.to_le_bytes());
        offset += t.bytes.len().next_multiple_of(32) as u64;
    }
    for t in tensors {
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(&t.bytes);
    }
    out
}

/// The keys of the small model, with a byte-level tokenizer of 50 tokens.
pub fn small_pairs() -> Vec<Pair> {
    let mut tokens: Vec<String> = (0..47).map(|i| char::from(b'A' + i).to_string()).collect();
    tokens.extend(["ab".to_string(), "abc".into(), "<end>".into()]);
    let texts = |all: &[String]| all.iter().map(|t| text(t)).collect::<Vec<_>>();
    let kinds: Vec<Vec<u8>> =
        (0..50).map(|i| if i == 49 { 3i32 } else { 1 }.to_le_bytes().to_vec()).collect();
    vec![
        text_pair("general.architecture", "llama"),
        u32_pair("llama.block_count", 2),
        u32_pair("llama.context_length", 64),
        u32_pair("llama.embedding_length", 40),
        u32_pair("llama.feed_forward_length", 72),
        u32_pair("llama.attention.head_count", 4),
        u32_pair("llama.attention.head_count_kv", 2),
        u32_pair("llama.rope.dimension_count", 10),
        f32_pair("llama.attention.layer_norm_rms_epsilon", 1e-5),
        text_pair("tokenizer.ggml.model", "gpt2"),
        text_pair("tokenizer.ggml.pre", "smollm"),
        list_pair("tokenizer.ggml.tokens", 8, &texts(&tokens)),
        list_pair("tokenizer.ggml.token_type", 5, &kinds),
        list_pair("tokenizer.ggml.merges", 8, &texts(&["a b".into(), "ab c".into()])),
        u32_pair("tokenizer.ggml.bos_token_id", 0),
        u32_pair("tokenizer.ggml.eos_token_id", 1),
        text_pair("tokenizer.chat_template", "{{ messages[0].content }}"),
    ]
}

/// The tensors of the small model, q and k in llama.cpp's order.
pub fn small_tensors() -> Vec<Tensor> {
    const NAMES: [(&str, &str); 12] = [
        ("model.layers.", "blk."),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
        ("model.embed_tokens", "token_embd"),
        ("lm_head", "output"),
    ];
    let convert = |Raw { name, shape, bytes, .. }: Raw| {
        let permuted = name.contains("q_proj") || name.contains("k_proj");
        let name = name.replace("model.norm", "output_norm");
        let name = NAMES.iter().fold(name, |n, (from, to)| n.replace(from, to));
        let row = 4 * 40;
        let bytes = match permuted {
            false => bytes,
            // reshape(heads, 2, 5, cols).swapaxes(1, 2)
            true => bytes
                .chunks_exact(10 * row)
                .flat_map(|head| {
                    (0..10).flat_map(move |r| head[(r % 2 * 5 + r / 2) * row..][..row].iter().copied())
                })
                .collect(),
        };
        Tensor { name, shape, kind: 0, bytes }
    };
    tensors().into_iter().map(convert).collect()
}
