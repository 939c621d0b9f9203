//! The fields of a request, one by one, so that errors can name them.

use super::refusal::{Answer, Refusal};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What is left of a request's object.
pub(super) struct Fields(Map<String, Value>);

/// Fields that would change the answer, and that nothing here can do. Empty values and these are the same as none.
const UNSUPPORTED: [(&str, &str); 14] = [
    ("n", "1"),
    ("best_of", "1"),
    ("echo", "false"),
    ("suffix", "\"\""),
    ("logprobs", "false"),
    ("top_logprobs", "0"),
    ("logit_bias", "{}"),
    ("presence_penalty", "0"),
    ("frequency_penalty", "0"),
    ("tools", "[]"),
    ("functions", "[]"),
    ("audio", "{}"),
    ("modalities", "[\"text\"]"),
    ("response_format", "{\"type\":\"text\"}"),
];

impl Fields {
    /// Of a body.
    pub fn parse(body: &[u8]) -> Answer<Self> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => Ok(Self(map)),
            Ok(_) => Err(Refusal::bad("the body must be a JSON object")),
            Err(e) => Err(Refusal::bad(format!("the body is not JSON: {e}"))),
        }
    }

    /// Takes a field; null is the same as none.
    pub fn take<T: DeserializeOwned>(&mut self, name: &'static str) -> Answer<Option<T>> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value)
                .map(Some)
                .map_err(|e| Refusal::bad(format!("'{name}': {e}")).param(name)),
        }
    }

    /// Refuses what would silently be something else. Other fields (`user`, `store`, ...) do not change the answer.
    pub fn refuse_unsupported(&self) -> Answer<()> {
        for (name, allowed) in UNSUPPORTED {
            let same =
                |v: &Value| is_empty(v) || serde_json::from_str::<Value>(allowed).is_ok_and(|a| a == *v);
            if self.0.get(name).is_some_and(|v| !same(v)) {
                let why = format!("'{name}' is not supported here; leave it out");
                return Err(Refusal::bad(why).param(name).code("unsupported_parameter"));
            }
        }
        Ok(())
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
        Value::Bool(true) => false,
    }
}
