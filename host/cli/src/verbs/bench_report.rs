//! A benchmark's report, for people.

use crate::out::{Out, grouped};
use accllm_device::Result;
use accllm_lab::bench::{self, Report};

fn percent(x: f64) -> String {
    format!("{:.1}%", 100.0 * x)
}

/// Prints it, the prompt's first.
pub fn print(r: &Report, out: &Out) -> Result<()> {
    if let Some(prefill) = &r.prefill {
        print(prefill, out)?;
        out.line("")?;
    }
    out.line(&title(r))?;
    let line = |what: &str, text: String| out.line(&format!("  {what:<18} {text}"));
    line("tokens/s", format!("{:.1}   {} at {} MHz", r.tokens_per_s, r.basis, r.mhz))?;
    for p in r.published {
        line("", format!("{:.0}   {}, published: {}", p.tokens_per_s, p.system, p.basis))?;
    }
    if let Some(e) = &r.estimated {
        line(
            "",
            format!(
                "{:.1}   estimated for {} layers: {:.0} more cycles a layer and run",
                e.tokens_per_s, e.layers, e.cycles_per_layer
            ),
        )?;
    }
    use_of_the_engine(r, out)?;
    let s = &r.stalls;
    line("matrix unit", s.matrix_unit())?;
    line("vector unit", s.vector_unit())?;
    let bytes = grouped(r.instruction_bytes as u64);
    line("program", format!("{} instructions, {bytes} bytes", grouped(r.instructions as u64)))?;
    operations(r, out)?;
    line("compared", compared(r))?;
    let memory =
        r.peak_memory_bytes.map_or_else(String::new, |b| format!(", {:.1} GB of memory", b as f64 / 1e9));
    line(
        "measured",
        format!(
            "{:.1} s in all, {:.1} s for weights and cache, {:.0} kcycles/s simulated{memory}",
            r.wall_s,
            r.generate_s,
            r.sim_cycles_per_s / 1e3
        ),
    )
}

/// Cycles, bytes and multipliers.
fn use_of_the_engine(r: &Report, out: &Out) -> Result<()> {
    let line = |what: &str, text: String| out.line(&format!("  {what:<18} {text}"));
    let (cycles, runs) = (grouped(r.cycles), grouped(r.runs));
    line("cycles", format!("{cycles} in {runs} runs, {:.0} a token", r.cycles_per_token))?;
    line(
        "channels",
        format!("{:.3} MB a token, {:.0} beats a channel", r.bytes_per_token / 1e6, r.beats_per_token),
    )?;
    let model = r.model_bytes_per_s / 1e9;
    let peak = (r.channels * 64 * r.mhz) as f64 / 1e3;
    line(
        "bandwidth",
        format!(
            "{} of {peak:.1} GB/s, {} of the {model:.1} that the memory model delivers in sequence",
            percent(r.hbm_fraction_of_peak),
            percent(r.hbm_fraction_of_model)
        ),
    )?;
    if let Some(s) = r.streaming_fraction_of_model {
        line("weight streams", format!("{} of that while they follow each other", percent(s)))?;
    }
    let lanes = r.lanes;
    line(
        "multipliers",
        format!("{} of {} channels x 128 x {lanes} lanes", percent(r.mac_utilisation), r.channels),
    )?;
    Ok(())
}

fn compared(r: &Report) -> String {
    let a = &r.agreement;
    match a.elements_compared {
        0 if r.basis == "estimated" => "nothing: the timing model computes nothing".into(),
        0 => "nothing (--no-compare)".into(),
        n => format!(
            "{} elements of {} tensors with the golden executor, {} differ",
            grouped(n),
            grouped(a.tensors_compared),
            grouped(a.elements_different)
        ),
    }
}

fn title(r: &Report) -> String {
    let what = match (r.prompt, r.batch) {
        (Some(n), _) => format!("prefill of {n} tokens in blocks of {}", r.block),
        (_, Some(n)) => {
            format!("decode of {} tokens of {n} sequences at once after {} each", r.tokens, r.context)
        }
        _ => format!("decode of {} tokens after {}", r.tokens, r.context),
    };
    let layers = match r.layers == r.model_layers {
        true => String::new(),
        false => format!(", only {} of {} layers", r.layers, r.model_layers),
    };
    format!(
        "{} on '{}', {what}, {} sinks + window {}, {} memory{layers}",
        r.shape, r.config, r.sinks, r.window, r.memory
    )
}

/// Operations with their share of the cycles, in the order of the program.
fn operations(r: &Report, out: &Out) -> Result<()> {
    for (what, of) in bench::PARTS {
        let shares = r.operations.iter().map(|o| (o, of(o) as f64 / r.cycles as f64));
        let parts: Vec<_> = shares
            .filter(|(_, share)| *share >= 0.0005)
            .map(|(o, share)| format!("{} {}", o.operation, percent(share)))
            .collect();
        if !parts.is_empty() {
            out.line(&format!("  {what:<18} {}", parts.join(", ")))?;
        }
    }
    Ok(())
}
