//! The reference page of cards.

use super::{NOTE, out};
use crate::card::{CARDS, Card, Memory};
use std::fmt::Write as _;

/// `docs/cards.md`.
pub fn page() -> String {
    include_str!("cards.md")
        .replace("<!-- note -->", NOTE)
        .replace("<!-- values -->\n", &values())
        .replace("<!-- sources -->\n", &sources())
}

/// A row of the table: its title, and what it says of a card.
type Line = (&'static str, fn(&Card) -> String);

const LINES: [Line; 13] = [
    ("product", |c| c.title.clone()),
    ("memory", |c| memory(&c.memory)),
    ("GB/s together", |c| format!("{:.0}", c.memory.gb_per_s * c.memory.channels as f64)),
    ("auxiliary", |c| if c.aux.shared { "in the memory".into() } else { memory(&c.aux) }),
    ("LUT", |c| share(c.device.lut, c.free.total().lut)),
    ("FF", |c| share(c.device.ff, c.free.total().ff)),
    ("DSP", |c| share(c.device.dsp, c.free.total().dsp)),
    ("BRAM36", |c| share(c.device.bram, c.free.total().bram)),
    ("URAM", |c| share(c.device.uram, c.free.total().uram)),
    ("dies", |c| c.dies.len().to_string()),
    ("clock, MHz", |c| c.clock.mhz.to_string()),
    ("idle, W", |c| format!("{} ({} to {})", c.idle.value, c.idle.low, c.idle.high)),
    ("price, US dollars", |c| format!("{} ({})", c.price.usd, c.price.class)),
];

fn memory(m: &Memory) -> String {
    let gib = (m.bytes * m.channels as u64) as f64 / (1u64 << 30) as f64;
    format!("{} x {} {} GB/s, {gib} GiB, {} ports", m.channels, m.kind.name(), m.gb_per_s, m.ports)
}

fn share(device: f64, free: f64) -> String {
    format!("{device}, {free} free")
}

fn values() -> String {
    out(|s| {
        let names: Vec<_> = CARDS.iter().map(|c| c.name.as_str()).collect();
        writeln!(s, "| | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()))?;
        for (title, text) in LINES {
            let cells: Vec<_> = CARDS.iter().map(text).collect();
            writeln!(s, "| {title} | {} |", cells.join(" | "))?;
        }
        Ok(())
    })
}

fn sources() -> String {
    out(|s| {
        for c in CARDS.iter() {
            writeln!(s, "**{}** ({}, {})\n", c.name, c.part, c.platform)?;
            for (group, source) in [
                ("memory", &c.memory.source),
                ("aux", &c.aux.source),
                ("device", &c.device.source),
                ("free", &c.free.source),
                ("added", &c.added.source),
                ("clock", &c.clock.source),
                ("idle", &c.idle.source),
                ("price", &c.price.source),
            ] {
                writeln!(s, "- {group}: {source}.")?;
            }
            writeln!(s)?;
        }
        let end = s.trim_end().len();
        s.truncate(end);
        writeln!(s)
    })
}
