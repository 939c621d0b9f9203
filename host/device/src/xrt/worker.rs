//! A thread that owns XRT's handles, so that a call that never returns becomes an error.
//!
//! XRT waits without limit in many places; in emulation it spins for ever once the device process is gone. Every call is
//! therefore made on a thread of its own, and given up after a time limit. The thread cannot be stopped then: the worker
//! refuses everything from that moment on, and [`stuck`] tells the program to end without XRT's cleaning up at exit.

use crate::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Set once a call into XRT did not return.
static STUCK: AtomicBool = AtomicBool::new(false);

/// Whether a call into XRT was given up in this process. It should end, by [`leave`]: XRT's own cleaning up at exit would
/// wait for ever.
pub fn stuck() -> bool {
    STUCK.load(Ordering::Relaxed)
}

/// Ends the process at once, without the exit handlers of libraries.
pub fn leave(code: i32) -> ! {
    // SAFETY: the function does not return and touches no memory of the program.
    unsafe { libc::_exit(code) }
}

type Job<S> = Box<dyn FnOnce(&mut Option<S>) + Send>;

/// Looks whether the other side still lives; what has happened if it does not.
pub type Watch = Box<dyn FnMut() -> Option<String> + Send>;

/// The thread, with a value that lives on it.
pub struct Worker<S> {
    jobs: Option<Sender<Job<S>>>,
    thread: Option<JoinHandle<()>>,
    watch: Watch,
    given_up: Option<String>,
}

/// Time between two looks at the other side.
const LOOK: Duration = Duration::from_millis(50);
/// How long closing everything may take.
const CLOSE: Duration = Duration::from_secs(15);

impl<S: 'static> Worker<S> {
    /// A thread without a value yet.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn new(watch: Watch) -> Result<Self> {
        let (jobs, todo) = mpsc::channel::<Job<S>>();
        let thread = std::thread::Builder::new().name("xrt".into()).spawn(move || {
            let mut state = None;
            for job in todo {
                job(&mut state);
            }
        });
        let thread = thread.map_err(|e| Error::Xrt(format!("cannot start the thread for XRT: {e}")))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), watch, given_up: None })
    }

    /// Has the thread make its value.
    ///
    /// # Errors
    /// Those of `f`, or it took longer than `limit`.
    pub fn open(
        &mut self,
        what: &str,
        limit: Duration,
        f: impl FnOnce() -> Result<S> + Send + 'static,
    ) -> Result<()> {
        self.job(what, limit, move |state| {
            *state = Some(f()?);
            Ok(())
        })
    }

    /// Calls `f` with the value.
    ///
    /// # Errors
    /// Those of `f`, or it took longer than `limit`, or an earlier call was given up.
    pub fn call<R: Send + 'static>(
        &mut self,
        what: &str,
        limit: Duration,
        f: impl FnOnce(&mut S) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        self.job(what, limit, move |state| match state {
            Some(s) => f(s),
            None => Err(Error::Xrt("the card is not open".into())),
        })
    }

    fn job<R: Send + 'static>(
        &mut self,
        what: &str,
        limit: Duration,
        f: impl FnOnce(&mut Option<S>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        if let Some(why) = &self.given_up {
            return Err(Error::Xrt(format!("cannot {what}: {why}")));
        }
        let (tell, answer) = mpsc::channel();
        let job: Job<S> = Box::new(move |state| {
            // The receiver is gone when the call was given up.
            let _ = tell.send(f(state));
        });
        let Some(jobs) = &self.jobs else {
            return Err(Error::Xrt(format!("cannot {what}: the card is closed")));
        };
        // If the thread has ended, the answer's channel is closed too.
        let _ = jobs.send(job);
        wait(&answer, limit, &mut self.watch).unwrap_or_else(|why| {
            self.abandon(why.clone());
            Err(Error::Xrt(format!("cannot {what}: {why}")))
        })
    }

    /// Gives the thread up with everything that it owns: XRT cannot free what is still in use.
    pub fn abandon(&mut self, why: String) {
        STUCK.store(true, Ordering::Relaxed);
        self.given_up = Some(why);
    }

    /// Whether a call was given up.
    pub fn is_stuck(&self) -> bool {
        self.given_up.is_some()
    }

    /// Drops the value and ends the thread.
    ///
    /// # Errors
    /// That took too long.
    pub fn close(&mut self) -> Result<()> {
        if self.thread.is_none() {
            return Ok(());
        }
        let done = self.job("close the card", CLOSE, |state| {
            *state = None;
            Ok(())
        });
        self.jobs = None;
        if let (Ok(()), Some(thread)) = (&done, self.thread.take()) {
            // It has nothing left to do.
            let _ = thread.join();
        }
        done
    }
}

impl<S> Drop for Worker<S> {
    fn drop(&mut self) {
        // Without `close`, or after it failed, the thread is left behind with everything that it owns.
        if self.thread.take().is_some() {
            STUCK.store(true, Ordering::Relaxed);
        }
    }
}

fn wait<R>(answer: &Receiver<R>, limit: Duration, watch: &mut Watch) -> std::result::Result<R, String> {
    let start = Instant::now();
    loop {
        match answer.recv_timeout(LOOK) {
            Ok(r) => return Ok(r),
            Err(RecvTimeoutError::Disconnected) => return Err("XRT's thread ended".into()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(why) = watch() {
            // It may have answered just before.
            return answer.recv_timeout(LOOK).map_err(|_| why);
        }
        if start.elapsed() > limit {
            return Err(format!("no answer from XRT within {} s", limit.as_secs_f64()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(watch: Watch) -> Worker<u32> {
        let mut w = Worker::new(watch).unwrap();
        w.open("open", Duration::from_secs(5), || Ok(7)).unwrap();
        w
    }

    #[test]
    fn calls_return_or_are_given_up() {
        let mut w = worker(Box::new(|| None));
        assert_eq!(w.call("add", Duration::from_secs(5), |s| Ok(*s + 1)).unwrap(), 8);
        let failed = w.call("fail", Duration::from_secs(5), |_| Err::<(), _>(Error::Xrt("no".into())));
        assert_eq!(failed.unwrap_err().to_string(), "no");
        w.close().unwrap();
        assert!(w.call("add", Duration::from_secs(5), |s| Ok(*s)).is_err());

        let mut w = worker(Box::new(|| None));
        let (_keep, block) = mpsc::channel::<()>();
        let start = Instant::now();
        let hung = w.call("hang", Duration::from_millis(200), move |_| {
            let _ = block.recv();
            Ok(())
        });
        assert!(hung.unwrap_err().to_string().contains("within 0.2 s"));
        assert!(start.elapsed() < Duration::from_secs(5) && w.is_stuck() && stuck());
        assert!(w.call("go on", Duration::from_secs(5), |s| Ok(*s)).is_err());
    }

    #[test]
    fn a_dead_other_side_ends_a_call_before_its_limit() {
        let mut w = worker(Box::new(|| Some("the device is gone".into())));
        let (_keep, block) = mpsc::channel::<()>();
        let start = Instant::now();
        let hung = w.call("hang", Duration::from_secs(60), move |_| {
            let _ = block.recv();
            Ok(())
        });
        assert!(hung.unwrap_err().to_string().contains("the device is gone"));
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
