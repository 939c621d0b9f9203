//! What both kinds of completions have in common: from a body to a job.

use super::fields::{Fields, short, whole};
use super::refusal::{Answer, Refusal};
use super::reply::Kind;
use super::scored::Wanted;
use super::worker::{Job, Jobs};
use super::{Limits, Model, chat, completion};
use crate::runner::Cancel;
use crate::sample::Sampling;
use crate::session::Options;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use serde_json::Value;
use std::hash::{BuildHasher as _, RandomState};
use tokio::sync::{mpsc, watch};

/// What all connections use.
pub(super) struct Shared {
    pub model: Model,
    pub limits: Limits,
    pub jobs: Jobs,
    /// The origin of web pages that may ask.
    pub cors: Option<HeaderValue>,
    stop: watch::Receiver<u8>,
}

/// A request that was understood.
pub(super) struct Ask {
    /// One or more, each with an answer of its own.
    pub prompts: Vec<Vec<u32>>,
    pub options: Options,
    pub wanted: Wanted,
    /// Piece by piece.
    pub stream: bool,
    /// With the number of tokens at the end of a stream.
    pub stream_usage: bool,
}

/// Most stop strings, as OpenAI has it.
const MAX_STOPS: usize = 4;

impl Shared {
    pub fn new(model: Model, limits: Limits, jobs: Jobs, stop: watch::Receiver<u8>) -> Self {
        let cors = model.cors.as_deref().and_then(|origin| HeaderValue::from_str(origin).ok());
        Self { model, limits, jobs, cors, stop }
    }

    /// Reads a request. Long texts take a while.
    pub fn read(&self, kind: Kind, body: &[u8]) -> Answer<Ask> {
        let mut fields = Fields::parse(body)?;
        self.check_model(&mut fields)?;
        let prompts = match kind {
            Kind::Text => completion::prompts(&mut fields, &self.model)?,
            Kind::Chat => vec![chat::prompt(&mut fields, &self.model)?],
        };
        if let Some(long) = prompts.iter().map(Vec::len).find(|n| *n > self.limits.prompt) {
            let what = format!("the prompt has {long} tokens; at most {} are allowed", self.limits.prompt);
            return Err(Refusal::bad(what).code("context_length_exceeded"));
        }
        let wanted = wanted(kind, &mut fields)?;
        let stream = fields.flag("stream")?.unwrap_or(false);
        if stream && (prompts.len() > 1 || wanted.echo || wanted.prompt.is_some()) {
            let what =
                "a stream answers one prompt, without 'echo' and 'prompt_logprobs'; leave 'stream' out";
            return Err(Refusal::bad(what).param("stream"));
        }
        let options = Options {
            sampling: self.sampling(&mut fields)?,
            bias: self.bias(&mut fields)?,
            stop: stop(&mut fields)?,
            ignore_end: fields.flag("ignore_eos")?.unwrap_or(false),
            end: self.stop_tokens(&mut fields)?,
            ..Options::new(self.length(kind, wanted, &mut fields)?)
        };
        let stream_usage = match fields.take("stream_options") {
            None => false,
            Some(Value::Object(map)) => map.get("include_usage").and_then(Value::as_bool).unwrap_or(false),
            Some(other) => {
                let what = format!("'stream_options' is {}; it must be an object", short(&other));
                return Err(Refusal::bad(what).param("stream_options"));
            }
        };
        fields.refuse_rest()?;
        Ok(Ask { prompts, options, wanted, stream, stream_usage })
    }

    fn check_model(&self, fields: &mut Fields) -> Answer<()> {
        let ours = &self.model.name;
        match fields.text("model")? {
            Some(name) if name != *ours => Err(self.no_model(&name).param("model")),
            _ => Ok(()),
        }
    }

    /// There is no model of that name.
    pub fn no_model(&self, name: &str) -> Refusal {
        let what = format!("the model '{name}' does not exist; this server has '{}'", self.model.name);
        Refusal::new(StatusCode::NOT_FOUND, what).code("model_not_found")
    }

    fn sampling(&self, fields: &mut Fields) -> Answer<Sampling> {
        let default = self.model.sampling;
        let seed = fields.integer("seed")?.map(i64::cast_unsigned);
        // -1 is for all tokens, too.
        let top_k = fields.integer("top_k")?.map(|k| usize::try_from(k.max(0)).unwrap_or(0));
        let mut number = |name, default| fields.number(name).map(|n| n.unwrap_or(default));
        let sampling = Sampling {
            temperature: number("temperature", default.temperature)?,
            top_k: top_k.unwrap_or(default.top_k),
            top_p: number("top_p", default.top_p)?,
            min_p: number("min_p", default.min_p)?,
            repetition_penalty: number("repetition_penalty", default.repetition_penalty)?,
            presence_penalty: number("presence_penalty", default.presence_penalty)?,
            frequency_penalty: number("frequency_penalty", default.frequency_penalty)?,
            seed: seed.unwrap_or_else(|| RandomState::new().hash_one(())),
        };
        sampling.check()?;
        Ok(sampling)
    }

    /// A token of the model.
    fn token(&self, id: Option<u32>) -> Option<u32> {
        id.filter(|id| (*id as usize) < self.model.ready.model.arch.sizes.vocab)
    }

