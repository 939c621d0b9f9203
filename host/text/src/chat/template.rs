//! Chat templates: Jinja, as the tokenizer's configuration has them.

use super::clock::Clock;
use super::python;
use super::rewrite::{PERCENT, rewrite};
use crate::message::Message;
use crate::model::{Ready, TemplateFiles};
use crate::{Error, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, ErrorKind};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Instructions of the template engine that one rendering may take.
const FUEL: u64 = 10_000_000;

/// For models without a template, which were not taught roles: what was said, line by line.
const PLAIN: &str = "{% for message in messages %}{{ message.content }}{% if not loop.last %}{{ '\n' }}{% endif %}{% endfor %}";

/// Turns messages into the text that a model continues with its answer.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    /// Where it comes from, for messages.
    origin: String,
    /// The special tokens by the names that templates have for them.
    tokens: BTreeMap<String, Value>,
    clock: Clock,
    /// Whether it is [`PLAIN`], which leaves the begin token to the tokenizer.
    plain: bool,
}

/// What `tokenizer_config.json` says about it.
#[derive(Deserialize, Default)]
struct TokenizerConfig {
    #[serde(default)]
    chat_template: Option<Templates>,
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Templates {
    One(String),
    Named(Vec<Named>),
}

#[derive(Deserialize)]
struct Named {
    name: String,
    template: String,
}

/// The special tokens that a configuration names.
fn tokens(config: &TokenizerConfig) -> BTreeMap<String, Value> {
    let text = |v: &serde_json::Value| v.as_str().or_else(|| v["content"].as_str()).map(str::to_string);
    let one = config.others.iter().filter(|(name, _)| name.ends_with("_token"));
    let one = one.filter_map(|(name, v)| Some((name.clone(), Value::from(text(v)?))));
    let more = config.others.get("additional_special_tokens").and_then(|v| v.as_array());
    let more = more.map(|list| list.iter().filter_map(text).collect::<Vec<_>>());
    one.chain(more.map(|list| ("additional_special_tokens".to_string(), Value::from(list)))).collect()
}

impl Template {
    /// The model's template, or a plain one where it has none.
    ///
    /// # Errors
    /// The template is broken, or does not take a single question.
    pub fn of(ready: &Ready) -> Result<Self> {
        Self::from_files(&ready.chat, &ready.name, Clock::default())
    }

    /// The template in files of the model called `model`; `clock` gives the date to templates that ask for it.
    ///
    /// # Errors
    /// As [`Template::of`].
    pub fn from_files(files: &TemplateFiles, model: &str, clock: Clock) -> Result<Self> {
        let mut config: TokenizerConfig = match &files.config {
            Some(text) => serde_json::from_str(text)
                .map_err(|e| Error::Argument(format!("tokenizer_config.json of {model}: {e}")))?,
            None => TokenizerConfig::default(),
        };
        let (origin, source) = match &files.jinja {
            Some(text) => {
                let here = || format!("chat_template.jinja of {model}");
                (files.file.clone().unwrap_or_else(here), Some(text.clone()))
            }
            None => {
                let source = config.chat_template.take().map(|t| default_of(t, model)).transpose()?;
                (format!("tokenizer_config.json of {model}"), source)
            }
        };
        let plain = source.is_none();
        let mut environment = environment(&clock)?;
        let source = rewrite(source.as_deref().unwrap_or(PLAIN));
        environment.add_template_owned("chat", source).map_err(|e| {
            Error::Argument(format!("the chat template in {origin} is broken: {}", reason(&e)))
        })?;
        let template = Self { environment, origin, tokens: tokens(&config), clock, plain };
        template.render(&[Message::new("user", "Hello")])?;
        Ok(template)
    }

    /// The date that the template put into a text, where it did.
    pub fn date(&self) -> Option<String> {
        self.clock.date_if_asked()
    }

    /// The text up to where the answer begins.
    ///
    /// # Errors
    /// The template refuses the conversation, or fails.
    pub fn render(&self, messages: &[Message]) -> Result<String> {
        // Names that templates add to texts without looking whether there is such a token.
        let mut context: BTreeMap<String, Value> =
            ["bos_token", "eos_token"].map(|name| (name.to_string(), Value::from(""))).into();
        context.extend(self.tokens.clone());
        context.insert("messages".into(), Value::from(Serde(messages)));
        context.insert("add_generation_prompt".into(), Value::from(true));
        context.insert("tools".into(), Value::from(()));
        context.insert("documents".into(), Value::from(()));
        let rendered = self.environment.get_template("chat").and_then(|t| t.render(Value::from(context)));
        rendered.map_err(|e| {
            Error::Argument(format!(
                "the chat template in {} refuses these messages: {}",
                self.origin,
                reason(&e)
            ))
        })
    }

    /// Tokens of a rendered text.
    ///
    /// # Errors
    /// The tokenizer's, or there are none.
    pub fn encode(&self, text: &str, ready: &Ready) -> Result<Vec<u32>> {
        if self.plain {
            return ready.prompt(text);
        }
        let tokens = ready.tokenizer.encode(text)?;
        match tokens.is_empty() {
            true => Err(Error::Argument(format!("the chat template in {} makes no text", self.origin))),
            false => Ok(tokens),
        }
    }
}

/// What templates find: Python's functions and methods, and those that Hugging Face adds.
fn environment(clock: &Clock) -> Result<Environment<'static>> {
    let mut environment = Environment::new();
    // As the templates' authors try them.
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(|e| Error::Argument(reason(&e)))?);
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_filter("tojson", python::tojson);
    environment.add_filter(PERCENT, python::percent);
    environment.add_function(
        "raise_exception",
        |text: String| -> std::result::Result<String, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, text))
        },
    );
    let clock = clock.clone();
    environment.add_function("strftime_now", move |format: String| {
        let bad = || {
            minijinja::Error::new(ErrorKind::InvalidOperation, format!("'{format}' is no format of a date"))
        };
        clock.format(&format).ok_or_else(bad)
    });
    Ok(environment)
}

fn default_of(templates: Templates, model: &str) -> Result<String> {
    match templates {
        Templates::One(text) => Ok(text),
        Templates::Named(list) => {
            let names: Vec<_> = list.iter().map(|n| n.name.clone()).collect();
            list.into_iter().find(|n| n.name == "default").map(|n| n.template).ok_or_else(|| {
                Error::Argument(format!(
                    "tokenizer_config.json of {model} has the chat templates {names:?} and none called 'default'; \
                     choose one with --chat-template"
                ))
            })
        }
    }
}

/// The message with its line, and what caused it.
fn reason(e: &minijinja::Error) -> String {
    let mut text = e.detail().map_or_else(|| e.kind().to_string(), str::to_string);
    if let Some(line) = e.line() {
        text += &format!(" (line {line})");
    }
    text
}
