//! `/v1/completions`: the prompts.

use super::Model;
use super::fields::{Fields, short, whole};
use super::refusal::{Answer, Refusal};
use serde_json::Value;

/// Tokens where a request says nothing, as OpenAI has it.
pub(super) const LENGTH: usize = 16;

/// Most prompts of a request.
const MOST: usize = 256;

fn bad(what: impl Into<String>) -> Refusal {
    Refusal::bad(what).param("prompt")
}

/// Tokens of each prompt.
pub(super) fn prompts(fields: &mut Fields, model: &Model) -> Answer<Vec<Vec<u32>>> {
    let value = fields.take("prompt").ok_or_else(|| bad("'prompt' is missing"))?;
    let several = |v: &Value| v.as_array().is_some_and(|a| a.iter().any(|p| p.is_string() || p.is_array()));
    match value {
        Value::Array(list) if list.is_empty() => Err(bad("'prompt' is empty")),
        Value::Array(list) if list.len() > MOST => {
            Err(bad(format!("'prompt' has {} prompts; at most {MOST} are allowed", list.len()))).or_else(
                |e| {
                    // A long list of token ids is one prompt.
                    if list.iter().all(Value::is_number) {
                        one(&Value::Array(list.clone()), model).map(|p| vec![p])
                    } else {
                        Err(e)
                    }
                },
            )
        }
        v if several(&v) => v.as_array().into_iter().flatten().map(|p| one(p, model)).collect(),
        v => Ok(vec![one(&v, model)?]),
    }
}

/// Tokens of a prompt: a string, or a list of them.
fn one(value: &Value, model: &Model) -> Answer<Vec<u32>> {
    let list = match value {
        Value::String(text) => return model.ready.prompt(text).map_err(|e| Refusal::from(e).param("prompt")),
        Value::Array(list) if list.is_empty() => return Err(bad("'prompt' is empty")),
        Value::Array(list) => list,
        other => {
            let what = "it must be a string, a list of token ids, or a list of several of these";
            return Err(bad(format!("'prompt' is {}; {what}", short(other))));
        }
    };
    let vocab = model.ready.model.arch.sizes.vocab;
    let token = |v: &Value| whole(v).and_then(|n| u32::try_from(n).ok()).filter(|n| (*n as usize) < vocab);
    let known = |v: &Value| {
        token(v).ok_or_else(|| {
            bad(format!("'prompt' has {} as a token; the model's tokens are 0 to {}", short(v), vocab - 1))
        })
    };
    list.iter().map(known).collect()
}
