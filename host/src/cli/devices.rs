//! `accllm devices`: what can run a program.

use super::out::Out;
use accllm::Result;
use accllm_hw::config::CONFIGS;
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    devices: Vec<Device>,
    configs: Vec<Config>,
}

#[derive(Serialize)]
struct Device {
    name: &'static str,
    what: &'static str,
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

/// Lists devices and configurations.
pub fn run(out: &Out) -> Result<()> {
    let report = Report { devices: devices(), configs: configs() };
    out.line("device     what")?;
    for d in &report.devices {
        out.line(&format!("{:<10} {}", d.name, d.what))?;
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
    vec![
        Device { name: "integer", what: "integer reference model, all cores" },
        Device { name: "golden", what: "golden executor: the compiled program, instruction by instruction" },
        Device { name: "verilator", what: "the engine's SystemVerilog in Verilator, cycle by cycle" },
    ]
}

fn configs() -> Vec<Config> {
    CONFIGS
        .iter()
        .map(|c| Config {
            name: c.name,
            channels: c.channels,
            lanes: c.lanes,
            vector: c.vec,
            block: c.block,
            mhz: c.mhz,
            peak_bytes_per_second: (c.channels * accllm_hw::config::BEAT_BYTES * c.mhz) as u64 * 1_000_000,
        })
        .collect()
}
