//! `/v1/chat/completions`: the messages.

use super::Model;
use super::fields::{Fields, is_empty, short};
use super::refusal::{Answer, Refusal};
use crate::message::Message;
use serde_json::{Map, Value};

/// Fields of a message that the next answer does not depend on.
const WITHOUT_EFFECT: [&str; 4] = ["role", "content", "refusal", "annotations"];

fn bad(what: impl Into<String>) -> Refusal {
    Refusal::bad(what).param("messages")
}

/// Tokens of the conversation up to the answer.
pub(super) fn prompt(fields: &mut Fields, model: &Model) -> Answer<Vec<u32>> {
    let messages = match fields.take("messages") {
        None => return Err(bad("'messages' is missing")),
        Some(Value::Array(list)) if list.is_empty() => return Err(bad("'messages' is empty")),
        Some(Value::Array(list)) => {
            list.iter().enumerate().map(|(i, m)| message(i, m)).collect::<Answer<Vec<_>>>()?
        }
        Some(other) => {
            return Err(bad(format!("'messages' is {}; it must be a list of messages", short(&other))));
        }
    };
    let text = model.template.render(&messages).map_err(|e| Refusal::from(e).param("messages"))?;
    Ok(model.template.encode(&text, &model.ready)?)
}

fn message(i: usize, value: &Value) -> Answer<Message> {
    let Value::Object(said) = value else {
        return Err(bad(format!(
            "'messages[{i}]' is {}; it must be an object with 'role' and 'content'",
            short(value)
        )));
    };
    let role = match said.get("role").unwrap_or(&Value::Null).as_str() {
        // The newer name of the same thing, which templates do not know.
        Some("developer") => "system",
        Some(role @ ("system" | "user" | "assistant")) => role,
        Some(other) => {
            return Err(bad(format!("the role '{other}' is not supported; use system, user or assistant")));
        }
        None => return Err(bad(format!("'messages[{i}].role' must be system, user or assistant"))),
    };
    let other = said.iter().find(|(name, v)| {
        !is_empty(v) && !WITHOUT_EFFECT.contains(&name.as_str()) && name.as_str() != "name"
    });
    if let Some((name, _)) = other {
        let why = format!("'messages[{i}].{name}' is not supported here; leave it out");
        return Err(bad(why).code("unsupported_parameter"));
    }
    let mut message = Message::new(role, &content(i, said)?);
    message.name =
        said.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()).map(str::to_string);
    Ok(message)
}

fn content(i: usize, said: &Map<String, Value>) -> Answer<String> {
    let wrong = |value: &Value| {
        bad(format!(
            "'messages[{i}].content' is {}; it must be a string or a list of text parts",
            short(value)
        ))
    };
    let part = |part: &Value| match (part["type"].as_str(), part["text"].as_str()) {
        (Some("text"), Some(text)) => Ok(text.to_string()),
        (Some("text"), None) | (None, _) => Err(wrong(part)),
        (Some(other), _) => Err(bad(format!("content of type '{other}' is not supported; only text is"))),
    };
    match said.get("content") {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => parts.iter().map(part).collect(),
        Some(other) => Err(wrong(other)),
    }
}
