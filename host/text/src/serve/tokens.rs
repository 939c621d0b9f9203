//! `/tokenize`, `/detokenize` and `/tokenizer_info`: the model's tokenizer for clients that count or cut tokens
//! themselves, as vLLM has them.

use super::Model;
use super::fields::{Fields, short, whole};
use super::refusal::{Answer, Refusal};
use serde_json::{Value, json};

/// `/tokenize`: tokens of `prompt`, after the begin token unless `add_special_tokens` is false.
pub(super) fn tokenize(model: &Model, most: usize, body: &[u8]) -> Answer<Value> {
    let mut fields = Fields::parse(body)?;
    fields.text("model")?;
    let missing = || Refusal::bad("'prompt' is missing").param("prompt");
    let prompt = fields.text("prompt")?.ok_or_else(missing)?;
    let begin = fields.flag("add_special_tokens")?.unwrap_or(true);
    fields.refuse_rest()?;
    let begin = model.ready.begin().filter(|_| begin);
    let tokens: Vec<u32> =
        begin.into_iter().chain(model.ready.tokenizer.encode(&prompt).map_err(crate::Error::from)?).collect();
    Ok(json!({"count": tokens.len(), "max_model_len": most, "tokens": tokens}))
}

/// `/detokenize`: the text of `tokens`.
pub(super) fn detokenize(model: &Model, body: &[u8]) -> Answer<Value> {
    let mut fields = Fields::parse(body)?;
    fields.text("model")?;
    let value = fields.take("tokens").unwrap_or_default();
    fields.refuse_rest()?;
    let id = |v: &Value| whole(v).and_then(|n| u32::try_from(n).ok());
    let tokens = value.as_array().and_then(|list| list.iter().map(id).collect::<Option<Vec<_>>>());
    let tokens = tokens.ok_or_else(|| {
        Refusal::bad(format!("'tokens' is {}; it must be a list of token ids", short(&value))).param("tokens")
    })?;
    Ok(json!({"prompt": model.ready.tokenizer.decode(&tokens).map_err(crate::Error::from)?}))
}

/// `/tokenizer_info`: what texts begin with and end at.
pub(super) fn info(model: &Model) -> Value {
    let name = |id: Option<u32>| id.and_then(|id| model.ready.tokenizer.name(id));
    json!({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": name(model.ready.begin()),
        "eos_token": name(model.ready.ends().first().copied())})
}
