//! Reads the named tensors of a run out of the golden executor's writes, by the rules of `docs/formats.md`, not by
//! the code that laid them out.

use std::collections::HashMap;

use accllm_compiler::label::{Label, Tensor, TokenRef};
use accllm_compiler::spec::Linear;
use accllm_compiler::{Program, image::source_row};
use accllm_hw::beat::nibble_of;
use accllm_hw::config::{BEAT_BYTES, COLS, Config, GROUP, PARAMS};
use accllm_hw::isa::{Instr, Op};
use accllm_sim::golden::{Executed, Field, Space, Write};

/// Tensor name, layer, position of the token, head.
pub type Key = (&'static str, Option<usize>, u64, Option<usize>);

/// One run of a program: its tensors by name.
pub struct Run<'a> {
    program: &'a Program,
    config: &'a Config,
    position: u64,
    tokens: usize,
    /// Elements in the order of the integer reference model.
    pub found: HashMap<Key, Vec<i32>>,
}

/// The instruction whose writes are read.
struct Here<'a> {
    instr: &'a Instr,
    label: &'a Label,
    record: &'a Executed,
    layer: Option<usize>,
    /// Token of the block, where it is one.
    token: usize,
}

impl<'a> Run<'a> {
    /// A run over `tokens` tokens from `position` on.
    pub fn new(program: &'a Program, config: &'a Config, position: u64, tokens: usize) -> Self {
        Self { program, config, position, tokens, found: HashMap::new() }
    }

    fn set(&mut self, key: Key, at: usize, value: i32) {
        let v = self.found.entry(key).or_default();
        if v.len() <= at {
            v.resize(at + 1, i32::MIN);
        }
        v[at] = value;
    }

    /// Reads one executed instruction.
    pub fn read(&mut self, record: &Executed) {
        let program = self.program;
        let label = &program.labels[record.pc as usize];
        let token = match label.token {
            TokenRef::Loop(d) => record.loop_counters[usize::from(d)] as usize,
            TokenRef::Last => self.tokens - 1,
            TokenRef::All if label.tensors.first() == Some(&Tensor::HeadIn) => self.tokens - 1,
            TokenRef::All => 0,
        };
        let here = Here {
            instr: &program.code[record.pc as usize],
            label,
            record,
            layer: label.layer_at(&record.loop_counters),
            token,
        };
        match record.op {
            Op::EMBED | Op::RADD => self.residual(&here),
            Op::NORMQ | Op::ATTQ | Op::SILU => self.activations(&here),
            // A MATW of no rows only waits or signals.
            Op::MATW if !label.tensors.is_empty() => self.linear(&here),
            Op::MATW => assert!(record.writes.is_empty(), "unnamed results of {}", label.op),
            Op::HADX if !label.tensors.is_empty() => self.rotated(&here),
            Op::STATK => self.key_scalars(&here),
            Op::STATQ => self.query_scalars(&here, Field::Scale, "q_scale"),
            Op::QQ => {
                self.query_scalars(&here, Field::QSum, "q_sum");
                self.query_codes(&here);
            }
            Op::QK => self.key_codes(&here),
            Op::QV => self.value_codes(&here),
            Op::MATK => self.scores(&here),
            Op::SOFTMAX => self.probabilities(&here),
            Op::MATV => self.sums(&here),
            _ => {}
        }
    }

    fn at(&self, token: usize) -> u64 {
        self.position + token as u64
    }

