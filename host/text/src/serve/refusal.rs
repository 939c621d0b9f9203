//! Refused requests, in the shape that OpenAI's clients read.

use hyper::StatusCode;
use serde_json::{Value, json};

/// Why a request is not answered.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: StatusCode,
    kind: &'static str,
    message: String,
    param: Option<String>,
    code: Option<&'static str>,
}

pub(super) type Answer<T> = Result<T, Refusal>;

impl Refusal {
    /// With a status; the kind of error follows from it.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let kind = match status {
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            s if s.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        Self { status, kind, message: message.into(), param: None, code: None }
    }

    /// A request that has no meaning.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Names the field.
    pub fn param(self, param: &str) -> Self {
        Self { param: Some(param.to_string()), ..self }
    }

    /// A code that programs may look at.
    pub fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    /// The body of the answer.
    pub fn json(&self) -> Value {
        let Self { kind, message, param, code, .. } = self;
        json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
    }
}

impl From<crate::Error> for Refusal {
    /// What the library refuses in a request is the client's fault; where it is not, say so with another status.
    fn from(e: crate::Error) -> Self {
        Self::bad(e.to_string())
    }
}
