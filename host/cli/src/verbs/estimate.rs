//! `accllm estimate`.

use crate::args::Estimate;
use crate::out::Out;
use accllm_device::{Error, Result, output};
use accllm_hw::card::{self, Card, Misfit, Need, Resources};
use accllm_hw::config::{self, Config};
use accllm_lab::cost::{self, Area, Part, UnitArea, Worst, number};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Report {
    config: String,
    card: String,
    units: Vec<UnitArea>,
    total: cost::Resources,
    /// Percent of the card, shell and paths to memory included.
    shares: Resources<f64>,
    fits: bool,
    misfits: Vec<String>,
    worst: Option<Worst>,
}

/// Says what an engine takes of a card, and what a model's run takes of power.
pub fn run(args: &Estimate, out: &Out) -> Result<()> {
    if let Some(page) = &args.page {
        return write(page, out);
    }
    let config = config::open(&args.config)?;
    let card = card::open(&args.card).map_err(|e| Error::Argument(e.to_string()))?;
    let area = cost::area(&config);
    let resources = area.resources();
    let need = Need { config: &config, channel_bytes: 0, aux_bytes: 0, resources: Some(resources) };
    let misfits = card.misfits(&need);
    out.line(&format!("{} on {}, estimated (docs/cost.md)\n", config.name, card.title))?;
    units(&area, out)?;
    against(&card, &config, &resources, out)?;
    fits(&misfits, out)?;
    let worst = cost::worst(&config);
    clock(&config, worst, out)?;
    out.report(&Report {
        config: config.name.to_string(),
        card: card.name.clone(),
        total: area.total,
        shares: card.shares(&resources, config.channels),
        fits: misfits.is_empty(),
        misfits: misfits.iter().map(ToString::to_string).collect(),
        units: area.units,
        worst: worst.cloned(),
    })
}

/// The tables of the page.
fn write(page: &Path, out: &Out) -> Result<()> {
    let old = std::fs::read_to_string(page).map_err(|e| Error::io("read", page, e))?;
    let u280 = card::find("u280").map_err(|e| Error::Argument(e.to_string()))?;
    let new = cost::page(&old, u280).map_err(|e| Error::Argument(format!("{}: {e}", page.display())))?;
    output::write_whole(page, new.as_bytes())?;
    out.line(&format!("wrote {}", page.display()))?;
    out.report(&serde_json::json!({ "page": page }))
}

/// Every unit, by part.
fn units(area: &Area, out: &Out) -> Result<()> {
    let head = ["LUT", "LUTRAM", "FF", "DSP", "BRAM36", "URAM"].map(|h| format!("{h:>9}")).concat();
    out.line(&format!("{:<18} {:>3}{head}", "all of a unit", "x"))?;
    for part in [Part::Matrix, Part::Vector, Part::Memory, Part::Buffers, Part::Control] {
        for unit in area.units.iter().filter(|u| u.part == part) {
            out.line(&format!("{:<18} {:>3}{}", unit.unit, unit.count, cells(unit.total)))?;
        }
    }
    out.line(&format!("{:<18} {:>3}{}\n", "together", "", cells(area.total)))
}

fn cells(r: cost::Resources) -> String {
    let cell = |v: f64| format!("{:>9}", if v < 0.25 { String::new() } else { number(v) });
    [r.lut, r.lutram, r.ff, r.dsp, r.bram, r.uram].map(cell).concat()
}

/// The engine against the card.
fn against(card: &Card, config: &Config, engine: &Resources<f64>, out: &Out) -> Result<()> {
    let (shares, device) = (card.shares(engine, config.channels), card.device.resources());
    out.line(&format!("{:<9} {:>10} {:>10} {:>22} {:>8}", "resource", "engine", "device", "with shell and paths", "ceiling"))?;
    for (i, name) in Resources::<f64>::NAMES.into_iter().enumerate() {
        let (engine, device, share) = (number(*engine.each()[i]), number(*device.each()[i]), shares.each()[i]);
        let limit = card.limit.each()[i];
        out.line(&format!("{:<9} {engine:>10} {device:>10} {share:>21.1}% {limit:>7}%", name.to_uppercase()))?;
    }
    Ok(())
}

fn fits(misfits: &[Misfit], out: &Out) -> Result<()> {
    if misfits.is_empty() {
        return out.line("fits: memory is not looked at without a model");
    }
    for misfit in misfits {
        out.line(&format!("does not fit: {misfit}"))?;
    }
    Ok(())
}

/// The slowest path, where the records of synthesis know it.
fn clock(config: &Config, worst: Option<&Worst>, out: &Out) -> Result<()> {
    let period = 1000.0 / config.mhz as f64;
    out.line(&match worst {
        Some(w) => format!(
            "slowest path before placement: {:.2} ns, {} levels, from {}; {} MHz are {period:.2} ns",
            w.ns, w.levels, w.unit, config.mhz
        ),
        None => format!("slowest path: not known, as no records of synthesis are of {} as it is", config.name),
    })
}
