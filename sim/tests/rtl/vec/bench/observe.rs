//! What the vector unit does in a cycle, as the bench's memories and buffers see it.

use super::{Bench, Outcome};
use accllm_sim::golden::{Field, Scalar, Space, Write};
use accllm_sim::verilate::Port;

/// What the bench's memories take and offer in this cycle.
#[derive(Default)]
pub struct Ready {
    /// The auxiliary port takes a read request.
    pub asks: bool,
    /// It offers a beat that was read.
    pub reads: bool,
    /// It takes a beat to write.
    pub writes: bool,
    /// By channel: it takes an address.
    pub addresses: u64,
    /// It takes a beat to write.
    pub data: u64,
    /// It offers a response.
    pub responses: u64,
}

fn put(writes: &mut Vec<Write>, space: Space, address: usize, value: i32) {
    writes.push(Write { space, address: address as u64, value });
}

impl Bench {
    /// Takes what the design does in this cycle.
    pub fn observe(&mut self, ready: &Ready) -> Outcome {
        let delay = self.wait();
        self.observe_auxiliary(ready, delay);
        self.observe_channels(ready, delay)?;
        self.observe_vmem();
        self.observe_activations();
        self.observe_scalars();
        self.observe_result();
        Ok(())
    }

    fn observe_auxiliary(&mut self, ready: &Ready, delay: u64) {
        let now = self.cycle;
        let (p, m, writes) = (&self.p, &self.m, &mut self.writes);
        let bit = |port: Port| m.get_u64(port) != 0;
        while self.aux_open.front().is_some_and(|&t| t <= now) {
            self.aux_open.pop_front();
        }
        if bit(p.rq_valid) && ready.asks {
            self.reading = (m.get_u64(p.rq_beat), m.get_u64(p.rq_beats));
        } else if bit(p.rd_ready) && ready.reads {
            self.reading = (self.reading.0 + 1, self.reading.1 - 1);
        }
        if bit(p.wq_valid) && ready.writes {
            let at = m.get_u64(p.wq_beat) as usize * 64;
            for (i, byte) in m.words(p.wq_data, 0).iter().flat_map(|w| w.to_le_bytes()).enumerate() {
                put(writes, Space::Aux, at + i, byte.into());
            }
            self.aux_open.push_back(now + delay);
        }
    }

    fn observe_channels(&mut self, ready: &Ready, delay: u64) -> Outcome {
        let now = self.cycle;
        let (p, m, writes) = (&self.p, &self.m, &mut self.writes);
        for (c, s) in self.slaves.iter_mut().enumerate() {
            let on = |port: Port, ready: u64| m.get_u64(port) & ready & 1 << c != 0;
            if on(p.bready, ready.responses) {
                s.offered = false;
                s.responses.pop_front();
            }
            if on(p.awvalid, ready.addresses) {
                assert_eq!(m.get_u64_at(p.awlen, c), 0);
                s.addresses.push_back(m.get_u64_at(p.awaddr, c));
            }
            if on(p.wvalid, ready.data) {
                assert!(m.get_u64(p.wlast) & 1 << c != 0);
                let data = <[u32; 16]>::try_from(m.words(p.wdata, c))?;
                s.data.push_back((m.get_u64_at(p.wstrb, c), data));
            }
            while let (Some(&address), Some(&(strobe, data))) = (s.addresses.front(), s.data.front()) {
                let at = address - 64 * (5 + 3 * c as u64);
                for (i, byte) in data.iter().flat_map(|w| w.to_le_bytes()).enumerate() {
                    if strobe >> i & 1 == 1 {
                        put(writes, Space::Channel(c as u8), at as usize + i, byte.into());
                    }
                }
                s.addresses.pop_front();
                s.data.pop_front();
                s.responses.push_back(now + delay);
            }
        }
        Ok(())
    }

