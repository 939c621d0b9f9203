//! The date that chat templates ask for.

use crate::{Error, Result};
use chrono::{Local, NaiveDate, NaiveDateTime};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A date and time, and whether it was asked for.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    fixed: Option<NaiveDateTime>,
    asked: Arc<AtomicBool>,
}

impl Clock {
    /// Always at `date`, `2026-07-14` or `2026-07-14T09:30:00`.
    ///
    /// # Errors
    /// It is no date.
    pub fn at(date: &str) -> Result<Self> {
        let day = || date.parse::<NaiveDate>().ok().and_then(|day| day.and_hms_opt(0, 0, 0));
        match date.parse::<NaiveDateTime>().ok().or_else(day) {
            Some(time) => Ok(Self { fixed: Some(time), ..Self::default() }),
            None => Err(Error::Argument(format!(
                "'{date}' is no date; give one like 2026-07-14 or 2026-07-14T09:30:00"
            ))),
        }
    }

    fn time(&self) -> NaiveDateTime {
        self.fixed.unwrap_or_else(|| Local::now().naive_local())
    }

    /// Python's `strftime`; `None` for a format that is not known.
    pub(super) fn format(&self, format: &str) -> Option<String> {
        self.asked.store(true, Ordering::Relaxed);
        let mut text = String::new();
        write!(text, "{}", self.time().format(format)).ok().map(|()| text)
    }

    /// The date, where it was asked for.
    pub(super) fn date_if_asked(&self) -> Option<String> {
        self.asked.load(Ordering::Relaxed).then(|| self.time().format("%Y-%m-%d").to_string())
    }
}
