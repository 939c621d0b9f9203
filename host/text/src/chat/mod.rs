//! Conversations: messages become a text by the model's chat template, and the text goes on in one session.

mod clock;
mod python;
mod rewrite;
mod template;

use crate::generate::Stop;
use crate::message::Message;
use crate::session::{Answer, Options, Piece, Session};
use crate::{Error, Result};
pub use clock::Clock;
use std::ops::ControlFlow;
use std::path::Path;
pub use template::Template;

/// A conversation on a session. Only what is new goes through the runner, so it may outlast the window.
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
        let answer =
            self.template.render(&self.messages).and_then(|text| self.answer(text, options, on_piece));
        match &answer {
            Ok(answer) => self.messages.push(Message::new("assistant", &answer.text)),
            Err(_) => drop(self.messages.pop()),
        }
        answer
    }

    /// The answer to a rendered question.
    fn answer(
        &mut self,
        text: String,
        options: &Options,
        on_piece: &mut dyn FnMut(Piece<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<Answer> {
        let len = self.session.tokens().len();
        let asked = self.asked.take();
        let appended = self.take_in(asked.as_deref(), &text)?;
        let answer = self.session.generate(options, on_piece);
        self.asked = match &answer {
            Ok(_) => Some(text),
            // Where the text cannot be taken back, the next question begins it again. The answer's error comes first.
            Err(_) => asked.filter(|_| appended && self.session.take_back(len).unwrap_or(false)),
        };
        answer
    }

    /// Makes `text` the session's text, token for token what the tokenizer makes of all of it; whether that only added
    /// to what was there. Where an answer has other tokens than its text, or a template changes it, it is computed again;
    /// only where the window no longer reaches that far back, it stays as it was written.
    fn take_in(&mut self, asked: Option<&str>, text: &str) -> Result<bool> {
        let ready = self.session.ready();
        let whole = self.template.encode(text, ready)?;
        let there = self.session.tokens().to_vec();
        if self.session.replace_near(&whole)?.is_some() {
            return Ok(!there.is_empty() && self.session.tokens().starts_with(&there));
        }
        match asked.and_then(|asked| self.new_text(asked, text)) {
            Some(new) => self.session.push(&ready.tokenizer.encode_after(&there, new)?).map(|()| true),
            None => self.session.replace(&whole).map(|_| false),
        }
    }

    /// What of `text` is not yet in the session. Templates may trim answers and put spaces in front of them; here they
    /// stay as they were written.
    fn new_text<'t>(&self, asked: &str, text: &'t str) -> Option<&'t str> {
        let rest = text.strip_prefix(asked)?;
        let [.., answer, _] = &self.messages[..] else { return None };
        let (answer, inner) = (answer.content.as_str(), rest.trim_start());
        let same = rest.strip_prefix(answer).or_else(|| inner.strip_prefix(answer.trim_start()));
        same.or_else(|| inner.strip_prefix(answer.trim()))
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
