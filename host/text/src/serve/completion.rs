//! `/v1/completions`: the prompt.

use super::Model;
use super::fields::Fields;
use super::refusal::{Answer, Refusal};
use serde::Deserialize;

/// Tokens where a request says nothing, as OpenAI has it.
pub(super) const LENGTH: usize = 16;

#[derive(Deserialize)]
#[serde(untagged)]
enum Prompt {
    Text(String),
    Tokens(Vec<u32>),
    Texts(Vec<String>),
    Lists(Vec<Vec<u32>>),
}

/// Tokens of the prompt.
pub(super) fn prompt(fields: &mut Fields, model: &Model) -> Answer<Vec<u32>> {
    let bad = |what: &str| Err(Refusal::bad(what).param("prompt"));
    let one = "'prompt' must be one prompt; send a request for each";
    let tokens = match fields.take("prompt")? {
        None => return bad("'prompt' is missing"),
        Some(Prompt::Text(text)) => return text_prompt(&text, model),
        Some(Prompt::Texts(mut list)) => match (list.pop(), list.is_empty()) {
            (Some(text), true) => return text_prompt(&text, model),
            _ => return bad(one),
        },
        Some(Prompt::Tokens(tokens)) => tokens,
        Some(Prompt::Lists(mut list)) => match (list.pop(), list.is_empty()) {
            (Some(tokens), true) => tokens,
            _ => return bad(one),
        },
    };
    let vocab = model.ready.model.arch.vocab;
    match tokens.iter().find(|t| **t as usize >= vocab) {
        _ if tokens.is_empty() => bad("'prompt' is empty"),
        Some(t) => bad(&format!("'prompt' has token {t}; the model has {vocab}")),
        None => Ok(tokens),
    }
}

fn text_prompt(text: &str, model: &Model) -> Answer<Vec<u32>> {
    model.ready.prompt(text).map_err(|e| Refusal::from(e).param("prompt"))
}
