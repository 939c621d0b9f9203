//! `/v1/chat/completions`: the messages.

use super::Model;
use super::fields::Fields;
use super::refusal::{Answer, Refusal};
use crate::message::Message;
use serde::Deserialize;

#[derive(Deserialize)]
struct Said {
    role: String,
    #[serde(default)]
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
}

/// Tokens of the conversation up to the answer.
pub(super) fn prompt(fields: &mut Fields, model: &Model) -> Answer<Vec<u32>> {
    let bad = |what: &str| Refusal::bad(what).param("messages");
    let said: Vec<Said> = fields.take("messages")?.ok_or_else(|| bad("'messages' is missing"))?;
    if said.is_empty() {
        return Err(bad("'messages' is empty"));
    }
    let messages = said.into_iter().map(message).collect::<Answer<Vec<_>>>()?;
    let text = model.template.render(&messages).map_err(|e| Refusal::from(e).param("messages"))?;
    Ok(model.template.encode(&text, &model.ready)?)
}

fn message(said: Said) -> Answer<Message> {
    let bad = |what: String| Err(Refusal::bad(what).param("messages"));
    let role = match said.role.as_str() {
        // The newer name of the same thing, which templates do not know.
        "developer" => "system",
        role @ ("system" | "user" | "assistant") => role,
        other => return bad(format!("the role '{other}' is not supported; use system, user or assistant")),
    };
    let content = match said.content {
        None => String::new(),
        Some(Content::Text(text)) => text,
        Some(Content::Parts(parts)) => match parts.iter().find(|p| p.kind != "text") {
            Some(p) => return bad(format!("content of type '{}' is not supported; only text is", p.kind)),
            None => parts.into_iter().map(|p| p.text).collect(),
        },
    };
    Ok(Message::new(role, &content))
}
