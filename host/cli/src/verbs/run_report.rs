//! What `accllm run` reports.

use crate::out::{Out, grouped};
use crate::plan::Hardware;
use accllm_device::Compared;
use accllm_device::Result;
use accllm_device::perf::Figures;
use accllm_hw::config::BEAT_BYTES;
use accllm_text::generate::Stop;
use accllm_text::runner::Runner;
use accllm_text::sample::Sampling;
use serde::Serialize;

/// The report.
#[derive(Serialize)]
pub struct Report {
    pub model: String,
    pub device: &'static str,
    pub sinks: usize,
    pub window: usize,
    /// Tokens that the KV cache has seen.
    pub position: u64,
    /// Unless the most likely token was always chosen.
    pub sampling: Option<Sampling>,
    #[serde(flatten)]
    pub text: Text,
    /// With `--lockstep`.
    pub compared: Option<Compared>,
    /// On simulated devices with a clock.
    pub simulated: Option<Counted>,
    /// On a card.
    pub measured: Option<Counted>,
}

/// The text.
#[derive(Serialize)]
pub struct Text {
    pub prompt: String,
    pub prompt_tokens: usize,
    /// The new text, without the prompt.
    pub text: String,
    /// Its tokens.
    pub tokens: Vec<u32>,
    pub stop: Stop,
    /// Wall time of prompt and text on this computer.
    pub seconds: f64,
}

/// What the hardware counted.
#[derive(Serialize)]
pub struct Counted {
    config: String,
    /// Memory model behind the ports.
    memory: &'static str,
    mhz: usize,
    peak_bytes_per_second: f64,
    /// Simulated cycles per second of wall time are `cycles / seconds`.
    cycles: u64,
    prefill: Option<Figures>,
    decode: Option<Figures>,
}

impl Report {
    /// Prints everything but the text, which is out already.
    pub fn print(&self, out: &Out) -> Result<()> {
        if self.compared.is_some() || self.simulated.is_some() || self.measured.is_some() {
            out.line("")?;
        }
        if let Some(c) = &self.compared {
            let (tensors, elements) = (grouped(c.tensors), grouped(c.elements));
            out.line(&format!("bit-exact: {tensors} tensors, {elements} elements compared, 0 differ"))?;
        }
        if let Some(s) = &self.simulated {
            s.print(out, "simulated")?;
            let speed = s.cycles as f64 / self.text.seconds / 1e3;
            out.line(&format!(
                "simulation speed (measured): {} cycles in {:.1} s, {speed:.0} kcycles/s",
                grouped(s.cycles),
                self.text.seconds
            ))?;
        }
        if let Some(m) = &self.measured {
            m.print(out, "measured")?;
        }
        out.report(self)
    }
}

impl Counted {
    /// The figures of a runner; `None` without a clock.
    pub fn new(runner: &dyn Runner, hardware: &Hardware) -> Option<Self> {
        let Hardware { config, memory, .. } = hardware;
        let [prefill, decode] = runner.work()?;
        let cycles = prefill.counters.cycles + decode.counters.cycles;
        (cycles > 0).then(|| Self {
            config: config.name.to_string(),
            memory,
            mhz: config.mhz,
            peak_bytes_per_second: (config.channels * BEAT_BYTES * config.mhz) as f64 * 1e6,
            cycles,
            prefill: Figures::new(prefill, config),
            decode: Figures::new(decode, config),
        })
    }

    fn print(&self, out: &Out, how: &str) -> Result<()> {
        let (config, mhz, memory) = (&self.config, self.mhz, self.memory);
        out.line(&format!("{how} on '{config}' at {mhz} MHz, {memory} memory:"))?;
        for (name, figures) in [("prompt", &self.prefill), ("decode", &self.decode)] {
            if let Some(f) = figures {
                self.figures(out, name, f)?;
            }
        }
        Ok(())
    }

    fn figures(&self, out: &Out, name: &str, f: &Figures) -> Result<()> {
        let line = |what: &str, text: String| out.line(&format!("  {what:<14} {text}"));
        let s = &f.shares;
        let percent = |x: f64| format!("{:.1}%", 100.0 * x);
        out.line(&format!("{name}, {} tokens", f.tokens))?;
        line("cycles/token", format!("{:.0}", f.cycles_per_token))?;
        line("matrix unit", s.matrix_unit())?;
        line("vector unit", s.vector_unit())?;
        line(
            "HBM",
            format!(
                "{:.3} MB/token, {} of {:.1} GB/s",
                f.hbm_bytes_per_token / 1e6,
                percent(f.bandwidth_use),
                self.peak_bytes_per_second / 1e9
            ),
        )?;
        line("tokens/s", grouped(f.tokens_per_second as u64))
    }
}
