//! The runner's thread: one request after the other.

use super::MakeRunner;
use super::refusal::{Answer, Refusal};
use super::scored::{Scored, Wanted};
use crate::generate::{Stop, Watch};
use crate::model::Ready;
use crate::runner::Cancel;
use crate::session::{Options, Session};
use crate::{Error, Result};
use hyper::StatusCode;
use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A request for the runner.
pub(super) struct Job {
    pub tokens: Vec<u32>,
    pub options: Options,
    pub wanted: Wanted,
    pub reply: UnboundedSender<Event>,
}

/// What becomes of it.
#[derive(Debug)]
pub(super) enum Event {
    /// The prompt's tokens, where they are wanted.
    Prompt(Vec<Scored>),
    /// New text, and tokens that were chosen since, where they are wanted.
    Piece(String, Vec<Scored>),
    /// The end.
    Done(Done),
    /// The runner failed.
    Failed(String),
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    pub stop: Stop,
    /// New tokens.
    pub tokens: usize,
    /// Tokens of the prompt that were known from the request before.
    pub kept: usize,
}

/// The way into the queue.
pub(super) struct Jobs {
    sender: mpsc::Sender<(Job, OwnedSemaphorePermit)>,
    /// A permit for the request that is computed and for each that waits.
    places: Arc<Semaphore>,
}

impl Jobs {
    /// Adds a request, if there is a place for it.
    pub fn push(&self, job: Job) -> Answer<()> {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            let what = "too many requests are waiting; try again later";
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, what).code("queue_full"));
        };
        let gone = |_| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the engine's thread has ended");
        self.sender.send((job, place)).map_err(gone)
    }
}

type Log = Box<dyn Fn(&str) + Send>;

/// Starts the thread, and waits until the runner is there.
pub(super) fn start(
    ready: Arc<Ready>,
    runner: MakeRunner,
    queue: usize,
    log: Log,
) -> Result<(Jobs, JoinHandle<()>)> {
    let (sender, receiver) = mpsc::channel::<(Job, OwnedSemaphorePermit)>();
    let (started, start) = mpsc::channel();
    let thread = std::thread::spawn(move || match runner(&ready) {
        Ok(runner) => {
            // Nobody waits for it when the server was given up meanwhile.
            let _ = started.send(Ok(()));
            let mut session = Session::new(&ready, runner);
            receiver.into_iter().for_each(|(job, _place)| answer(&mut session, &job, &log));
        }
        Err(e) => drop(started.send(Err(e))),
    });
    let places = Arc::new(Semaphore::new(queue.saturating_add(1).min(Semaphore::MAX_PERMITS)));
    match start.recv() {
        Ok(made) => made.map(|()| (Jobs { sender, places }, thread)),
        Err(_) => Err(Error::Fault("the engine's thread panicked".into())),
    }
}

fn answer(session: &mut Session<'_>, job: &Job, log: &Log) {
    if job.options.cancel.is_set() {
        return;
    }
    let start = Instant::now();
    let event = match compute(session, job, &job.options.cancel) {
        Ok(done) => {
            log(&format!(
                "{} tokens of prompt ({} known), {} of answer, {:?}, {:.2} s",
                job.tokens.len(),
                done.kept,
                done.tokens,
                done.stop,
                start.elapsed().as_secs_f64()
            ));
            Event::Done(done)
        }
        Err(e) => {
            log(&format!("error: {e}"));
            // The next request begins from nothing; if even that fails, it will say so itself.
            let _ = session.reset();
            Event::Failed(e.to_string())
        }
    };
    // The client may have gone.
    let _ = job.reply.send(event);
}

fn compute(session: &mut Session<'_>, job: &Job, cancel: &Cancel) -> Result<Done> {
    let frac = session.ready().model.logit_frac;
    let kept = match job.wanted.scores_prompt() {
        true => {
            let scored = score(session, job, frac)?;
            let _ = job.reply.send(Event::Prompt(scored));
            0
        }
        false => session.replace(&job.tokens)?,
    };
    if cancel.is_set() {
        return Ok(Done { stop: Stop::Cancelled, tokens: 0, kept });
    }
    let chosen = RefCell::new(Vec::new());
    let mut watch = |token: u32, logits: &[i32]| {
        let top = job.wanted.answer.unwrap_or(0);
        chosen.borrow_mut().push(Scored::new(token, logits, frac, top));
    };
    let watch: Option<Watch<'_>> = if job.wanted.answer.is_some() { Some(&mut watch) } else { None };
    let answer = session.generate_watched(&job.options, watch, &mut |piece| {
        let scored = chosen.take();
        let nothing = piece.text.is_empty() && scored.is_empty();
        let sent = nothing || job.reply.send(Event::Piece(piece.text.into(), scored)).is_ok();
        Ok(if sent && !cancel.is_set() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    // The token that ended the text.
    let last = chosen.take();
    if !last.is_empty() {
        let _ = job.reply.send(Event::Piece(String::new(), last));
    }
    Ok(Done { stop: answer.stop, tokens: answer.tokens.len(), kept })
}

/// The prompt's tokens with their log-probabilities.
fn score(session: &mut Session<'_>, job: &Job, frac: u8) -> Result<Vec<Scored>> {
    let mut all: Vec<Scored> = job.tokens.first().map(|t| Scored::first(*t)).into_iter().collect();
    let top = job.wanted.answer.unwrap_or(0).max(job.wanted.prompt.unwrap_or(0));
    session.score(&job.tokens, &job.options.cancel, &mut |i, logits| {
        if let Some(next) = job.tokens.get(i + 1) {
            all.push(Scored::new(*next, logits, frac, top));
        }
        Ok(())
    })?;
    Ok(all)
}
