//! The fields of a request, one by one, so that errors can name them in the words of the interface.

use super::refusal::{Answer, Refusal};
use serde_json::{Map, Value};

/// What is left of a request's object.
pub(super) struct Fields(Map<String, Value>);

/// Fields that do not change an answer, whatever they say.
const WITHOUT_EFFECT: [&str; 12] = [
    "user",
    "store",
    "metadata",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "parallel_tool_calls",
    "spaces_between_special_tokens",
    "timeout",
    "priority",
    "request_id",
];

/// Fields that nothing here can do, with what says that it need not be done. Empty values say the same; false and 0 only of
/// fields that are not here, which others do not do unless they are told to.
const UNSUPPORTED: [(&str, &str); 25] = [
    ("n", "1"),
    ("best_of", "1"),
    ("suffix", "\"\""),
    ("tools", "[]"),
    ("tool_choice", "\"none\""),
    ("tool_choice", "\"auto\""),
    ("functions", "[]"),
    ("function_call", "\"none\""),
    ("function_call", "\"auto\""),
    ("audio", "{}"),
    ("modalities", "[\"text\"]"),
    ("response_format", "{\"type\":\"text\"}"),
    ("use_beam_search", "false"),
    ("length_penalty", "1"),
    ("repeat_penalty", "1"),
    ("typical_p", "1"),
    ("min_tokens", "0"),
    ("skip_special_tokens", "true"),
    ("include_stop_str_in_output", "false"),
    ("add_special_tokens", "true"),
    ("add_generation_prompt", "true"),
    ("continue_final_message", "false"),
    ("detokenize", "true"),
    ("enable_thinking", "null"),
    ("return_tokens_as_token_ids", "false"),
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
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|v| !v.is_null())
    }

    /// Takes a field as what `read` makes of it.
    fn typed<T>(
        &mut self,
        name: &'static str,
        what: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Answer<Option<T>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match read(&value) {
            Some(v) => Ok(Some(v)),
            None => {
                Err(Refusal::bad(format!("'{name}' is {}; it must be {what}", short(&value))).param(name))
            }
        }
    }

    /// A string.
    pub fn text(&mut self, name: &'static str) -> Answer<Option<String>> {
        self.typed(name, "a string", |v| v.as_str().map(str::to_string))
    }

    /// True or false.
    pub fn flag(&mut self, name: &'static str) -> Answer<Option<bool>> {
        self.typed(name, "true or false", Value::as_bool)
    }

    /// A number.
    pub fn number(&mut self, name: &'static str) -> Answer<Option<f64>> {
        self.typed(name, "a number", Value::as_f64)
    }

    /// An integer of any sign.
    pub fn integer(&mut self, name: &'static str) -> Answer<Option<i64>> {
        self.typed(name, "an integer", whole)
    }

    /// An integer from 0 on.
    pub fn count(&mut self, name: &'static str) -> Answer<Option<usize>> {
        self.typed(name, "an integer from 0 on", |v| usize::try_from(whole(v)?).ok())
    }

    /// Refuses what is left, unless it does not change the answer.
    pub fn refuse_rest(&self) -> Answer<()> {
        for (name, value) in &self.0 {
            let neutral = |(n, allowed): &(&str, &str)| {
                n == name && serde_json::from_str::<Value>(allowed).is_ok_and(|a| same(&a, value))
            };
            let listed = UNSUPPORTED.iter().any(|(n, _)| n == name);
            let says_nothing = is_empty(value) && !(listed && (value.is_boolean() || value.is_number()));
            let fine =
                says_nothing || WITHOUT_EFFECT.contains(&name.as_str()) || UNSUPPORTED.iter().any(neutral);
            if !fine {
                let why = format!("'{name}' is not supported here; leave it out");
                return Err(Refusal::bad(why).param(name).code("unsupported_parameter"));
            }
        }
        Ok(())
    }
}

/// An integer, also where it is written with a point.
pub(super) fn whole(v: &Value) -> Option<i64> {
    let exact = |x: &f64| x.fract() == 0.0 && x.abs() < 1e15;
    v.as_i64().or_else(|| v.as_f64().filter(exact).map(|x| x as i64))
}

fn same(a: &Value, b: &Value) -> bool {
    a == b || a.is_number() && a.as_f64() == b.as_f64()
}

/// Whether a value says nothing.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
        Value::Bool(true) => false,
    }
}

/// The beginning of a value, for messages.
pub(super) fn short(value: &Value) -> String {
    /// Characters that are shown.
    const MOST: usize = 60;
    let text = value.to_string();
    match text.chars().count() > MOST {
        true => text.chars().take(MOST).chain("...".chars()).collect(),
        false => text,
    }
}
