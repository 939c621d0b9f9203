//! `accllm estimate`.

use crate::args::Estimate;
use crate::out::Out;
use accllm_compiler::Program;
use accllm_compiler::info::Info;
use accllm_device::{Error, Result, output};
use accllm_hw::card::{self, Card, Misfit, Need, Resources};
use accllm_hw::config::{self, BEAT_BYTES, Config};
use accllm_lab::cost::{self, Area, Figures, Load, Part, Range, UnitArea, Worst, number};
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
    power: Option<Power>,
}

/// Power of a model's run.
#[derive(Serialize)]
struct Power {
    shape: String,
    phase: &'static str,
    context: Option<u64>,
    prompt: Option<usize>,
    batch: Option<usize>,
    #[serde(flatten)]
    figures: Figures,
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
    let model = args.shape.as_deref().map(|shape| Work::new(args, shape, &config)).transpose()?;
    let bytes = |beats: fn(&Info) -> usize| {
        model.as_ref().map_or(0, |m| (beats(&m.program.info()) * BEAT_BYTES) as u64)
    };
    let need = Need {
        config: &config,
        channel_bytes: bytes(|info| info.weight_beats + info.kv_beats),
        aux_bytes: bytes(|info| info.aux_beats),
        resources: Some(resources),
    };
    let misfits = card.misfits(&need);
    out.line(&format!("{} on {}, estimated (docs/cost.md)\n", config.name, card.title))?;
    units(&area, out)?;
    against(&card, &config, &resources, out)?;
    fits(&misfits, model.is_some(), out)?;
    let worst = cost::worst(&config);
    clock(&config, worst, out)?;
    let power = model.map(|m| m.power(&config, &card)).transpose()?;
    power.iter().try_for_each(|p| p.print(out))?;
    out.report(&Report {
        config: config.name.to_string(),
        card: card.name.clone(),
        total: area.total,
        shares: card.shares(&resources, config.channels),
        fits: misfits.is_empty(),
        misfits: misfits.iter().map(ToString::to_string).collect(),
        units: area.units,
        worst: worst.cloned(),
        power,
    })
}

/// The tables of the page.
fn write(page: &Path, out: &Out) -> Result<()> {
    let old = std::fs::read_to_string(page).map_err(|e| Error::io("read", page, e))?;
    let u280 = card::find("u280").map_err(|e| Error::Argument(e.to_string()))?;
    let new = cost::page(&old, u280, false)?;
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
    out.line(&format!(
        "{:<9} {:>10} {:>10} {:>22} {:>8}",
        "resource", "engine", "device", "with shell and paths", "ceiling"
    ))?;
    for (i, name) in Resources::<f64>::NAMES.into_iter().enumerate() {
        let (engine, device, share) =
            (number(*engine.each()[i]), number(*device.each()[i]), shares.each()[i]);
        let limit = card.limit.each()[i];
        out.line(&format!(
            "{:<9} {engine:>10} {device:>10} {share:>21.1}% {limit:>7}%",
            name.to_uppercase()
        ))?;
    }
    Ok(())
}

fn fits(misfits: &[Misfit], model: bool, out: &Out) -> Result<()> {
    if misfits.is_empty() {
        return out.line(if model { "fits" } else { "fits; memory is only looked at with a model" });
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
        None => {
            format!("slowest path: not known, as no records of synthesis are of {} as it is", config.name)
        }
    })
}

/// A model's run.
struct Work {
    shape: String,
    load: Load,
    batch: Option<usize>,
    program: Program,
}

impl Work {
    fn new(args: &Estimate, shape: &str, config: &Config) -> Result<Self> {
        let program = cost::program(shape, config, args.batch)?;
        let lambda = program.layout.shape.lambda;
        let full = (lambda.n_sink + lambda.n_window) as u64;
        let load = match args.prompt {
            Some(0) => return Err(Error::Argument("--prompt is 0; give 1 or more".into())),
            Some(prompt) => Load::Prefill(prompt),
            None => Load::Decode(args.context.unwrap_or(full)),
        };
        Ok(Self { shape: shape.into(), load, batch: args.batch, program })
    }

    fn power(&self, config: &Config, card: &Card) -> Result<Power> {
        let figures = cost::figures(&self.program, config, card, self.load)?;
        let (phase, context, prompt) = match self.load {
            Load::Decode(context) => {
                (if self.batch.is_some() { "batch" } else { "decode" }, Some(context), None)
            }
            Load::Prefill(prompt) => ("prefill", None, Some(prompt)),
        };
        Ok(Power { shape: self.shape.clone(), phase, context, prompt, batch: self.batch, figures })
    }
}

impl Power {
    fn print(&self, out: &Out) -> Result<()> {
        let f = &self.figures;
        let what = match (self.context, self.prompt, self.batch) {
            (Some(context), _, Some(batch)) => format!("{batch} sequences with {context} tokens before each"),
            (Some(context), _, None) => format!("a token with {context} before it"),
            (None, prompt, _) => format!("a prompt of {} tokens", prompt.unwrap_or(0)),
        };
        out.line(&format!(
            "\n{}, {what}: {:.0} cycles a token, {:.1} tokens/s (timing model)",
            self.shape, f.cycles_per_token, f.tokens_per_s
        ))?;
        out.line(&format!("{:<18} {:>7} {:>7} {:>7}", "W", "low", "value", "high"))?;
        let row =
            |name: &str, w: Range| format!("{name:<18} {:>7.2} {:>7.2} {:>7.2}", w.low, w.value, w.high);
        for share in &f.parts {
            out.line(&row(share.part, share.watts))?;
        }
        out.line(&row("together", f.watts))?;
        out.line(&format!("{:.3} J a token, {:.2} tokens a joule", f.joules_per_token, f.tokens_per_joule))
    }
}
