//! Tokens with their log-probabilities, as the interface has them.

use crate::model::Ready;
use crate::sample::order;
use accllm_llm::perplexity::{log_sum, rescale};
use serde_json::{Map, Value, json};

/// What a request asks to know about tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Of the answer: how many of the most likely tokens beside the chosen one.
    pub answer: Option<usize>,
    /// Of the prompt, which then comes before the answer.
    pub echo: bool,
    /// Of the prompt, in a list of its own: as `answer`.
    pub prompt: Option<usize>,
}

impl Wanted {
    /// Most tokens that are listed at a place.
    pub const MOST: usize = 20;

    /// Whether the logits after each token of the prompt are needed.
    pub fn scores_prompt(&self) -> bool {
        self.prompt.is_some() || self.echo && self.answer.is_some()
    }
}

/// A token, and how likely it and others were in its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scored {
    pub token: u32,
    /// Natural logarithm of its probability; `None` for the first token of a text, which nothing comes before.
    pub logprob: Option<f64>,
    /// Of the most likely tokens.
    pub top: Vec<(u32, f64)>,
    /// Its place among all tokens, from 1 on.
    pub rank: usize,
}

impl Scored {
    /// The first token of a text.
    pub fn first(token: u32) -> Self {
        Self { token, logprob: None, top: Vec::new(), rank: 0 }
    }

    /// A token after which logits with `frac` fraction bits it was chosen, with the `top` most likely ones.
    pub fn new(token: u32, logits: &[i32], frac: u8, top: usize) -> Self {
        let row = rescale(logits, frac);
        let sum = log_sum(&row);
        let of = |id: u32| -(sum - f64::from(row.get(id as usize).copied().unwrap_or(f32::NEG_INFINITY)));
        let scores: Vec<f64> = if top > 0 { row.iter().map(|x| f64::from(*x)).collect() } else { Vec::new() };
        let best = if top > 0 { order(&scores, top) } else { Vec::new() };
        let own = logits.get(token as usize).copied().unwrap_or(i32::MIN);
        let rank = logits
            .iter()
            .enumerate()
            .filter(|(id, l)| **l > own || **l == own && *id < token as usize)
            .count();
        Self {
            token,
            logprob: Some(of(token)),
            top: best.into_iter().map(|id| (id, of(id))).collect(),
            rank: rank + 1,
        }
    }
}

/// How a token is called in answers: its text, or `bytes:` with its bytes where they are no text.
fn name(ready: &Ready, token: u32) -> String {
    let bytes = ready.tokenizer.bytes(token);
    String::from_utf8(bytes).unwrap_or_else(|e| {
        let digits: String = e.as_bytes().iter().map(|b| format!("\\x{b:02x}")).collect();
        format!("bytes:{digits}")
    })
}

/// `logprobs` of a completion; `offset` is where its text begins.
pub(super) fn completion(ready: &Ready, all: &[Scored], offset: usize) -> Value {
    let mut at = offset;
    let mut offsets = Vec::new();
    for s in all {
        offsets.push(at);
        at += String::from_utf8_lossy(&ready.tokenizer.bytes(s.token)).chars().count();
    }
    let top = |s: &Scored| {
        let mut map = Map::new();
        // Of tokens with the same text, the most likely one.
        for (id, logprob) in s.top.iter().copied().chain(s.logprob.map(|l| (s.token, l))) {
            map.entry(name(ready, id)).or_insert_with(|| json!(logprob));
        }
        if s.logprob.is_some() { Value::Object(map) } else { Value::Null }
    };
    json!({
        "tokens": all.iter().map(|s| name(ready, s.token)).collect::<Vec<_>>(),
        "token_logprobs": all.iter().map(|s| s.logprob).collect::<Vec<_>>(),
        "top_logprobs": all.iter().map(top).collect::<Vec<_>>(),
        "text_offset": offsets,
    })
}

/// `logprobs` of an answer in a chat.
pub(super) fn chat(ready: &Ready, all: &[Scored]) -> Value {
    let entry = |id: u32, logprob: f64| {
        let bytes = ready.tokenizer.bytes(id);
        json!({"token": String::from_utf8_lossy(&bytes), "logprob": logprob, "bytes": bytes})
    };
    let one = |s: &Scored| {
        let mut value = entry(s.token, s.logprob.unwrap_or(0.0));
        value["top_logprobs"] = s.top.iter().map(|(id, l)| entry(*id, *l)).collect();
        value
    };
    json!({"content": all.iter().map(one).collect::<Vec<_>>(), "refusal": null})
}

/// `prompt_logprobs`: for each token of the prompt the most likely ones and itself, by their ids.
pub(super) fn prompt(ready: &Ready, all: &[Scored]) -> Value {
    let one = |s: &Scored| {
        let Some(logprob) = s.logprob else { return Value::Null };
        let mut map = Map::new();
        let top = s.top.iter().enumerate().map(|(i, (id, l))| (*id, *l, i + 1));
        for (id, logprob, rank) in top.chain([(s.token, logprob, s.rank)]) {
            let value = json!({"logprob": logprob, "rank": rank, "decoded_token": name(ready, id)});
            map.entry(id.to_string()).or_insert(value);
        }
        Value::Object(map)
    };
    all.iter().map(one).collect()
}
