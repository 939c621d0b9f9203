//! The configuration of `v++ --link`.

use super::super::{Kernel, PLATFORM};
use super::text;
use crate::NOTE;
use std::fmt::Write as _;

pub(super) fn file(kernel: &Kernel) -> String {
    let (name, instance) = (&kernel.name, kernel.instance());
    text(|s| {
        writeln!(
            s,
            "# {NOTE}\n# v++ --link --platform {PLATFORM} --config: every master on a memory of its own.\n"
        )?;
        writeln!(s, "[connectivity]\nnk={name}:1:{instance}")?;
        for m in &kernel.masters {
            writeln!(s, "sp={instance}.{}:{}", m.name, m.memory)?;
        }
        writeln!(s, "\n[clock]\nfreqHz={}000000:{instance}", kernel.config.mhz)
    })
}
