//! Answers as OpenAI's clients read them.

use super::worker::Done;
use crate::generate::Stop;
use serde_json::{Value, json};
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
#[derive(Debug, Clone)]
pub(super) struct Reply {
    kind: Kind,
    id: String,
    created: u64,
    model: String,
    prompt_tokens: usize,
}

impl Reply {
    pub fn new(kind: Kind, model: &str, prompt_tokens: usize) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let prefix = if kind == Kind::Chat { "chatcmpl" } else { "cmpl" };
        let id = format!("{prefix}-{:x}{:04x}", now.as_nanos(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { kind, id, created: now.as_secs(), model: model.into(), prompt_tokens }
    }

    /// The whole answer.
    pub fn whole(&self, text: &str, done: &Done) -> Value {
        let mut choice = match self.kind {
            Kind::Text => json!({"text": text}),
            Kind::Chat => json!({"message": {"role": "assistant", "content": text, "refusal": null}}),
        };
        choice["finish_reason"] = reason(done.stop).into();
        let mut all = self.object(false, choice);
        all["usage"] = self.usage(done);
        all
    }

    /// What a stream begins with, where it begins with something.
    pub fn first(&self) -> Option<Value> {
        let choice = json!({"delta": {"role": "assistant", "content": ""}, "finish_reason": null});
        (self.kind == Kind::Chat).then(|| self.object(true, choice))
    }

    /// A piece of a stream.
    pub fn piece(&self, text: &str) -> Value {
        let choice = match self.kind {
            Kind::Text => json!({"text": text, "finish_reason": null}),
            Kind::Chat => json!({"delta": {"content": text}, "finish_reason": null}),
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

    /// The number of tokens, behind the end of a stream.
    pub fn stream_usage(&self, done: &Done) -> Value {
        let mut all = self.object(true, json!({}));
        all["choices"] = json!([]);
        all["usage"] = self.usage(done);
        all
    }

    fn object(&self, chunk: bool, mut choice: Value) -> Value {
        let object = match (self.kind, chunk) {
            (Kind::Text, _) => "text_completion",
            (Kind::Chat, false) => "chat.completion",
            (Kind::Chat, true) => "chat.completion.chunk",
        };
        choice["index"] = 0.into();
        choice["logprobs"] = Value::Null;
        let Self { id, created, model, .. } = self;
        json!({"id": id, "object": object, "created": created, "model": model, "choices": [choice]})
    }

    fn usage(&self, done: &Done) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": done.tokens,
            "total_tokens": self.prompt_tokens + done.tokens,
            "prompt_tokens_details": {"cached_tokens": done.kept},
        })
    }
}

fn reason(stop: Stop) -> &'static str {
    match stop {
        Stop::Length => "length",
        Stop::End | Stop::StopString | Stop::Cancelled => "stop",
    }
}
