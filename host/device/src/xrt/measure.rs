//! What the driver costs, measured against the library calls that it makes.

use super::card::Card;
use super::handles::Way;
use super::{GRACE, MOVE, Xrt};
use crate::Device as _;
use crate::Result;
use crate::progress::Silent;
use accllm_compiler::MemoryImage;
use accllm_hw::config::BEAT_BYTES;
use accllm_hw::isa::ARGS;
use accllm_hw::regs;
use std::time::{Duration, Instant};

/// Bytes that are moved at least to measure a rate.
const ENOUGH: u64 = 64 << 20;

/// Times on this computer; those of runs are medians.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Measured {
    /// Bytes of the memory image.
    pub bytes: u64,
    /// Upload, read back and compared.
    pub checked_bytes_per_second: f64,
    /// Upload without that.
    pub upload_bytes_per_second: f64,
    /// XRT's transfers alone, from memory that holds the image already.
    pub raw_bytes_per_second: f64,
    /// Runs of no tokens that were timed, each way.
    pub runs: u32,
    /// Such a run by the driver: token ids and RoPE rows written, run, result and counters read.
    pub run_seconds: f64,
    /// The same calls of XRT, one after the other on one thread.
    pub raw_run_seconds: f64,
    /// XRT's start and wait alone.
    pub raw_start_seconds: f64,
}

impl Xrt {
    /// Measures uploads of the image that is loaded, and runs of no tokens. The program stays usable.
    ///
    /// # Errors
    /// The card fails.
    pub fn measure(&mut self, image: &MemoryImage, runs: u32) -> Result<Measured> {
        let bytes: u64 = image.channels.iter().chain([&image.aux]).map(|b| b.len() as u64).sum();
        let times = ENOUGH.div_ceil(bytes.max(1));
        let mut rates = [0.0; 2];
        for (rate, check) in rates.iter_mut().zip([true, false]) {
            let kept = std::mem::replace(&mut self.verify, check);
            let start = Instant::now();
            let done = (0..times).try_for_each(|_| self.upload(image, &Silent));
            *rate = (times * bytes) as f64 / start.elapsed().as_secs_f64();
            self.verify = kept;
            done?;
        }
        let lens: Vec<usize> = image.channels.iter().chain([&image.aux]).map(|b| b.len()).collect();
        let raw = self.worker.call("measure transfers", MOVE, move |card| {
            let start = Instant::now();
            for _ in 0..times {
                for (buffer, len) in lens.iter().enumerate() {
                    card.sync(buffer, Way::ToCard, 0, *len)?;
                }
            }
            Ok((times * bytes) as f64 / start.elapsed().as_secs_f64())
        })?;
        let aux = self.program.layout.aux;
        let block = vec![0; (aux.logits - aux.ids) * BEAT_BYTES];
        let run_seconds = median(runs, || {
            self.write_aux(aux.ids, &block)?;
            self.run([0; ARGS]).map(|_| ())
        })?;
        let (first, buffer) = (self.kernel.arg(regs::ARG).unwrap_or(0), self.kernel.config.channels);
        let (at, len, limit) = (aux.ids * BEAT_BYTES, block.len(), self.limit);
        let calls = move |card: &mut Card| {
            let whole = median(runs, || {
                card.sync(buffer, Way::ToCard, at, len)?;
                card.run(first, [0; ARGS], limit).map(|_| ())
            });
            let start = median(runs, || card.start_and_wait(limit).map(|_| ()));
            Ok((whole?, start?))
        };
        let most = (limit + GRACE).saturating_mul(runs) + Duration::from_secs(1);
        let (raw_run_seconds, raw_start_seconds) = self.worker.call("measure runs", most, calls)?;
        Ok(Measured {
            bytes,
            checked_bytes_per_second: rates[0],
            upload_bytes_per_second: rates[1],
            raw_bytes_per_second: raw,
            runs,
            run_seconds,
            raw_run_seconds,
            raw_start_seconds,
        })
    }
}

/// The median time of a call, in seconds.
fn median(times: u32, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut all = Vec::new();
    for _ in 0..times.max(1) {
        let start = Instant::now();
        call()?;
        all.push(start.elapsed().as_secs_f64());
    }
    all.sort_by(f64::total_cmp);
    Ok(all[all.len() / 2])
}