    /// `logit_bias`: from token ids to what is added to their logits.
    fn bias(&self, fields: &mut Fields) -> Answer<Vec<(u32, f64)>> {
        const NAME: &str = "logit_bias";
        let bad = |what: String| Refusal::bad(what).param(NAME);
        match fields.take(NAME) {
            None => Ok(Vec::new()),
            Some(Value::Object(map)) => {
                let entry = |(id, value): (&String, &Value)| {
                    let token = self.token(id.parse().ok());
                    let bias = value.as_f64().filter(|b| (-100.0..=100.0).contains(b));
                    token.zip(bias).ok_or_else(|| {
                        bad(format!(
                            "'{NAME}' has {} for {id:?}; it needs token ids, and numbers from -100 to 100",
                            short(value)
                        ))
                    })
                };
                map.iter().map(entry).collect()
            }
            Some(other) => Err(bad(format!("'{NAME}' is {}; it must be an object", short(&other)))),
        }
    }

    /// `stop_token_ids`.
    fn stop_tokens(&self, fields: &mut Fields) -> Answer<Vec<u32>> {
        const NAME: &str = "stop_token_ids";
        let Some(value) = fields.take(NAME) else { return Ok(Vec::new()) };
        let token = |v: &Value| self.token(whole(v).and_then(|n| u32::try_from(n).ok()));
        let all = value.as_array().and_then(|list| list.iter().map(token).collect::<Option<Vec<_>>>());
        all.ok_or_else(|| {
            Refusal::bad(format!("'{NAME}' is {}; it must be a list of the model's tokens", short(&value)))
                .param(NAME)
        })
    }

    /// Tokens to write.
    fn length(&self, kind: Kind, wanted: Wanted, fields: &mut Fields) -> Answer<usize> {
        let (newer, asked) = (fields.count("max_completion_tokens")?, fields.count("max_tokens")?);
        let most = self.limits.tokens;
        let default = match kind {
            Kind::Text => completion::LENGTH.min(most),
            Kind::Chat => most,
        };
        // A prompt alone can be worth an answer.
        let least = if wanted.echo || wanted.prompt.is_some() { 0 } else { 1 };
        match newer.or(asked).unwrap_or(default) {
            n if (least..=most).contains(&n) => Ok(n),
            n => {
                let what = format!("'max_tokens' is {n}; it must be {least} to {most}");
                Err(Refusal::bad(what).param("max_tokens"))
            }
        }
    }

    /// Puts a prompt of a request into the queue.
    pub fn queue(&self, ask: &Ask, prompt: &[u32]) -> Answer<Pending> {
        if *self.stop.borrow() > 0 {
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping"));
        }
        let (reply, events) = mpsc::unbounded_channel();
        let options = Options { cancel: Cancel::new(), ..ask.options.clone() };
        let hangup = Hangup(options.cancel.clone());
        self.jobs.push(Job { tokens: prompt.to_vec(), options, wanted: ask.wanted, reply })?;
        Ok(Pending { events, _hangup: hangup })
    }
}

/// Stop strings.
fn stop(fields: &mut Fields) -> Answer<Vec<String>> {
    let text = |v: &Value| v.as_str().filter(|s| !s.is_empty()).map(str::to_string);
    let all = match fields.take("stop") {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) if list.len() <= MAX_STOPS => list.iter().map(text).collect(),
        Some(one) => text(&one).map(|s| vec![s]),
    };
    all.ok_or_else(|| {
        let what = format!("'stop' must be a string or up to {MAX_STOPS} strings, none of them empty");
        Refusal::bad(what).param("stop")
    })
}

/// What is asked about tokens: `logprobs` is a number in one interface, and in the other true, with a number beside it.
fn wanted(kind: Kind, fields: &mut Fields) -> Answer<Wanted> {
    let limited = |name: &'static str, n: Option<usize>| match n {
        Some(n) if n > Wanted::MOST => {
            Err(Refusal::bad(format!("'{name}' is {n}; it must be 0 to {}", Wanted::MOST)).param(name))
        }
        n => Ok(n),
    };
    let answer = match kind {
        Kind::Text => {
            let said = fields.take("logprobs").filter(|v| *v != Value::Bool(false));
            let number = said.as_ref().map(|v| whole(v).and_then(|n| usize::try_from(n).ok()));
            match number {
                Some(None) => {
                    let what = format!("'logprobs' must be 0 to {}", Wanted::MOST);
                    return Err(Refusal::bad(what).param("logprobs"));
                }
                n => limited("logprobs", n.flatten())?,
            }
        }
        Kind::Chat => {
            let top = limited("top_logprobs", fields.count("top_logprobs")?)?;
            match fields.flag("logprobs")?.unwrap_or(false) {
                true => Some(top.unwrap_or(0)),
                false if top.is_some_and(|n| n > 0) => {
                    let what = "'top_logprobs' needs 'logprobs' to be true";
                    return Err(Refusal::bad(what).param("top_logprobs"));
                }
                false => None,
            }
        }
    };
    let echo = if kind == Kind::Text { fields.flag("echo")?.unwrap_or(false) } else { false };
    Ok(Wanted { answer, echo, prompt: limited("prompt_logprobs", fields.count("prompt_logprobs")?)? })
}

/// A request in the queue or being computed; dropping it cancels it.
pub(super) struct Pending {
    pub events: mpsc::UnboundedReceiver<super::worker::Event>,
    _hangup: Hangup,
}

struct Hangup(Cancel);

impl Drop for Hangup {
    fn drop(&mut self) {
        self.0.set();
    }
}
