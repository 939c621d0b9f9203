//! An HTTP server for one model on one runner: the part of OpenAI's interface that text clients use.
//!
//! Connections are handled by one thread; the runner has another and answers one request at a time, the others wait in a
//! queue. What requests have in common at their beginning is computed once ([`Session::replace`](crate::session::Session::replace)).

mod api;
mod chat;
mod completion;
mod connection;
mod fields;
mod listen;
mod refusal;
mod reply;
mod scored;
mod stream;
mod tokens;
mod worker;

use crate::chat::Template;
use crate::model::Ready;
use crate::runner::Runner;
use crate::sample::Sampling;
use crate::{Error, Result};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What clients may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests that wait while one is computed.
    pub queue: usize,
    /// Open connections.
    pub connections: usize,
    /// Tokens of a prompt.
    pub prompt: usize,
    /// Tokens that a request may ask for.
    pub tokens: usize,
    /// Bytes of a request's body.
    pub body: usize,
    /// For a request to arrive, and for a connection to stay unused.
    pub timeout: Duration,
    /// For requests to end when the server stops.
    pub grace: Duration,
}

/// The model that is served.
pub struct Model {
    /// Model and tokenizer.
    pub ready: Arc<Ready>,
    /// Name in requests.
    pub name: String,
    /// Chat template.
    pub template: Template,
    /// For requests that say nothing; the seed is not used.
    pub sampling: Sampling,
    /// The origin of web pages whose scripts may ask, such as `https://chat.example`, or `*` for any.
    pub cors: Option<String>,
}

/// Makes the runner, on the thread that it will stay on.
pub type MakeRunner = Box<dyn for<'m> FnOnce(&'m Ready) -> Result<Box<dyn Runner + 'm>> + Send>;

/// A server that has its address, and does not answer yet.
pub struct Server {
    listener: TcpListener,
    limits: Limits,
    stop: (Stop, watch::Receiver<u8>),
}

/// Stops a server, from any thread.
#[derive(Clone)]
pub struct Stop(Arc<watch::Sender<u8>>);

impl Stop {
    /// The first call lets requests that were accepted end; the second ends them. Returns how many calls there were.
    pub fn stop(&self) -> u8 {
        self.0.send_modify(|level| *level = level.saturating_add(1));
        *self.0.borrow()
    }
}

impl Server {
    /// Takes the address; port 0 takes any that is free.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn bind(address: SocketAddr, limits: Limits) -> Result<Self> {
        let bad = |e: std::io::Error| Error::Argument(format!("cannot listen on {address}: {e}"));
        let listener = TcpListener::bind(address).map_err(bad)?;
        listener.set_nonblocking(true).map_err(bad)?;
        let (sender, receiver) = watch::channel(0);
        Ok(Self { listener, limits, stop: (Stop(Arc::new(sender)), receiver) })
    }

    /// The address, with the port that was found.
    ///
    /// # Errors
    /// The operating system's.
    pub fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().map_err(|e| Error::Argument(format!("the listening address: {e}")))
    }

    /// To stop it with.
    pub fn stop(&self) -> Stop {
        self.stop.0.clone()
    }

    /// Makes the runner, calls `on_ready`, then serves until it is stopped. `log` gets a line for every answer.
    ///
    /// # Errors
    /// The runner cannot be made, or the operating system's.
    pub fn run(
        self,
        model: Model,
        runner: MakeRunner,
        on_ready: impl FnOnce() -> Result<()>,
        log: impl Fn(&str) + Send + 'static,
    ) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Error::Argument(format!("cannot start the server: {e}")))?;
        let (jobs, worker) = worker::start(model.ready.clone(), runner, self.limits.queue, Box::new(log))?;
        let started = on_ready();
        let shared = Arc::new(api::Shared::new(model, self.limits, jobs, self.stop.1.clone()));
        let served =
            started.and_then(|()| runtime.block_on(listen::serve(self.listener, shared, self.stop.1)));
        // Ends whatever is left of requests; the worker then finds all of them cancelled.
        runtime.shutdown_background();
        worker.join().map_err(|_| Error::Fault("the engine's thread panicked".into()))?;
        served
    }
}