    fn name(&self, h: &Here<'_>) -> &'static str {
        h.label.tensors.first().map_or("", |t| t.name())
    }

    fn residual(&mut self, h: &Here<'_>) {
        let (width, real) = (self.program.layout.shape.hidden, self.program.spec.dims.hidden);
        let base = self.program.layout.vmem.resid as u64;
        for w in &h.record.writes {
            let offset = (w.address - base) as usize;
            if offset % width < real {
                let key = (self.name(h), h.layer, self.at(offset / width), None);
                self.set(key, offset % width, w.value);
            }
        }
    }

    /// Columns of one lane row, or of two for 16-bit values.
    fn activations(&mut self, h: &Here<'_>) {
        let s = &self.program.layout.shape;
        let first = h.record.writes.iter().map(|w| w.address / COLS as u64).min().unwrap_or(0);
        let wide = h.record.op == Op::SILU && s.h_wide;
        let (tensor, head, base, real) = match (h.record.op, h.label.kv_head, h.label.group) {
            (Op::ATTQ, Some(kv), Some(g)) => {
                let head = kv * s.group + g;
                // Columns of a head start at head * hds; read relative to it.
                ("attn_o8", Some(head), head * s.hds, s.dims.head_dim)
            }
            (Op::SILU, ..) => ("mlp_h", None, 0, s.dims.ff),
            _ => (self.name(h), None, 0, s.dims.hidden),
        };
        let start = h.instr.aux as usize / COLS * COLS;
        let column_of = |w: &Write| {
            let words = (w.address / COLS as u64 - first) / u64::from(h.instr.x.max(1));
            let origin = if matches!(h.record.op, Op::ATTQ | Op::SILU) { start } else { 0 };
            origin + words as usize * COLS + w.address as usize % COLS
        };
        let key = (tensor, h.layer, self.at(h.token), head);
        let mut halves: HashMap<usize, i32> = HashMap::new();
        for w in &h.record.writes {
            let Space::Act(lane) = w.space else { continue };
            let weight = if wide && lane % 2 == 0 { 256 } else { 1 };
            *halves.entry(column_of(w)).or_default() += weight * w.value;
        }
        for (column, value) in halves {
            match column.checked_sub(base) {
                Some(c) if c < real => self.set(key, c, value),
                _ => assert_eq!(value, 0, "padding column {column} of {tensor} is not zero"),
            }
        }
    }

    fn linear(&mut self, h: &Here<'_>) {
        let layout = &self.program.layout;
        let (base, linear) = match h.label.tensors[0] {
            Tensor::Q => (layout.vmem.q, Some(Linear::Q)),
            Tensor::K => (layout.vmem.k, Some(Linear::K)),
            Tensor::V => (layout.vmem.v, Some(Linear::V)),
            _ => (h.instr.c as usize, None),
        };
        let (stride, part) = (h.instr.aux as usize, h.label.part.map_or(0, |p| p.0));
        let real = match h.label.tensors[0] {
            Tensor::Gate | Tensor::Up => self.program.spec.dims.ff,
            Tensor::Logits => self.program.spec.dims.vocab,
            _ => self.program.spec.dims.hidden,
        };
        for w in &h.record.writes {
            let offset = w.address as usize - base;
            let o = offset % stride + part;
            let token = if h.label.tensors[0] == Tensor::Logits { self.tokens - 1 } else { offset / stride };
            let row = match linear {
                Some(l) => source_row(&layout.shape, l, o),
                None => Some(o).filter(|o| *o < real),
            };
            match row {
                Some(r) => self.set((self.name(h), h.layer, self.at(token), None), r, w.value),
                None => assert_eq!(w.value, 0, "padding row {o} of {} is not zero", self.name(h)),
            }
        }
    }

    fn rotated(&mut self, h: &Here<'_>) {
        let l = &self.program.layout;
        let s = &l.shape;
        let keys = h.label.tensors[0] == Tensor::KRot;
        let (base, row) = if keys { (l.vmem.k_rot, s.k_rows()) } else { (l.vmem.q_rot, s.q_rot_row()) };
        for w in &h.record.writes {
            let offset = w.address as usize - base;
            let (token, at) = (offset / row, offset % row);
            let (sink, at) = if keys { (false, at) } else { (at / s.q_rows() == 1, at % s.q_rows()) };
            let name = if keys { "k_rot" } else { ["q_win", "q_sink"][usize::from(sink)] };
            let key = (name, h.layer, self.at(token), Some(at / s.hdp));
            self.set(key, at % s.hdp, w.value);
        }
    }

    fn key_scalars(&mut self, h: &Here<'_>) {
        for w in &h.record.writes {
            let head = w.address as usize - self.program.layout.scalars.k;
            let name = match w.space {
                Space::Scalar(Field::Scale) => "k_scale",
                Space::Scalar(Field::Base) => "k_base",
                _ => continue,
            };
            self.set((name, h.layer, self.at(h.token), Some(head)), 0, w.value);
        }
    }

    /// Is this entry a sink query's? And its token and head.
    fn query_of(&self, entry: usize, sink: bool) -> (usize, usize) {
        let (l, group) = (&self.program.layout, self.program.layout.shape.group);
        let offset = entry - if sink { l.scalars.q_sink } else { l.scalars.q_win };
        let (kv, row) = (offset / l.scalars.q_stride, offset % l.scalars.q_stride);
        (row / group, kv * group + row % group)
    }

    fn is_sink(h: &Here<'_>) -> bool {
        h.label.tensors.iter().any(|t| matches!(t, Tensor::QScaleSink | Tensor::Q8Sink | Tensor::QSumSink))
    }

    fn query_scalars(&mut self, h: &Here<'_>, field: Field, name: &'static str) {
        let sink = Self::is_sink(h);
        for w in h.record.writes.iter().filter(|w| w.space == Space::Scalar(field)) {
            let (token, head) = self.query_of(w.address as usize, sink);
            assert_eq!(token, h.token, "scalar of another token");
            self.set((name, h.layer, self.at(token), Some(head)), usize::from(sink), w.value);
        }
    }

    fn query_codes(&mut self, h: &Here<'_>) {
        let l = &self.program.layout;
        let s = &l.shape;
        let sink = Self::is_sink(h);
        let (base, name) = if sink { (l.act.q_sink, "q8_sink") } else { (l.act.q_win, "q8_win") };
        let mut codes: HashMap<(usize, usize), i32> = HashMap::new();
        for w in &h.record.writes {
            let Space::Act(lane) = w.space else { continue };
            let (word, column) = (w.address as usize / COLS - base, w.address as usize % COLS);
            let row = word % l.act.q_x * s.lanes + usize::from(lane);
            assert_eq!(row / s.group, h.token, "query code in another token's row");
            let head = word / l.act.q_x * s.group + row % s.group;
            // Repeated over 128 columns: all copies must agree.
            let first = *codes.entry((head, column % s.hdp)).or_insert(w.value);
            assert_eq!(first, w.value, "copies of a query code differ");
        }
        for ((head, element), value) in codes {
            self.set((name, h.layer, self.at(h.token), Some(head)), element, value);
        }
    }

    /// Bytes of channel `c` by address.
    fn bytes(h: &Here<'_>) -> HashMap<(usize, u64), u8> {
        let writes = h.record.writes.iter();
        writes
            .filter_map(|w| match w.space {
                Space::Channel(c) => Some(((usize::from(c), w.address), w.value as u8)),
                _ => None,
            })
            .collect()
    }

    fn nibble(bytes: &HashMap<(usize, u64), u8>, channel: usize, beat: u64, multiplier: usize) -> i32 {
        let n = nibble_of(multiplier);
        let byte = bytes[&(channel, beat * BEAT_BYTES as u64 + n as u64 / 2)];
        i32::from(((byte >> (4 * (n % 2))) << 4) as i8 >> 4)
    }

    fn key_codes(&mut self, h: &Here<'_>) {
        let l = &self.program.layout;
        let s = &l.shape;
        let (bytes, p) = (Self::bytes(h), self.at(h.token));
        let (sink, slot) = l.slot(p);
        let tpb = self.config.tokens_per_beat(s.hdp);
        let (channel, half) = (slot / tpb % s.channels, slot % tpb);
        let result = slot / (s.channels * tpb) * tpb + half;
        let per_chunk = PARAMS / tpb;
        for head in 0..s.dims.kv_heads {
            let region = l.kv.k_at(h.layer.unwrap_or(0), head) + if sink { 0 } else { l.kv.k_window };
            let chunk = region + result / PARAMS * (1 + per_chunk);
            let beat = (chunk + 1 + result % PARAMS / tpb) as u64;
            let word = (chunk * BEAT_BYTES + 4 * (result % PARAMS)) as u64;
            let param: [u8; 4] = std::array::from_fn(|i| bytes[&(channel, word + i as u64)]);
            let scale = i32::from(u16::from_le_bytes([param[0], param[1]]));
            let base = i32::from(i16::from_le_bytes([param[2], param[3]]));
            let found = |name| self.found[&(name, h.layer, p, Some(head))][0];
            assert_eq!((scale, base), (found("k_scale"), found("k_base")), "parameter in the K cache");
            for d in 0..s.hdp {
                let code = Self::nibble(&bytes, channel, beat, half * s.hdp + d);
                self.set(("k_codes", h.layer, p, Some(head)), d, code);
            }
        }
    }

    fn value_codes(&mut self, h: &Here<'_>) {
        let l = &self.program.layout;
        let s = &l.shape;
        let (bytes, p) = (Self::bytes(h), self.at(h.token));
        let (sink, slot) = l.slot(p);
        let slot = slot + if sink { 0 } else { s.sink_pad };
        for head in 0..s.dims.kv_heads {
            let start = l.kv.v_at(h.layer.unwrap_or(0), head);
            for d in 0..s.dims.head_dim {
                let (step, channel, g) = (d / (4 * s.channels), d / 4 % s.channels, d % 4);
                let beat = (start + step * l.kv.v_blocks + slot / GROUP) as u64;
                let code = Self::nibble(&bytes, channel, beat, GROUP * g + slot % GROUP);
                self.set(("v_codes", h.layer, p, Some(head)), d, code);
            }
        }
    }

    /// For each query of this KV head: (token, head, element of its visible list, slot).
    fn visible(&self, h: &Here<'_>, token: usize) -> Vec<(usize, usize)> {
        let l = &self.program.layout;
        let _ = h;
        let slots = l.visible(self.at(token)).map(|j| {
            let (sink, slot) = l.slot(j);
            slot + if sink { 0 } else { l.shape.sink_pad }
        });
        slots.enumerate().collect()
    }

    fn scores(&mut self, h: &Here<'_>) {
        let l = &self.program.layout;
        let (s, kv) = (&l.shape, h.label.kv_head.unwrap_or(0));
        let set = kv % l.score.sets * l.score.steps;
        let mut rows: HashMap<(usize, usize), i32> = HashMap::new();
        for w in &h.record.writes {
            let Space::Score(lane) = w.space else { continue };
            let row = (w.address as usize / l.score.row - set) * s.lanes + usize::from(lane);
            rows.insert((row, w.address as usize % l.score.row), w.value);
        }
        for token in 0..self.tokens {
            for (i, slot) in self.visible(h, token) {
                for g in 0..s.group {
                    if let Some(v) = rows.get(&(token * s.group + g, slot)) {
                        self.set(("score", h.layer, self.at(token), Some(kv * s.group + g)), i, *v);
                    }
                }
            }
        }
    }

    fn probabilities(&mut self, h: &Here<'_>) {
        let l = &self.program.layout;
        let (s, kv, g) = (&l.shape, h.label.kv_head.unwrap_or(0), h.label.group.unwrap_or(0));
        let key = |name| (name, h.layer, self.position + h.token as u64, Some(kv * s.group + g));
        let (prob, sum) = (key("prob"), key("prob_sum"));
        let first = h.record.writes.iter().filter(|w| matches!(w.space, Space::Act(_)));
        let first = first.map(|w| w.address / COLS as u64).min().unwrap_or(0);
        let mut slots: HashMap<usize, [i32; 4]> = HashMap::new();
        let (mut r, mut k) = (0, 0);
        for w in &h.record.writes {
            match w.space {
                Space::Act(lane) => {
                    let column = w.address as usize % COLS;
                    let word = ((w.address / COLS as u64 - first) / l.act.prob_x as u64) as usize;
                    let slot = 64 * word + column / 128 * GROUP + column % GROUP;
                    let weight = if s.prob_wide && lane % 2 == 0 { 256 } else { 1 };
                    slots.entry(slot).or_default()[column % 128 / GROUP] += weight * w.value;
                }
                Space::Scalar(Field::SumR) => r = w.value,
                Space::Scalar(Field::SumK) => k = w.value,
                _ => {}
            }
        }
        let seen = self.visible(h, h.token);
        for (slot, copies) in &slots {
            assert!(copies.iter().all(|c| c == &copies[0]), "copies of a probability differ");
            match seen.iter().find(|v| v.1 == *slot) {
                Some((i, _)) => self.set(prob, *i, copies[0]),
                None => assert_eq!(copies[0], 0, "probability of a hidden slot"),
            }
        }
        self.set(sum, 0, r);
        self.set(sum, 1, k);
    }

    fn sums(&mut self, h: &Here<'_>) {
        let l = &self.program.layout;
        let (s, kv) = (&l.shape, h.label.kv_head.unwrap_or(0));
        let base = l.vmem.att + kv % l.score.sets * l.vmem.att_set;
        for w in &h.record.writes {
            let offset = w.address as usize - base;
            let (row, d) = (offset / l.vmem.att_row, offset % l.vmem.att_row);
            if d < s.dims.head_dim {
                let key = ("attn_acc", h.layer, self.at(row / s.group), Some(kv * s.group + row % s.group));
                self.set(key, d, w.value);
            }
        }
    }
}
