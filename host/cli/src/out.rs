//! Standard output (reports, story) and standard error (progress, errors).

use accllm_device::progress::Progress;
use accllm_device::{Error, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Says what went wrong, in one piece: a thread of XRT that still works may print at the same time.
pub fn complain(e: &Error) {
    // Without a place to say it, the exit code is what is left.
    let _ = std::io::stderr().write_all(format!("error: {e}\n").as_bytes());
}

/// Where results go: text for people, or one JSON object.
#[derive(Clone, Copy)]
pub struct Out {
    json: bool,
}

impl Out {
    /// Text, or JSON when `json`.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether a JSON object is wanted.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Writes text at once; nothing in JSON mode.
    pub fn text(&self, text: &str) -> Result<()> {
        if self.json { Ok(()) } else { write(text) }
    }

    /// Writes a line of text; nothing in JSON mode.
    pub fn line(&self, text: &str) -> Result<()> {
        self.text(&format!("{text}\n"))
    }

    /// Writes the report as JSON; nothing in text mode.
    pub fn report(&self, report: &impl serde::Serialize) -> Result<()> {
        if !self.json {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(report)
            .map_err(|e| Error::Argument(format!("cannot print the report as JSON: {e}")))?;
        write(&format!("{text}\n"))
    }

    /// A spinner on standard error that says what takes time; invisible when that is no terminal.
    pub fn busy(&self, what: &str) -> ProgressBar {
        let bar = ProgressBar::new_spinner().with_message(what.to_string());
        bar.set_draw_target(target());
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }
}

/// A bar on standard error for each part of some long work; invisible when that is no terminal.
#[derive(Default)]
pub struct Bars {
    bar: Mutex<Option<ProgressBar>>,
    units: Units,
}

/// What is counted, which decides what is shown of it.
#[derive(Default, Clone, Copy)]
enum Units {
    /// Steps of some work: the time that is left.
    #[default]
    Work,
    /// Tokens: their rate, and the time that is left.
    Tokens,
    /// Bytes: how many, and their rate.
    Bytes,
}

impl Bars {
    /// Bars for tokens.
    pub fn tokens() -> Self {
        Self { units: Units::Tokens, ..Self::default() }
    }

    /// Bars for bytes that are moved.
    pub fn bytes() -> Self {
        Self { units: Units::Bytes, ..Self::default() }
    }

    fn with(&self, f: impl FnOnce(&mut Option<ProgressBar>)) {
        // A bar is whole whatever panicked while it was held.
        f(&mut self.bar.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Progress for Bars {
    fn begin(&self, what: &str, total: u64) {
        let bar = match total {
            0 => ProgressBar::new_spinner(),
            total => ProgressBar::new(total).with_style(style(self.units)),
        };
        let bar = bar.with_message(what.to_string());
        bar.set_draw_target(target());
        bar.enable_steady_tick(Duration::from_millis(100));
        self.with(|b| *b = Some(bar));
    }

    fn advance(&self, units: u64) {
        self.with(|b| b.iter().for_each(|b| b.inc(units)));
    }

    fn note(&self, text: &str) {
        self.with(|b| b.iter().for_each(|b| b.set_message(text.to_string())));
    }

    fn end(&self) {
        self.with(|b| b.take().iter().for_each(ProgressBar::finish_and_clear));
    }
}

fn style(units: Units) -> ProgressStyle {
    let template = match units {
        Units::Bytes => "{msg} {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}",
        Units::Tokens => "{msg:<32} {wide_bar} {percent:>3}% {per_sec} (tokens), {eta} left",
        Units::Work => "{msg:<20} {wide_bar} {percent:>3}% {elapsed} eta {eta}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn target() -> ProgressDrawTarget {
    match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    }
}

/// Standard output, where a library that writes to it has been sent elsewhere.
static OWN: OnceLock<File> = OnceLock::new();

/// Sends what libraries print on standard output to standard error from now on: XRT's emulation talks there. Results
/// still go where they should.
pub fn own_stdout() -> Result<()> {
    let failed = |e: rustix::io::Errno| Error::io("keep", Path::new("standard output"), e.into());
    if OWN.get().is_none() {
        let kept = rustix::io::fcntl_dupfd_cloexec(std::io::stdout(), 3).map_err(failed)?;
        rustix::stdio::dup2_stdout(std::io::stderr()).map_err(failed)?;
        // Nobody else sets it: the command line is one thread.
        let _ = OWN.set(kept.into());
    }
    Ok(())
}

fn write(text: &str) -> Result<()> {
    let done = match OWN.get() {
        Some(mut file) => file.write_all(text.as_bytes()),
        None => {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        }
    };
    done.map_err(|e| Error::io("write", Path::new("standard output"), e))
}

/// Digits in groups of three.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn digits_in_threes() {
        assert_eq!([0, 999, 1000, 1234567].map(super::grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
