//! MATW: linear layers.

use accllm_hw::beat::{SCALE_BYTES, WeightFormat, get_param};
use accllm_hw::config::{COLS, GROUP, PARAMS};
use accllm_hw::fixed::requant;
use accllm_hw::isa::FORMAT_MASK;
use rayon::prelude::*;

use super::cursor::Cursor;
use super::exec::{Exec, Operands};
use super::fault::Fault;
use super::kernel::{Levels, levels_nibbles, levels_w2d, levels_w2s, offset_dot, scaled_dot};
use super::memory::Memory;

/// Beats above which work is spread over threads.
pub(super) const PARALLEL: u64 = 2048;

/// Activation words, widened, from word `first`.
pub(super) struct Inputs {
    first: usize,
    lanes: usize,
    x: Vec<i16>,
    exponents: Vec<u8>,
}

impl Inputs {
    /// `count` columns of lane row `row` from column `col` of the word `word` that holds lane row 0.
    #[inline]
    pub(super) fn columns(&self, word: usize, row: usize, col: usize, count: usize) -> &[i16] {
        let at = ((word - self.first + row / self.lanes) * self.lanes + row % self.lanes) * COLS + col;
        &self.x[at..at + count]
    }

    /// Exponent of lane row `row`'s word.
    #[inline]
    fn exponent(&self, word: usize, row: usize) -> u8 {
        self.exponents[(word - self.first + row / self.lanes) * self.lanes + row % self.lanes]
    }
}

struct Job<'a> {
    format: WeightFormat,
    n: usize,
    k: usize,
    x: usize,
    word: usize,
    rows: usize,
    inputs: &'a Inputs,
}

impl Job<'_> {
    /// Results of up to 16 rows of one channel, row by row, all tokens of a row together.
    fn rows<M: Memory>(&self, cursor: &mut Cursor<'_, M>, rows: usize) -> Result<Vec<i32>, Fault> {
        let columns = self.format.columns();
        let per_word = COLS / columns;
        let chunk = self.format.scale_chunk();
        let params = *cursor.next()?;
        let mut out = Vec::with_capacity(rows * self.rows);
        let mut levels: Levels = [0; COLS];
        let mut scale_beat = params;
        let mut acc = vec![0i64; self.rows];
        for row in 0..rows {
            acc.fill(0);
            for v in 0..self.k {
                let index = row * self.k + v;
                if chunk > 0 && index.is_multiple_of(chunk) {
                    scale_beat = *cursor.next()?;
                }
                let beat = cursor.next()?;
                let at = SCALE_BYTES * index.checked_rem(chunk).unwrap_or(0);
                let part = &scale_beat[at..][..SCALE_BYTES];
                let (scales, offsets) = match self.format {
                    WeightFormat::W2Sparse => {
                        levels_w2s(beat, &mut levels);
                        (&beat[56..], &[][..])
                    }
                    WeightFormat::W2Dense => {
                        levels_w2d(beat, &mut levels);
                        (part, &[][..])
                    }
                    WeightFormat::W4 => {
                        levels_nibbles(beat, &mut levels);
                        part.split_at(columns / GROUP)
                    }
                };
                let (word, col) = (self.word + v / per_word * self.x, v % per_word * columns);
                for (r, acc) in acc.iter_mut().enumerate() {
                    let x = self.inputs.columns(word, r, col, columns);
                    let sum = scaled_dot(&levels[..columns], x, scales) + offset_dot(x, offsets);
                    *acc += i64::from(sum) << self.inputs.exponent(word, r);
                }
            }
            let param = get_param(&params, row);
            let (mult, shift) = (param as u16, param >> 16 & 63);
            out.extend(acc.iter().map(|&a| requant(a, mult, shift)));
        }
        Ok(out)
    }
}

impl<M: Memory> Exec<'_, M> {
    /// Widens activation words `first..=last`, checking their range.
    pub(super) fn inputs(&self, first: u64, last: u64) -> Result<Inputs, Fault> {
        self.act_word(last)?;
        let lanes = self.config.lanes;
        let words = first as usize * lanes..(last as usize + 1) * lanes;
        let x = self.state.act[words.start * COLS..words.end * COLS].iter().map(|&v| v.into()).collect();
        Ok(Inputs { first: first as usize, lanes, x, exponents: self.state.exponents[words].to_vec() })
    }

    pub(super) fn matw(&mut self, o: &Operands) -> Result<(), Fault> {
        let format = usize::from(o.flags & FORMAT_MASK);
        let format = *WeightFormat::ALL.get(format).ok_or_else(|| Fault::illegal("MATW: weight format 3"))?;
        if o.n == 0 || o.m == 0 || o.k == 0 {
            return Ok(());
        }
        let rows = self.lane_rows(o.m.into())?;
        let channels = self.config.channels;
        let outputs = u64::from(o.n) * channels as u64;
        let to = self.vmem_rows(o.c, o.m, o.aux.into(), outputs, "MATW output")?;
        let words = u64::from(o.k - 1) / (COLS / format.columns()) as u64;
        let (base, _) = self.lane_row(o.b, 0);
        let last = base + words * u64::from(o.x) + (rows as u64 - 1) / self.config.lanes as u64;
        self.act_word(last)?;
        let values = u64::from(o.n) * u64::from(o.k);
        let scales = if format.scale_chunk() == 0 { 0 } else { values.div_ceil(format.scale_chunk() as u64) };
        let total = values + scales + u64::from(o.n).div_ceil(PARAMS as u64);
        self.read_range(o.a.into(), total, "MATW weights")?;
        self.charge(values.saturating_mul(self.config.lane_steps(rows) as u64))?;

        let inputs = self.inputs(base, last)?;
        let (n, k) = (o.n as usize, o.k as usize);
        let job = Job { format, n, k, x: o.x as usize, word: base as usize, rows, inputs: &inputs };
        // 16 rows are a multiple of every scale chunk, so each group of 16 rows of a channel stands alone.
        let group = 1 + PARAMS * k + (PARAMS * k).checked_div(format.scale_chunk()).unwrap_or(0);
        let groups = n.div_ceil(PARAMS);
        let memory = &*self.memory;
        let run = |task: usize| {
            let (g, channel) = (task / channels, task % channels);
            let at = u64::from(o.a) + (g * group) as u64;
            let left = (total - (g * group) as u64).min(group as u64) as usize;
            job.rows(&mut Cursor::new(memory, channel, at, left), PARAMS.min(job.n - g * PARAMS))
        };
        let tasks = groups * channels;
        let results: Result<Vec<_>, Fault> = if total * channels as u64 > PARALLEL {
            (0..tasks).into_par_iter().map(run).collect()
        } else {
            (0..tasks).map(run).collect()
        };
        let results = results?;
        let tokens = o.m as usize;
        let mut line = vec![0; channels];
        for step in 0..n {
            for t in 0..tokens {
                for (c, l) in line.iter_mut().enumerate() {
                    *l = results[step / PARAMS * channels + c][step % PARAMS * tokens + t];
                }
                self.set_vmem(to + t * o.aux as usize + step * channels, &line);
            }
        }
        Ok(())
    }
}
