//! The bench: `tb_ctrl` with a memory, a host on AXI4-Lite with random delays, and three units that take random time.

use accllm_hw::isa::{INSTR_BYTES, Instr};
use accllm_hw::regs;
use accllm_sim::memory::{AxiPorts, Ideal, MemoryModel, Rng, StallConfig, Stalling, Store};
use accllm_sim::verilate::{Design, Model, OptLevel, Port, VerilateSpec};
use std::collections::VecDeque;
use std::error::Error;
use std::sync::OnceLock;

pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Instruction memory of the bench.
pub const IMEM: usize = 64;
/// Where programs lie in auxiliary memory, beats.
pub const PROGRAM_BEAT: u32 = 5;
/// Base of auxiliary memory; not a multiple of 4 KB.
pub const AUX_BASE: u64 = 0x1_0340;
/// Readable beats of auxiliary memory; the last 256 are writable.
pub const AUX_LIMIT: u32 = 1024;
pub const AUX_WRITE_LOW: u32 = 768;

/// One operation as a unit received it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uop {
    pub seq: u32,
    pub pc: u16,
    pub op: u8,
    pub flags: u8,
    pub operands: [u32; 5],
    pub k: u16,
    pub sh: u8,
    pub x: u8,
    pub aux: u32,
}

impl Uop {
    fn from_words(w: &[u32]) -> Self {
        Self {
            seq: w[8],
            pc: (w[7] >> 16) as u16,
            op: (w[7] >> 8) as u8,
            flags: w[7] as u8,
            operands: [w[6], w[5], w[4], w[3], w[2]],
            k: (w[1] >> 16) as u16,
            sh: (w[1] >> 8) as u8,
            x: w[1] as u8,
            aux: w[0],
        }
    }
}

/// A unit played by the bench.
#[derive(Debug, Default)]
pub struct Unit {
    /// Everything it was given.
    pub log: Vec<Uop>,
    /// Clock of each start and each end.
    pub started: Vec<u64>,
    pub ended: Vec<u64>,
    /// It ends nothing while set.
    pub hold: bool,
    due: VecDeque<u64>,
    last: u64,
}

struct Ports {
    rst: Port,
    start_valid: Port,
    start_ready: Port,
    done: Port,
    uops: Port,
    clear: Port,
    axil: [(Port, Port, Port); 3],
    wstrb: Port,
    resp: [(Port, Port, Port); 2],
}

pub struct Bench {
    pub m: Model,
    pub memory: Box<dyn MemoryModel>,
    pub axi: AxiPorts,
    pub rng: Rng,
    pub units: [Unit; 3],
    pub cycle: u64,
    /// Longest time a unit takes.
    pub slow: u64,
    ready: u64,
    ports: Ports,
}

/// The prefetcher, the matrix unit and the vector unit.
pub const PRE: usize = 0;
pub const MAT: usize = 1;
pub const VEC: usize = 2;

fn design() -> Outcome<&'static Design> {
    static DESIGN: OnceLock<Result<Design, String>> = OnceLock::new();
    let made = DESIGN.get_or_init(|| {
        let list = include_str!("../../../../hw/rtl/files.f");
        let mut sources = vec!["hw/rtl/lint.vlt".to_owned()];
        let used = list.lines().filter(|l| l.starts_with("pkg/") || l.starts_with("ctrl/"));
        sources.extend(used.map(|l| format!("hw/rtl/{l}")));
        sources.push("hw/rtl/tb/tb_ctrl.sv".to_owned());
        VerilateSpec::new("tb_ctrl", sources)
            .opt(OptLevel::Quick)
            .param("IMEM", IMEM)
            .load()
            .map_err(|e| e.to_string())
    });
    Ok(made.as_ref().map_err(Clone::clone)?)
}

