//! Standard output (reports, story) and standard error (progress).

use accllm::bench::Progress;
use accllm::{Error, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

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

/// A bar on standard error for each part of a benchmark; invisible when that is no terminal.
#[derive(Default)]
pub struct Bars(Mutex<Option<ProgressBar>>);

impl Bars {
    fn with(&self, f: impl FnOnce(&mut Option<ProgressBar>)) {
        // A bar is whole whatever panicked while it was held.
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Progress for Bars {
    fn begin(&self, what: &str, total: u64) {
        let bar = match total {
            0 => ProgressBar::new_spinner(),
            total => ProgressBar::new(total).with_style(style()),
        };
        let bar = bar.with_message(what.to_string());
        bar.set_draw_target(target());
        bar.enable_steady_tick(Duration::from_millis(100));
        self.with(|b| *b = Some(bar));
    }

    fn advance(&self, units: u64) {
        self.with(|b| b.iter().for_each(|b| b.inc(units)));
    }

    fn end(&self) {
        self.with(|b| b.take().iter().for_each(ProgressBar::finish_and_clear));
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg:<20} {wide_bar} {percent:>3}% {elapsed} eta {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn target() -> ProgressDrawTarget {
    match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    }
}

fn write(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|e| Error::io("write", Path::new("standard output"), e))
}
