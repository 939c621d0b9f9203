//! Answers piece by piece: server-sent events.

use super::api::Pending;
use super::refusal::Refusal;
use super::reply::Reply;
use super::worker::Event;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::{Body, Frame};
use serde_json::Value;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of a streamed answer. Dropping it, as happens when the client goes, cancels the request.
pub(super) struct Events {
    reply: Reply,
    usage: bool,
    /// `None`: everything was received.
    pending: Option<Pending>,
    ready: VecDeque<Bytes>,
}

impl Events {
    /// The first event was received already.
    pub fn new(reply: Reply, usage: bool, pending: Pending, first: Event) -> Self {
        let mut events = Self { reply, usage, pending: Some(pending), ready: VecDeque::new() };
        if let Some(value) = events.reply.first() {
            events.push(&value);
        }
        events.take(Some(first));
        events
    }

    fn push(&mut self, value: &Value) {
        self.ready.push_back(format!("data: {value}\n\n").into());
    }

    fn take(&mut self, event: Option<Event>) {
        match event {
            Some(Event::Prompt(_)) => return,
            Some(Event::Piece(text, scored)) => return self.push(&self.reply.piece(&text, &scored)),
            Some(Event::Done(done)) => {
                self.push(&self.reply.last(&done));
                if self.usage {
                    self.push(&self.reply.stream_usage(&done));
                }
                self.ready.push_back("data: [DONE]\n\n".into());
            }
            // The status is out already; clients look for this instead.
            Some(Event::Failed(why)) => self.push(&failed(why).json()),
            None => self.push(&failed("the engine's thread has ended".into()).json()),
        }
        self.pending = None;
    }
}

/// A runner that failed.
pub(super) fn failed(why: String) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why)
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            let Some(pending) = &mut self.pending else { return Poll::Ready(None) };
            let Poll::Ready(event) = pending.events.poll_recv(context) else { return Poll::Pending };
            self.take(event);
        }
    }
}
