//! What a `tokenizer.json` does to a text before and after it is cut into tokens.

use serde_json::{Value, json};

/// Tokens that a post-processor puts before a text; `None` where it is of a kind that is not known.
pub(super) fn begin(post: &Value) -> Option<Vec<u32>> {
    let id = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
    match post["type"].as_str() {
        None if post.is_null() => Some(Vec::new()),
        Some("ByteLevel") => Some(Vec::new()),
        // The last one is the outermost.
        Some("Sequence") => {
            let parts = post["processors"].as_array()?.iter().rev().map(begin).collect::<Option<Vec<_>>>()?;
            Some(parts.concat())
        }
        Some("TemplateProcessing") => {
            let mut all = Vec::new();
            for piece in post["single"].as_array()? {
                let Some(name) = piece["SpecialToken"]["id"].as_str() else { break };
                let ids = post["special_tokens"][name]["ids"].as_array()?;
                all.extend(ids.iter().map(id).collect::<Option<Vec<_>>>()?);
            }
            Some(all)
        }
        Some("BertProcessing" | "RobertaProcessing") => Some(vec![id(&post["cls"][1])?]),
        _ => None,
    }
}

/// The same tokenizer without a space that is put before a text; `None` where none is.
pub(super) fn without_prefix(tokenizer: &Value) -> Option<Value> {
    let mut all = tokenizer.clone();
    let normalizer = strip(&mut all["normalizer"]);
    let pre = strip(&mut all["pre_tokenizer"]);
    (normalizer || pre).then_some(all)
}

/// Takes the space out of a part; whether there was one.
fn strip(part: &mut Value) -> bool {
    match part["type"].as_str() {
        Some("Prepend") => {
            *part = Value::Null;
            true
        }
        Some("Metaspace") if part["prepend_scheme"] != "never" && part["add_prefix_space"] != false => {
            part["prepend_scheme"] = json!("never");
            if let Some(map) = part.as_object_mut() {
                map.remove("add_prefix_space");
            }
            true
        }
        Some("ByteLevel") if part["add_prefix_space"] == true => {
            part["add_prefix_space"] = json!(false);
            true
        }
        Some("Sequence") => {
            let mut found = false;
            for key in ["normalizers", "pretokenizers"] {
                let Some(list) = part.get_mut(key).and_then(Value::as_array_mut) else { continue };
                list.iter_mut().for_each(|p| found |= strip(p));
                list.retain(|p| !p.is_null());
            }
            found
        }
        _ => false,
    }
}
