//! The files that a tokenizer is in, read as one: `tokenizer.json` or SentencePiece's `tokenizer.model`, with
//! `tokenizer_config.json` and `added_tokens.json` beside it.

use super::{process, sentencepiece};
use crate::{Error, Result};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer;

const TOKENIZER: &str = "tokenizer.json";
const SENTENCEPIECE: &str = "tokenizer.model";
const CONFIG: &str = "tokenizer_config.json";
const ADDED: &str = "added_tokens.json";
/// Copied with a tokenizer where they are there: more tokens, and the chat template.
const BESIDE: [&str; 3] = [CONFIG, ADDED, "chat_template.jinja"];

/// A tokenizer's files.
pub struct Files {
    path: PathBuf,
    /// `tokenizer.json`, with the added tokens of all files, and without cutting and filling.
    json: Value,
    /// `tokenizer_config.json`; null where there is none.
    config: Value,
}

impl Files {
    /// The tokenizer that `path`, a `tokenizer.json`, is part of. Where there is no such file, the `tokenizer.model`
    /// beside it is read.
    ///
    /// # Errors
    /// There is neither, or a file is damaged, contradicts another, or is of a kind that is not supported.
    pub fn read(path: &Path) -> Result<Self> {
        let config = read_json(&path.with_file_name(CONFIG))?.unwrap_or_default();
        let added = read_json(&path.with_file_name(ADDED))?.unwrap_or_default();
        let model = path.with_file_name(SENTENCEPIECE);
        let mut json = match read_json(path)? {
            Some(json) => json,
            None if model.is_file() => sentencepiece::tokenizer(&model, &config)?,
            None => {
                let what = "there is no tokenizer.json, and no tokenizer.model beside it";
                let source = std::io::Error::new(std::io::ErrorKind::NotFound, what);
                return Err(Error::io("read", path, source));
            }
        };
        if !json["model"].is_object() {
            return Err(Error::malformed(path, "tokenizer.json", "it has no `model`"));
        }
        json["truncation"] = Value::Null;
        json["padding"] = Value::Null;
        let mut all = Self { path: path.to_path_buf(), json, config };
        all.add_tokens(&added)?;
        Ok(all)
    }

    /// The tokenizer in a folder; `None` where there is none.
    ///
    /// # Errors
    /// As [`Files::read`].
    pub fn find(folder: &Path) -> Result<Option<Self>> {
        let there = [TOKENIZER, SENTENCEPIECE].iter().any(|name| folder.join(name).is_file());
        there.then(|| Self::read(&folder.join(TOKENIZER))).transpose()
    }

    /// Where it is, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Copies the tokenizer `path` (a `tokenizer.json`, or where it would be beside a `tokenizer.model`) into a folder as
    /// `tokenizer.json`, with the files beside it.
    ///
    /// # Errors
    /// As [`Files::read`]; or the folder cannot be written.
    pub fn copy(path: &Path, folder: &Path) -> Result<()> {
        let target = folder.join(TOKENIZER);
        if path.is_file() {
            std::fs::copy(path, target).map_err(|e| Error::io("copy", path, e))?;
        } else {
            let json = Self::read(path)?.json().to_string();
            std::fs::write(&target, json).map_err(|e| Error::io("write", &target, e))?;
        }
        for name in BESIDE {
            let source = path.with_file_name(name);
            if source.is_file() {
                std::fs::copy(&source, folder.join(name)).map_err(|e| Error::io("copy", &source, e))?;
            }
        }
        Ok(())
    }

    /// What a `tokenizer.json` with all of it holds.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// The id of a token by its text.
    fn id(&self, token: &str) -> Option<u32> {
        let added = self.json["added_tokens"].as_array().into_iter().flatten();
        let id = added.filter(|t| t["content"] == token).find_map(|t| t["id"].as_u64());
        let vocab = &self.json["model"]["vocab"];
        let listed = || vocab.as_array()?.iter().position(|p| p[0] == token).map(|i| i as u64);
        let id = id.or_else(|| vocab[token].as_u64()).or_else(listed);
        id.and_then(|id| u32::try_from(id).ok())
    }

    /// All tokens by their ids.
    pub(crate) fn ids(&self) -> HashMap<u64, String> {
        let vocab = &self.json["model"]["vocab"];
        let of_map =
            vocab.as_object().into_iter().flatten().filter_map(|(t, id)| Some((id.as_u64()?, t.clone())));
        let of_list = vocab.as_array().into_iter().flatten().enumerate();
        let of_list = of_list.filter_map(|(id, piece)| Some((id as u64, piece[0].as_str()?.to_string())));
        let added = self.json["added_tokens"].as_array().into_iter().flatten();
        let added = added.filter_map(|t| Some((t["id"].as_u64()?, t["content"].as_str()?.to_string())));
        of_map.chain(of_list).chain(added).collect()
    }

    /// A special token that the configuration names, such as `eos_token`.
    fn named(&self, name: &str) -> Option<u32> {
        self.id(content(&self.config[name])?)
    }

    /// The token that a text begins with: what `add_bos_token` says, or what the post-processor does.
    ///
    /// # Errors
    /// There is more than one, or it is outside the vocabulary of `vocab` tokens.
    pub fn begin(&self, vocab: usize) -> Result<Option<u32>> {
        const POST: &str = "post_processor";
        let post = &self.json[POST];
        let begin = match self.config["add_bos_token"].as_bool() {
            Some(true) => self.named("bos_token"),
            Some(false) => None,
            None => match process::begin(post).as_deref() {
                Some([]) => None,
                Some([one]) => Some(*one),
                _ => {
                    let supported = "one that puts one token or none before a text";
                    return Err(Error::unsupported(&self.path, POST, post, supported));
                }
            },
        };
        match begin {
            Some(id) if id as usize >= vocab => {
                let why = format!("puts token {id} before texts; the model has {vocab} tokens");
                Err(Error::config(&self.path, POST, why))
            }
            begin => Ok(begin),
        }
    }