impl Bench {
    /// A bench after reset with its settings written. Even seeds have an ideal memory, odd ones a stalling one.
    pub fn new(seed: u64) -> Outcome<Self> {
        let store = Store::new(1 << 20)?;
        let memory: Box<dyn MemoryModel> = match seed % 2 {
            0 => Box::new(Ideal::new(store, 12)),
            _ => Box::new(Stalling::new(store, StallConfig::new(seed))?),
        };
        let m = design()?.model()?;
        let p = |name: &str| m.port(name);
        let channel = |c: &str, data: &str| -> Outcome<_> {
            let name = |s: &str| format!("s_axi_control_{s}");
            Ok((p(&name(&format!("{c}valid")))?, p(&name(&format!("{c}ready")))?, p(&name(data))?))
        };
        let ports = Ports {
            rst: p("rst")?,
            start_valid: p("start_valid")?,
            start_ready: p("start_ready")?,
            done: p("done")?,
            uops: m.port_shaped("uops", 288, 3)?,
            clear: p("clear")?,
            axil: [channel("aw", "awaddr")?, channel("w", "wdata")?, channel("ar", "araddr")?],
            wstrb: p("s_axi_control_wstrb")?,
            resp: [channel("b", "bresp")?, channel("r", "rdata")?],
        };
        let axi = AxiPorts::resolve(&m, "m_axi_", 1)?;
        let units = Default::default();
        let mut b = Self { m, memory, axi, rng: Rng::new(seed), units, cycle: 0, slow: 12, ready: 0, ports };
        b.reset()?;
        for (reg, v) in [
            (regs::AUX_BASE, AUX_BASE as u32),
            (regs::AUX_BASE + 4, (AUX_BASE >> 32) as u32),
            (regs::AUX_LIMIT, AUX_LIMIT),
            (regs::AUX_WRITE_LOW, AUX_WRITE_LOW),
            (regs::AUX_WRITE_HIGH, AUX_LIMIT),
            (regs::PROGRAM_ADDR, PROGRAM_BEAT),
            (regs::WATCHDOG, 2000),
        ] {
            b.write(reg, v)?;
        }
        Ok(b)
    }

    /// Resets design and memory.
    pub fn reset(&mut self) -> Outcome {
        self.m.set_u64(self.ports.rst, 1);
        self.m.set_u64(self.ports.start_ready, 0);
        self.m.cycles(3)?;
        self.m.set_u64(self.ports.rst, 0);
        self.memory.reset();
        self.units = Default::default();
        self.axi.drive(&mut self.m, std::slice::from_ref(&self.memory));
        Ok(())
    }

    /// One clock: the memory and the units move.
    pub fn clock(&mut self) -> Outcome {
        self.m.fall()?;
        self.axi.sample(&self.m, std::slice::from_mut(&mut self.memory));
        let valid = self.m.get_u64(self.ports.start_valid);
        let clear = self.m.get_u64(self.ports.clear) != 0;
        let (mut done, mut ready) = (0, 0);
        for (i, u) in self.units.iter_mut().enumerate() {
            if valid & self.ready & 1 << i != 0 {
                u.log.push(Uop::from_words(self.m.words(self.ports.uops, i)));
                u.started.push(self.cycle);
                u.last = u.last.max(self.cycle) + self.rng.range(1, self.slow);
                u.due.push_back(u.last);
            }
            if clear {
                u.due.clear();
            }
            if !u.hold && u.due.front().is_some_and(|&t| t <= self.cycle) {
                u.due.pop_front();
                u.ended.push(self.cycle);
                done |= 1 << i;
            }
            ready |= u64::from(!self.rng.percent(40) && u.due.len() < 4) << i;
        }
        self.m.rise()?;
        self.m.set_u64(self.ports.done, done);
        self.m.set_u64(self.ports.start_ready, ready);
        self.ready = ready;
        self.axi.drive(&mut self.m, std::slice::from_ref(&self.memory));
        self.cycle += 1;
        Ok(())
    }

