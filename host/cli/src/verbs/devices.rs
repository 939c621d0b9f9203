//! `accllm devices`: what can run a program.

use crate::args::Devices;
use crate::out::Out;
use accllm_device::Result;
use accllm_device::Verilator;
use accllm_hw::config::{BEAT_BYTES, CONFIGS, TUNED, open};
use serde::Serialize;
use std::time::Instant;

#[derive(Serialize)]
struct Report {
    devices: Vec<Device>,
    configs: Vec<Config>,
}

#[derive(Serialize)]
struct Device {
    name: &'static str,
    what: &'static str,
    /// `ready`, or what is there, or why it cannot be used.
    state: String,
}

#[derive(Serialize)]
struct Config {
    name: &'static str,
    channels: usize,
    lanes: usize,
    vector: usize,
    block: usize,
    mhz: usize,
    /// Bytes per second that the channels deliver at the configuration's clock.
    peak_bytes_per_second: u64,
}

/// Lists devices and configurations, or builds RTL models.
pub fn run(args: &Devices, out: &Out) -> Result<()> {
    let builds = args.build.iter().map(|name| open(name));
    for config in builds.collect::<std::result::Result<Vec<_>, _>>()? {
        let start = Instant::now();
        let busy = out.busy(&format!("building the RTL of '{}'", config.name));
        Verilator::build(&config)?;
        busy.finish_and_clear();
        out.line(&format!("RTL of '{}' is ready ({:.1} s)", config.name, start.elapsed().as_secs_f64()))?;
    }
    if !args.build.is_empty() && !out.is_json() {
        return Ok(());
    }
    let report = Report { devices: devices(), configs: configs() };
    out.line("device     what")?;
    for d in &report.devices {
        out.line(&format!("{:<10} {}", d.name, d.what))?;
        if d.state != "ready" {
            out.line(&format!("{:<10}   {}", "", d.state))?;
        }
    }
    out.line("\nconfig  channels  lanes  vector  block   MHz  peak GB/s")?;
    for c in &report.configs {
        let (name, peak) = (c.name, c.peak_bytes_per_second as f64 / 1e9);
        out.line(&format!(
            "{name:<7} {:>8}  {:>5}  {:>6}  {:>5}  {:>4}  {peak:>9.1}",
            c.channels, c.lanes, c.vector, c.block, c.mhz
        ))?;
    }
    out.report(&report)
}

fn devices() -> Vec<Device> {
    let device = |name, what, state: &str| Device { name, what, state: state.into() };
    let xrt = accllm_device::xrt::available().unwrap_or_else(|e| e.to_string());
    vec![
        device("integer", "integer reference model, all cores", "ready"),
        device("golden", "golden executor: the compiled program, instruction by instruction", "ready"),
        device("verilator", "the engine's SystemVerilog in Verilator, cycle by cycle", "ready"),
        device("xrt", "a card through XRT, or XRT's hardware emulation", &xrt),
    ]
}

fn configs() -> Vec<Config> {
    CONFIGS
        .iter()
        .chain(TUNED.iter())
        .map(|c| Config {
            name: c.name.as_str(),
            channels: c.channels,
            lanes: c.lanes,
            vector: c.vec,
            block: c.block,
            mhz: c.mhz,
            peak_bytes_per_second: (c.channels * BEAT_BYTES * c.mhz) as u64 * 1_000_000,
        })
        .collect()
}
