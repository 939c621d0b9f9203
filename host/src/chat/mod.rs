//! Conversations: messages become a text by the model's chat template, and the text goes on in one session.

mod template;

use crate::generate::Stop;
use crate::session::{Answer, Options, Piece, Session};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::path::Path;
pub use template::{Template, TemplateFiles};

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

impl Message {
    /// A message.
    pub fn new(role: &str, content: &str) -> Self {
        Self { role: role.into(), content: content.into() }
    }
}

/// A conversation on a session. Only what is new goes through the engine, so it may outlast the window.
pub struct Conversation<'m> {
    session: Session<'m>,
    template: Template,
    /// The first message, where there is one.
    system: Option<Message>,
    messages: Vec<Message>,
    /// The text that the last question was, with everything before it; `None`: the session's text is something else.
    asked: Option<String>,
}

impl<'m> Conversation<'m> {
    /// An empty conversation.
    pub fn new(session: Session<'m>, template: Template, system: Option<&str>) -> Self {
        let system = system.map(|s| Message::new("system", s));
        Self { session, template, messages: system.iter().cloned().collect(), system, asked: None }
    }

    /// The session.
    pub fn session(&self) -> &Session<'m> {
        &self.session
    }

    /// What was said so far.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Starts again.
    ///
    /// # Errors
    /// The device's.
    pub fn reset(&mut self) -> Result<()> {
        self.messages = self.system.iter().cloned().collect();
        self.asked = None;
        self.session.reset()
    }

    /// Asks, and writes the answer.
    ///
    /// # Errors
    /// The template refuses the conversation, or as [`Session::generate`]; the question is then not part of it.
    pub fn ask(
        &mut self,
        question: &str,
        options: &Options,
        on_piece: &mut dyn FnMut(Piece<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<Answer> {
        self.messages.push(Message::new("user", question));
        match self.answer(options, on_piece) {
            Ok(answer) => {
                self.messages.push(Message::new("assistant", &answer.text));
                Ok(answer)
            }
            Err(e) => {
                self.messages.pop();
                self.asked = None;
                Err(e)
            }
        }
    }

    fn answer(
        &mut self,
        options: &Options,
        on_piece: &mut dyn FnMut(Piece<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<Answer> {
        let text = self.template.render(&self.messages)?;
        match self.new_text(&text) {
            Some("") => {}
            Some(new) => self.session.push(&self.session.ready().tokenizer.encode(new)?)?,
            None => {
                self.session.replace(&self.template.encode(&text, self.session.ready())?)?;
            }
        }
        self.asked = Some(text);
        let mut options = options.clone();
        options.end.extend(self.template.end(self.session.ready()));
        self.session.generate(&options, on_piece)
    }

    /// What of `text` is not yet in the session. Templates may trim answers, which stay as they were written.
    fn new_text<'t>(&self, text: &'t str) -> Option<&'t str> {
        let rest = text.strip_prefix(self.asked.as_deref()?)?;
        let [.., answer, _] = &self.messages[..] else { return None };
        let a = answer.content.as_str();
        [a, a.trim_end(), a.trim_start(), a.trim()].iter().find_map(|a| rest.strip_prefix(a))
    }

    /// Writes conversation and session to a file.
    ///
    /// # Errors
    /// As [`Session::save`].
    pub fn save(&mut self, path: &Path) -> Result<()> {
        self.session.save_conversation(path, Some(&self.messages))
    }

    /// Goes on with the conversation in a file.
    ///
    /// # Errors
    /// As [`Session::load`], or the file holds a text that is no conversation.
    pub fn load(&mut self, path: &Path) -> Result<()> {
        let Some(messages) = self.session.load(path)? else {
            self.reset()?;
            return Err(Error::Argument(format!(
                "{} holds a text and no conversation (`accllm run` saved it); go on with `accllm run --session`",
                path.display()
            )));
        };
        // What the last question was follows from the messages before the last answer.
        let asked = messages.split_last().filter(|(last, _)| last.role == "assistant");
        self.asked = asked.map(|(_, before)| self.template.render(before)).transpose()?;
        self.messages = messages;
        Ok(())
    }
}

/// Says why an answer is incomplete; `None` where it is not.
pub fn cut_short(stop: Stop) -> Option<&'static str> {
    match stop {
        Stop::Length => Some("the limit of tokens"),
        Stop::Cancelled => Some("cancelled"),
        Stop::End | Stop::StopString => None,
    }
}