    /// Writes a register with byte strobes; address and data come in either order with random gaps.
    pub fn write_strobed(&mut self, addr: u32, data: u32, strobe: u8) -> Outcome {
        let [(awv, awr, aw), (wv, wr, w), _] = self.ports.axil;
        let (bv, br, bresp) = self.ports.resp[0];
        let (mut sent, mut valid) = ([false; 2], [false; 2]);
        self.m.set_u64(aw, addr.into());
        self.m.set_u64(w, data.into());
        self.m.set_u64(self.ports.wstrb, strobe.into());
        for _ in 0..200 {
            for (i, v) in [awv, wv].into_iter().enumerate() {
                valid[i] = !sent[i] && (valid[i] || self.rng.percent(50));
                self.m.set_u64(v, valid[i].into());
            }
            let take = sent == [true; 2] && self.rng.percent(50);
            self.m.set_u64(br, take.into());
            self.m.fall()?;
            for (i, r) in [awr, wr].into_iter().enumerate() {
                sent[i] |= valid[i] && self.m.get_u64(r) != 0;
            }
            let answered = self.m.get_u64(bv) != 0;
            if answered && self.m.get_u64(bresp) != 0 {
                return Err("a register write was not answered with OKAY".into());
            }
            self.clock()?;
            if take && answered {
                self.m.set_u64(br, 0);
                return Ok(());
            }
        }
        Err(format!("register {addr:#x}: the write is not answered").into())
    }

    pub fn write(&mut self, addr: u32, data: u32) -> Outcome {
        self.write_strobed(addr, data, 15)
    }

    /// Reads a register.
    pub fn read(&mut self, addr: u32) -> Outcome<u32> {
        let (arv, arr, ar) = self.ports.axil[2];
        let (rv, rr, data) = self.ports.resp[1];
        let (mut sent, mut valid) = (false, false);
        self.m.set_u64(ar, addr.into());
        for _ in 0..200 {
            valid = !sent && (valid || self.rng.percent(50));
            self.m.set_u64(arv, valid.into());
            let take = self.rng.percent(50);
            self.m.set_u64(rr, take.into());
            self.m.fall()?;
            sent |= valid && self.m.get_u64(arr) != 0;
            let got = self.m.get_u64(rv) != 0;
            let value = self.m.get_u64(data) as u32;
            self.clock()?;
            if take && got {
                self.m.set_u64(rr, 0);
                return Ok(value);
            }
        }
        Err(format!("register {addr:#x}: the read is not answered").into())
    }

    pub fn read64(&mut self, addr: u32) -> Outcome<u64> {
        Ok(u64::from(self.read(addr)?) | u64::from(self.read(addr + 4)?) << 32)
    }

    /// Puts a program into auxiliary memory and sets its length.
    pub fn load(&mut self, program: &[Instr]) -> Outcome {
        let bytes: Vec<u8> = program.iter().flat_map(Instr::encode).collect();
        self.memory.store_mut().write(AUX_BASE + 64 * u64::from(PROGRAM_BEAT), &bytes)?;
        assert_eq!(bytes.len(), program.len() * INSTR_BYTES);
        self.write(regs::PROGRAM_LEN, program.len() as u32)
    }

    /// Starts and waits for done by reading CTRL, at most `limit` clocks; returns STATUS, FAULT_PC, FAULT_INFO.
    pub fn run(&mut self, limit: u64) -> Outcome<(u32, u32, u32)> {
        self.units = Default::default();
        self.write(regs::CTRL, 1)?;
        self.finish(limit)
    }

    pub fn finish(&mut self, limit: u64) -> Outcome<(u32, u32, u32)> {
        let end = self.cycle + limit;
        while self.read(regs::CTRL)? & 2 == 0 {
            if self.cycle > end {
                return Err(format!("no end after {limit} clocks: {:?}", self.units).into());
            }
        }
        if !self.memory.violations().is_empty() {
            return Err(format!("{:?}", self.memory.violations().first()).into());
        }
        Ok((self.read(regs::STATUS)?, self.read(regs::FAULT_PC)?, self.read(regs::FAULT_INFO)?))
    }

    pub fn set(&mut self, port: &str, value: u64) -> Outcome {
        let p = self.m.port(port)?;
        self.m.set_u64(p, value);
        Ok(())
    }

    pub fn get(&self, port: &str) -> Outcome<u64> {
        Ok(self.m.get_u64(self.m.port(port)?))
    }
}
