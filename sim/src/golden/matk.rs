//! MATK: scores of queries against cached keys.

use accllm_hw::beat::{KeyBeats, get_param};
use accllm_hw::config::{COLS, MACS, PARAMS};
use accllm_hw::fixed::score;
use rayon::prelude::*;

use super::cursor::Cursor;
use super::exec::{Exec, Operands};
use super::fault::Fault;
use super::kernel::{Levels, dot, levels_nibbles};
use super::matw::{Inputs, PARALLEL};
use super::memory::Memory;
use super::state::Constant;

/// Scores of one channel: by step, then half, then row.
fn channel_scores<M: Memory>(
    cursor: &mut Cursor<'_, M>,
    n: usize,
    hdp: usize,
    word: usize,
    inputs: &Inputs,
    q_sums: &[i32],
) -> Result<Vec<i32>, Fault> {
    let KeyBeats { keys: together, beats } = KeyBeats::of(hdp);
    let mut out = Vec::with_capacity(n * together * q_sums.len());
    let (mut levels, mut second): (Levels, Levels) = ([0; COLS], [0; COLS]);
    let mut params = [0; 64];
    for step in 0..n {
        if (step * together).is_multiple_of(PARAMS) {
            params = *cursor.next()?;
        }
        levels_nibbles(cursor.next()?, &mut levels);
        if beats > 1 {
            levels_nibbles(cursor.next()?, &mut second);
            levels[MACS..].copy_from_slice(&second[..MACS]);
        }
        for g in 0..together {
            let param = get_param(&params, (step * together + g) % PARAMS);
            let (scale, base) = (param as u16, (param >> 16) as i16);
            for (row, &q_sum) in q_sums.iter().enumerate() {
                let q = inputs.columns(word, row, g * hdp, hdp);
                out.push(score(dot(&levels[g * hdp..][..hdp], q), scale, base, q_sum));
            }
        }
    }
    Ok(out)
}

impl<M: Memory> Exec<'_, M> {
    /// Checks `slots` slots from `first` of score rows `0..rows`.
    pub(super) fn score_range(&self, rows: u64, first: u64, slots: u64, align: u64) -> Result<(), Fault> {
        let row = self.constant(Constant::ScoreRow);
        let last = (rows - 1) / self.config.lanes as u64 * row;
        let end = last.saturating_add(first).saturating_add(slots);
        if end > self.config.sbuf as u64 {
            return Err(Fault::onchip(end, format!("score element {end} of {}", self.config.sbuf)));
        }
        self.multiple(first, align as usize, "score slot")?;
        self.multiple(last, align as usize, "score row address")
    }

    pub(super) fn matk(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 || o.m == 0 {
            return Ok(());
        }
        let hdp = self.hdp()?;
        let tpb = self.config.tokens_per_beat(hdp);
        let channels = self.config.channels;
        let rows = self.lane_rows(o.m.into())?;
        let step_slots = (channels * tpb) as u64;
        self.score_range(rows as u64, o.c.into(), u64::from(o.n) * step_slots, step_slots)?;
        self.scalar(u64::from(o.aux) + rows as u64 - 1)?;
        let last = u64::from(o.b) + (rows as u64 - 1) / self.config.lanes as u64;
        self.act_word(last)?;
        let total = KeyBeats::of(hdp).total(o.n as usize) as u64;
        self.read_range(o.a.into(), total, "MATK keys")?;
        let beats = u64::from(o.n) * KeyBeats::of(hdp).beats as u64;
        self.charge(beats.saturating_mul(self.config.lane_steps(rows) as u64))?;

        let inputs = self.inputs(o.b.into(), last)?;
        let q_sums: Vec<i32> =
            self.state.scalars[o.aux as usize..][..rows].iter().map(|s| s.q_sum.into()).collect();
        let n = o.n as usize;
        let memory = &*self.memory;
        let run = |c: usize| {
            let mut cursor = Cursor::new(memory, c, o.a.into(), total as usize);
            channel_scores(&mut cursor, n, hdp, o.b as usize, &inputs, &q_sums)
        };
        let results: Result<Vec<_>, Fault> = if total * channels as u64 > PARALLEL {
            (0..channels).into_par_iter().map(run).collect()
        } else {
            (0..channels).map(run).collect()
        };
        let results = results?;
        let score_row = self.state.constant(Constant::ScoreRow) as usize;
        for step in 0..n {
            for row in 0..rows {
                let at = row / self.config.lanes * score_row + o.c as usize + step * channels * tpb;
                for (c, scores) in results.iter().enumerate() {
                    for g in 0..tpb {
                        let value = scores[(step * tpb + g) * rows + row];
                        self.set_score(at + c * tpb + g, row % self.config.lanes, value);
                    }
                }
            }
        }
        Ok(())
    }
}