    /// The token that the configuration calls the end of a text, where a model of `vocab` tokens can write it.
    pub fn end(&self, vocab: usize) -> Option<u32> {
        self.named("eos_token").filter(|id| (*id as usize) < vocab)
    }

    /// Adds the tokens that stand only in `tokenizer_config.json` or `added_tokens.json`, which `added` is.
    fn add_tokens(&mut self, added: &Value) -> Result<()> {
        for (id, token) in self.config["added_tokens_decoder"].clone().as_object().into_iter().flatten() {
            let known = id.parse().ok().zip(token["content"].as_str());
            let (id, content) = known.ok_or_else(|| {
                let why = format!("has {token} as {id:?}; expected a token with its id");
                Error::config(&self.path.with_file_name(CONFIG), "added_tokens_decoder", why)
            })?;
            self.add(id, content, token.as_object().cloned().unwrap_or_default())?;
        }
        for (content, id) in added.as_object().into_iter().flatten() {
            let id = id.as_u64().and_then(|id| u32::try_from(id).ok()).ok_or_else(|| {
                let why = format!("has the id {id}; expected an integer from 0 on");
                Error::config(&self.path.with_file_name(ADDED), content, why)
            })?;
            let special = self.special().iter().any(|s| s == content);
            let flags = json!({"special": special, "normalized": !special});
            self.add(id, content, flags.as_object().cloned().unwrap_or_default())?;
        }
        for content in self.special() {
            // Tokens outside the vocabulary, which some configurations name, no text can hold.
            if let Some(id) = self.id(&content) {
                let flags = json!({"special": true});
                self.add(id, &content, flags.as_object().cloned().unwrap_or_default())?;
            }
        }
        self.complete()
    }

    /// The special tokens that the configuration names.
    fn special(&self) -> Vec<String> {
        let named =
            ["bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"];
        let one = named.iter().map(|name| &self.config[*name]);
        let more = self.config["additional_special_tokens"].as_array().into_iter().flatten();
        one.chain(more).filter_map(content).map(str::to_string).collect()
    }

    /// Adds a token, unless it is one already.
    fn add(&mut self, id: u32, content: &str, flags: Map<String, Value>) -> Result<()> {
        let flag = |name: &str| flags.get(name).and_then(Value::as_bool).unwrap_or(false);
        let token = json!({"id": id, "content": content, "single_word": flag("single_word"),
            "lstrip": flag("lstrip"), "rstrip": flag("rstrip"), "normalized": flag("normalized"),
            "special": flag("special")});
        let differs = |what: String| {
            let why = format!("is {what}; {CONFIG}, {ADDED} and {TOKENIZER} do not belong together");
            Err(Error::config(&self.path, format!("added token {content:?}"), why))
        };
        match self.id(content) {
            Some(other) if other != id => return differs(format!("{id} in one file and {other} in another")),
            _ => {}
        }
        let Some(list) = self.json["added_tokens"].as_array_mut() else {
            self.json["added_tokens"] = json!([token]);
            return Ok(());
        };
        match list.iter().find(|t| t["id"] == id) {
            Some(t) if t["content"] == content => Ok(()),
            Some(t) => {
                let what = format!("token {id}, and so is {}", t["content"]);
                differs(what)
            }
            None => {
                let at = list.iter().position(|t| t["id"].as_u64() > Some(id.into())).unwrap_or(list.len());
                list.insert(at, token);
                Ok(())
            }
        }
    }

    /// Puts all added tokens into the vocabulary: those that are not there would be numbered from its end on.
    fn complete(&mut self) -> Result<()> {
        let added = self.json["added_tokens"].as_array().cloned().unwrap_or_default();
        let Some(vocab) = self.json["model"]["vocab"].as_object_mut() else { return Ok(()) };
        let new = |t: &&Value| t["content"].as_str().is_some_and(|c| !vocab.contains_key(c));
        let new: Vec<&Value> = added.iter().filter(new).collect();
        let ids: HashSet<u64> =
            if new.is_empty() { HashSet::new() } else { vocab.values().filter_map(Value::as_u64).collect() };
        for token in new {
            let (id, content) = (&token["id"], token["content"].as_str().unwrap_or_default());
            if id.as_u64().is_none_or(|id| ids.contains(&id)) {
                let why = format!("is {id}, and so is a token of the vocabulary");
                return Err(Error::config(&self.path, format!("added token {content:?}"), why));
            }
            vocab.insert(content.into(), id.clone());
        }
        Ok(())
    }

    /// Refuses a tokenizer that gives an added token another id than its file says.
    pub(super) fn check_ids(&self, tokenizer: &Tokenizer) -> Result<()> {
        for token in self.json["added_tokens"].as_array().into_iter().flatten() {
            let content = token["content"].as_str().unwrap_or_default();
            let found = tokenizer.token_to_id(content);
            if found.map(u64::from) != token["id"].as_u64() {
                let why = format!("is {} in `added_tokens`, and {found:?} in the vocabulary", token["id"]);
                return Err(Error::config(&self.path, format!("added token {content:?}"), why));
            }
        }
        Ok(())
    }
}

/// The text of a token that is text, or an object that has it.
fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token["content"].as_str()).filter(|text| !text.is_empty())
}

/// A JSON file; `None` where it is not there.
fn read_json(path: &Path) -> Result<Option<Value>> {
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    let kind = if path.ends_with(TOKENIZER) { TOKENIZER } else { "JSON" };
    serde_json::from_str(&text).map(Some).map_err(|e| Error::malformed(path, kind, e))
}
