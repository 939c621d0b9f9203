//! Answers as OpenAI's clients read them.

use super::Model;
use super::scored::{self, Scored, Wanted};
use super::worker::Done;
use crate::generate::Stop;
use crate::model::Ready;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Which interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `/v1/completions`.
    Text,
    /// `/v1/chat/completions`.
    Chat,
}

/// What all parts of an answer begin with.
#[derive(Clone)]
pub(super) struct Reply {
    kind: Kind,
    id: String,
    created: u64,
    model: String,
    ready: Arc<Ready>,
    wanted: Wanted,
    prompt_tokens: usize,
}

/// The answer to a prompt.
#[derive(Default)]
pub(super) struct Choice {
    pub text: String,
    pub prompt: Vec<Scored>,
    pub answer: Vec<Scored>,
    pub done: Option<Done>,
}

impl Reply {
    pub fn new(kind: Kind, model: &Model, wanted: Wanted, prompt_tokens: usize) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let prefix = if kind == Kind::Chat { "chatcmpl" } else { "cmpl" };
        let id = format!("{prefix}-{:x}{:04x}", now.as_nanos(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self {
            kind,
            id,
            created: now.as_secs(),
            model: model.name.clone(),
            ready: model.ready.clone(),
            wanted,
            prompt_tokens,
        }
    }

    /// The whole answer: one for each of `prompts`.
    pub fn whole(&self, prompts: &[Vec<u32>], choices: &[Choice]) -> crate::Result<Value> {
        let all = prompts.iter().zip(choices).enumerate();
        let choices_json = all.map(|(i, (p, c))| self.choice(i, p, c)).collect::<crate::Result<Vec<_>>>()?;
        let mut all = self.object(false, json!({}));
        all["choices"] = choices_json.into();
        let done = |part: fn(&Done) -> usize| choices.iter().filter_map(|c| c.done.as_ref()).map(part).sum();
        all["usage"] = self.usage(done(|d| d.tokens), done(|d| d.kept));
        Ok(all)
    }

    fn choice(&self, index: usize, prompt: &[u32], choice: &Choice) -> crate::Result<Value> {
        let Choice { text, prompt: scored, answer, done } = choice;
        let logprobs = self.wanted.answer.is_some();
        let mut value = match self.kind {
            Kind::Text => {
                let before =
                    if self.wanted.echo { self.ready.tokenizer.decode(prompt)? } else { String::new() };
                let shown = if self.wanted.echo { &scored[..] } else { &[] };
                let all = [shown, answer].concat();
                let logprobs = logprobs.then(|| scored::completion(&self.ready, &all, 0));
                json!({"text": before + text, "logprobs": logprobs})
            }
            Kind::Chat => {
                let logprobs = logprobs.then(|| scored::chat(&self.ready, answer));
                json!({"message": {"role": "assistant", "content": text, "refusal": null}, "logprobs": logprobs})
            }
        };
        value["index"] = index.into();
        value["finish_reason"] = done.as_ref().map_or(Value::Null, |d| reason(d.stop).into());
        if self.wanted.prompt.is_some() {
            value["prompt_logprobs"] = scored::prompt(&self.ready, scored);
        }
        Ok(value)
    }

    /// What a stream begins with, where it begins with something.
    pub fn first(&self) -> Option<Value> {
        let choice = json!({"delta": {"role": "assistant", "content": ""}, "finish_reason": null});
        (self.kind == Kind::Chat).then(|| self.object(true, choice))
    }

    /// A piece of a stream.
    pub fn piece(&self, text: &str, scored: &[Scored]) -> Value {
        let shown = !scored.is_empty();
        let choice = match self.kind {
            Kind::Text => {
                let logprobs = shown.then(|| scored::completion(&self.ready, scored, 0));
                json!({"text": text, "finish_reason": null, "logprobs": logprobs})
            }
            Kind::Chat => {
                let logprobs = shown.then(|| scored::chat(&self.ready, scored));
                json!({"delta": {"content": text}, "finish_reason": null, "logprobs": logprobs})
            }
        };
        self.object(true, choice)
    }

    /// The end of a stream.
    pub fn last(&self, done: &Done) -> Value {
        let mut choice = match self.kind {
            Kind::Text => json!({"text": ""}),
            Kind::Chat => json!({"delta": {}}),
        };
        choice["finish_reason"] = reason(done.stop).into();
        self.object(true, choice)
    }

    /// The number of tokens, after the end of a stream.
    pub fn stream_usage(&self, done: &Done) -> Value {
        let mut all = self.object(true, json!({}));
        all["choices"] = json!([]);
        all["usage"] = self.usage(done.tokens, done.kept);
        all
    }

    fn object(&self, chunk: bool, mut choice: Value) -> Value {
        let object = match (self.kind, chunk) {
            (Kind::Text, _) => "text_completion",
            (Kind::Chat, false) => "chat.completion",
            (Kind::Chat, true) => "chat.completion.chunk",
        };
        choice["index"] = 0.into();
        if choice.get("logprobs").is_none() {
            choice["logprobs"] = Value::Null;
        }
        let Self { id, created, model, .. } = self;
        json!({"id": id, "object": object, "created": created, "model": model, "choices": [choice]})
    }

    fn usage(&self, tokens: usize, kept: usize) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": tokens,
            "total_tokens": self.prompt_tokens + tokens,
            "prompt_tokens_details": {"cached_tokens": kept},
        })
    }
}

fn reason(stop: Stop) -> &'static str {
    match stop {
        Stop::Length => "length",
        Stop::End | Stop::StopString | Stop::Cancelled => "stop",
    }
}
