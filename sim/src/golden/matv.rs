//! MATV: weighted sums of cached values.

use accllm_hw::config::{COLS, GROUP, MACS};
use accllm_hw::fixed::sat;
use accllm_hw::isa::FLAG_WIDE;
use rayon::prelude::*;

use super::cursor::Cursor;
use super::exec::{Exec, Operands};
use super::fault::Fault;
use super::kernel::{Levels, dot, levels_nibbles};
use super::matw::{Inputs, PARALLEL};
use super::memory::Memory;

/// Dims of V that a channel computes in a step.
const DIMS: usize = 4;

struct Job<'a> {
    blocks: usize,
    x: usize,
    word: usize,
    wide: bool,
    rows: usize,
    inputs: &'a Inputs,
}

impl Job<'_> {
    /// Four dims of one channel and step, row by row.
    fn dims<M: Memory>(&self, cursor: &mut Cursor<'_, M>) -> Result<Vec<i32>, Fault> {
        let mut acc = vec![[0i64; DIMS]; self.rows];
        let mut levels: Levels = [0; COLS];
        for block in 0..self.blocks {
            levels_nibbles(cursor.next()?, &mut levels);
            let word = self.word + block / 2 * self.x;
            for (r, acc) in acc.iter_mut().enumerate() {
                let p = self.inputs.columns(word, r, block % 2 * MACS, MACS);
                for (g, a) in acc.iter_mut().enumerate() {
                    *a += i64::from(dot(&levels[g * GROUP..][..GROUP], &p[g * GROUP..][..GROUP]));
                }
            }
        }
        let narrow = |v: i64| sat(v, 32) as i32;
        Ok(if self.wide {
            let join = |h: &[[i64; DIMS]]| std::array::from_fn::<_, DIMS, _>(|g| h[0][g] * 256 + h[1][g]);
            acc.chunks_exact(2).flat_map(join).map(narrow).collect()
        } else {
            acc.into_iter().flatten().map(narrow).collect()
        })
    }
}

impl<M: Memory> Exec<'_, M> {
    pub(super) fn matv(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 || o.m == 0 || o.sh == 0 {
            return Ok(());
        }
        let wide = o.flag(FLAG_WIDE);
        let rows = self.lane_rows(u64::from(o.m) << u32::from(wide))?;
        let channels = self.config.channels;
        let steps = o.sh as usize;
        let to = self.vmem_rows(o.c, o.m, o.aux.into(), (steps * DIMS * channels) as u64, "MATV output")?;
        let last = u64::from(o.b)
            + u64::from((o.n - 1) / 2) * u64::from(o.x)
            + (rows as u64 - 1) / self.config.lanes as u64;
        self.act_word(last)?;
        let span = (steps as u64 - 1) * u64::from(o.k) + u64::from(o.n);
        self.read_range(o.a.into(), span, "MATV values")?;
        let beats = steps as u64 * u64::from(o.n);
        self.charge(beats.saturating_mul(self.config.lane_steps(rows) as u64))?;

        let inputs = self.inputs(o.b.into(), last)?;
        let job =
            Job { blocks: o.n as usize, x: o.x as usize, word: o.b as usize, wide, rows, inputs: &inputs };
        let memory = &*self.memory;
        let run = |task: usize| {
            let at = u64::from(o.a) + (task / channels) as u64 * u64::from(o.k);
            job.dims(&mut Cursor::new(memory, task % channels, at, job.blocks))
        };
        let tasks = steps * channels;
        let results: Result<Vec<_>, Fault> = if beats * channels as u64 > PARALLEL {
            (0..tasks).into_par_iter().map(run).collect()
        } else {
            (0..tasks).map(run).collect()
        };
        for (task, dims) in results?.iter().enumerate() {
            for (row, dims) in dims.chunks_exact(DIMS).enumerate() {
                self.set_vmem(to + row * o.aux as usize + task * DIMS, dims);
            }
        }
        Ok(())
    }
}