    fn observe_vmem(&mut self) {
        let (p, m, writes) = (&self.p, &self.m, &mut self.writes);
        let bit = |port: Port| m.get_u64(port) != 0;
        if bit(p.vw_fire) {
            let (at, mask) = (m.get_u64(p.vw_addr) as usize * self.cfg.vec, m.get_u64(p.vw_mask));
            for (i, &d) in m.words(p.vw_data, 0).iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1) {
                put(writes, Space::Vmem, at + i, d as i32);
                self.state.vmem_mut()[at + i] = d as i32;
            }
        }
    }

    fn observe_activations(&mut self) {
        let (p, m, writes) = (&self.p, &self.m, &mut self.writes);
        let bit = |port: Port| m.get_u64(port) != 0;
        if bit(p.va_valid) {
            let (word, lanes, banks) =
                (m.get_u64(p.va_addr) as usize, m.get_u64(p.va_lanes), m.get_u64(p.va_banks));
            for lane in (0..self.cfg.lanes).filter(|l| lanes >> l & 1 == 1) {
                if banks & 1 != 0 {
                    put(writes, Space::Exponent(lane as u8), word, m.get_u64(p.va_exp) as i32);
                }
                let data = m.words(if lane % 2 == 0 { p.va_even } else { p.va_odd }, 0);
                for bank in (0..64).filter(|b| banks >> b & 1 == 1) {
                    let bytes = data[bank % (self.cfg.vec / 4)].to_le_bytes();
                    for (i, &byte) in bytes.iter().enumerate() {
                        put(writes, Space::Act(lane as u8), word * 256 + bank * 4 + i, (byte as i8).into());
                    }
                }
            }
        }
    }

    fn observe_scalars(&mut self) {
        let (p, m, writes) = (&self.p, &self.m, &mut self.writes);
        let en = m.get_u64(p.vs_w_en);
        if en == 0 {
            return;
        }
        let at = m.get_u64(p.vs_w_addr) as usize;
        let get = |port| m.get_u64(port) as u32;
        let (f0, f1, f2, f3) = (get(p.vs_w_f0), get(p.vs_w_f1), get(p.vs_w_f2), get(p.vs_w_f3));
        let s: &mut Scalar = &mut self.state.scalars_mut()[at];
        let mut field = |on: u64, f: Field, v: i32| {
            if on != 0 {
                put(writes, Space::Scalar(f), at, v);
                match f {
                    Field::Scale => s.scale = v as u16,
                    Field::Base => s.base = v as i16,
                    Field::R => s.r = v as u16,
                    Field::K => s.k = v as u8,
                    Field::QSum => s.q_sum = v as i16,
                    Field::SumR => s.sum_r = v as u16,
                    Field::SumK => s.sum_k = v as u8,
                }
            }
        };
        field(en & 1, Field::Scale, (f0 & 0xffff) as i32);
        field(en & 16, Field::Base, f0 as i32 >> 16);
        field(en & 2, Field::R, (f1 & 0xffff) as i32);
        field(en & 2, Field::K, (f1 >> 16) as i32);
        field(en & 4, Field::QSum, i32::from(f2 as u16 as i16));
        field(en & 8, Field::SumR, (f3 & 0xffff) as i32);
        field(en & 8, Field::SumK, (f3 >> 16) as i32);
    }

    /// The result registers, and what is asked of the score buffer.
    fn observe_result(&mut self) {
        let (p, m, writes) = (&self.p, &self.m, &mut self.writes);
        let bit = |port: Port| m.get_u64(port) != 0;
        if bit(p.result_valid) {
            let (index, value) = (m.get_u64(p.result_index) as u32, m.get_u64(p.result_value) as u32 as i32);
            put(writes, Space::Result, 0, index as i32);
            put(writes, Space::Result, 1, value);
            self.state.set_result(index, value);
        }
        for (asked, (en, lane, addr)) in self
            .score_asked
            .iter_mut()
            .zip([(p.sb_r_en, p.sb_r_lane, p.sb_r_addr), (p.sb_s_en, p.sb_s_lane, p.sb_s_addr)])
        {
            *asked = bit(en).then(|| (m.get_u64(lane) as usize, m.get_u64(addr) as usize));
        }
    }
}
