//! Chat templates: Jinja, as the tokenizer's configuration has them.

use crate::message::Message;
use crate::model::{Ready, TemplateFiles};
use crate::{Error, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, ErrorKind, context};
use serde::Deserialize;

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
    bos: String,
    eos: String,
    /// Whether it is [`PLAIN`], which leaves the begin token to the tokenizer.
    plain: bool,
}

/// What `tokenizer_config.json` says about it.
#[derive(Deserialize, Default)]
struct TokenizerConfig {
    #[serde(default)]
    chat_template: Option<Templates>,
    #[serde(default)]
    bos_token: Option<Token>,
    #[serde(default)]
    eos_token: Option<Token>,
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

#[derive(Deserialize)]
#[serde(untagged)]
enum Token {
    Text(String),
    Object { content: String },
}

impl Token {
    fn text(self) -> String {
        match self {
            Self::Text(text) | Self::Object { content: text } => text,
        }
    }
}

impl Template {
    /// The model's template, or a plain one where it has none.
    ///
    /// # Errors
    /// The template is broken, or does not take a single question.
    pub fn of(ready: &Ready) -> Result<Self> {
        Self::from_files(&ready.chat, &ready.name)
    }

    /// The template in files of the model called `model`.
    ///
    /// # Errors
    /// As [`Template::of`].
    pub fn from_files(files: &TemplateFiles, model: &str) -> Result<Self> {
        let config: TokenizerConfig = match &files.config {
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
                let source = config.chat_template.map(|t| default_of(t, model)).transpose()?;
                (format!("tokenizer_config.json of {model}"), source)
            }
        };
        let plain = source.is_none();
        let mut environment = Environment::new();
        // As the templates' authors try them.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|e| Error::Argument(reason(&e)))?);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function(
            "raise_exception",
            |text: String| -> std::result::Result<String, minijinja::Error> {
                Err(minijinja::Error::new(ErrorKind::InvalidOperation, text))
            },
        );
        environment.add_template_owned("chat", source.unwrap_or_else(|| PLAIN.into())).map_err(|e| {
            Error::Argument(format!("the chat template in {origin} is broken: {}", reason(&e)))
        })?;
        let text = |token: Option<Token>| token.map(Token::text).unwrap_or_default();
        let (bos, eos) = (text(config.bos_token), text(config.eos_token));
        let template = Self { environment, origin, bos, eos, plain };
        template.render(&[Message::new("user", "Hello")])?;
        Ok(template)
    }

    /// The text up to where the answer begins.
    ///
    /// # Errors
    /// The template refuses the conversation, or fails.
    pub fn render(&self, messages: &[Message]) -> Result<String> {
        let context = context! {
            messages => Value::from(Serde(messages)),
            add_generation_prompt => true,
            bos_token => self.bos.clone(),
            eos_token => self.eos.clone(),
        };
        let rendered = self.environment.get_template("chat").and_then(|t| t.render(context));
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

    /// The token that ends an answer, where the tokenizer's configuration names one.
    pub fn end(&self, ready: &Ready) -> Option<u32> {
        match ready.tokenizer.encode(&self.eos).ok()?[..] {
            [token] => Some(token),
            _ => None,
        }
    }
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
