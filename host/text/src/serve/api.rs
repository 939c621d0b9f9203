//! What both kinds of completions have in common: from a body to a job.

use super::fields::Fields;
use super::refusal::{Answer, Refusal};
use super::reply::Kind;
use super::worker::{Job, Jobs};
use super::{Limits, Model, chat, completion};
use crate::runner::Cancel;
use crate::sample::Sampling;
use crate::session::Options;
use hyper::StatusCode;
use serde::Deserialize;
use std::hash::{BuildHasher as _, RandomState};
use tokio::sync::{mpsc, watch};

/// What all connections use.
pub(super) struct Shared {
    pub model: Model,
    pub limits: Limits,
    pub jobs: Jobs,
    stop: watch::Receiver<u8>,
}

/// A request that was understood.
pub(super) struct Ask {
    pub tokens: Vec<u32>,
    pub options: Options,
    /// Piece by piece.
    pub stream: bool,
    /// With the number of tokens at the end of a stream.
    pub stream_usage: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum StopField {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize, Default)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// Most stop strings, as OpenAI has it.
const MAX_STOPS: usize = 4;

impl Shared {
    pub fn new(model: Model, limits: Limits, jobs: Jobs, stop: watch::Receiver<u8>) -> Self {
        Self { model, limits, jobs, stop }
    }

    /// Reads a request. Long texts take a while.
    pub fn read(&self, kind: Kind, body: &[u8]) -> Answer<Ask> {
        let mut fields = Fields::parse(body)?;
        self.check_model(&mut fields)?;
        fields.refuse_unsupported()?;
        let tokens = match kind {
            Kind::Text => completion::prompt(&mut fields, &self.model)?,
            Kind::Chat => chat::prompt(&mut fields, &self.model)?,
        };
        if tokens.len() > self.limits.prompt {
            let what =
                format!("the prompt has {} tokens; at most {} are allowed", tokens.len(), self.limits.prompt);
            return Err(Refusal::bad(what).code("context_length_exceeded"));
        }
        let sampling = self.sampling(&mut fields)?;
        let stop = match fields.take::<StopField>("stop")? {
            None => Vec::new(),
            Some(StopField::One(s)) => vec![s],
            Some(StopField::Many(list)) => list,
        };
        if stop.len() > MAX_STOPS || stop.iter().any(String::is_empty) {
            let what = format!("'stop' must be a string or up to {MAX_STOPS} strings, none of them empty");
            return Err(Refusal::bad(what).param("stop"));
        }
        let options = Options {
            sampling,
            stop,
            end: if kind == Kind::Chat {
                self.model.template.end(&self.model.ready).into_iter().collect()
            } else {
                Vec::new()
            },
            ..Options::new(self.length(kind, &mut fields)?)
        };
        let stream = fields.take("stream")?.unwrap_or(false);
        let stream_usage = fields.take::<StreamOptions>("stream_options")?.unwrap_or_default().include_usage;
        Ok(Ask { tokens, options, stream, stream_usage })
    }

    fn check_model(&self, fields: &mut Fields) -> Answer<()> {
        let ours = &self.model.name;
        match fields.take::<String>("model")? {
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
        let seed = fields.take::<i64>("seed")?.map(i64::cast_unsigned);
        let sampling = Sampling {
            temperature: fields.take("temperature")?.unwrap_or(default.temperature),
            top_k: fields.take("top_k")?.unwrap_or(default.top_k),
            top_p: fields.take("top_p")?.unwrap_or(default.top_p),
            seed: seed.unwrap_or_else(|| RandomState::new().hash_one(())),
        };
        sampling.check()?;
        Ok(sampling)
    }

    /// Tokens to write.
    fn length(&self, kind: Kind, fields: &mut Fields) -> Answer<usize> {
        let (newer, asked) = (fields.take("max_completion_tokens")?, fields.take("max_tokens")?);
        let most = self.limits.tokens;
        let default = match kind {
            Kind::Text => completion::LENGTH.min(most),
            Kind::Chat => most,
        };
        match newer.or(asked).unwrap_or(default) {
            n if (1..=most).contains(&n) => Ok(n),
            n => {
                Err(Refusal::bad(format!("'max_tokens' is {n}; it must be 1 to {most}")).param("max_tokens"))
            }
        }
    }

    /// Puts a request into the queue.
    pub fn queue(&self, ask: &Ask) -> Answer<Pending> {
        if *self.stop.borrow() > 0 {
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping"));
        }
        let (reply, events) = mpsc::unbounded_channel();
        let hangup = Hangup(ask.options.cancel.clone());
        let job = Job { tokens: ask.tokens.clone(), options: ask.options.clone(), reply };
        self.jobs.push(job)?;
        Ok(Pending { events, _hangup: hangup })
    }
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
