//! The sequencer: registers, loops, semaphores, and dispatch in program order.

use accllm_hw::config::Config;
use accllm_hw::isa::{ARGS, Instr, LOOP_DEPTH, Op, REGISTERS, SEMAPHORES, Unit};

use super::exec::{Exec, Operands};
use super::fault::{Fault, FaultCode};
use super::limits::Limits;
use super::memory::Memory;
use super::program::Program;
use super::record::{Executed, Observer};
use super::state::{Constant, State};

/// The engine as the golden executor models it: configuration, limits and what stays between runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Golden {
    config: Config,
    /// Limits of the next run.
    pub limits: Limits,
    /// On-chip state.
    pub state: State,
}

/// What a finished run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Instructions executed, control instructions included.
    pub instructions: u64,
    /// Matrix instructions among them.
    pub matrix: u64,
    /// Vector instructions among them.
    pub vector: u64,
    /// Units of work, see [`Limits::work`].
    pub work: u64,
}

/// An open loop.
pub(super) struct Loop {
    body: u32,
    done: u32,
    count: u32,
}

/// What a run forgets at its end.
pub(super) struct Run {
    registers: [u32; REGISTERS],
    loops: Vec<Loop>,
    semaphores: [u8; SEMAPHORES + 1],
    summary: Summary,
}

impl Run {
    pub(super) fn new(args: [u32; ARGS]) -> Self {
        let mut registers = [0; REGISTERS];
        registers[1..=ARGS].copy_from_slice(&args);
        Self { registers, loops: Vec::new(), semaphores: [0; SEMAPHORES + 1], summary: Summary::default() }
    }

    pub(super) fn operands(&self, i: &Instr) -> Operands {
        let add = |v: u32, r: usize| {
            let register = self.registers.get(usize::from(i.regs[r])).copied().unwrap_or(0);
            v.wrapping_add(register)
        };
        Operands {
            a: add(i.a, 0),
            b: add(i.b, 1),
            c: add(i.c, 2),
            n: add(i.n.into(), 3),
            m: add(i.m.into(), 4),
            k: i.k.into(),
            sh: i.sh.into(),
            x: i.x.into(),
            aux: i.aux,
            flags: i.flags,
        }
    }

    pub(super) fn loop_counters(&self) -> [u32; LOOP_DEPTH] {
        std::array::from_fn(|d| self.loops.get(d).map_or(0, |l| l.done))
    }

    fn wait(&mut self, semaphore: u8) -> Result<(), Fault> {
        match self.semaphores.get_mut(usize::from(semaphore)) {
            Some(0) if semaphore > 0 => Err(Fault::new(
                FaultCode::Stall,
                semaphore.into(),
                format!(
                    "would deadlock: waits for semaphore {semaphore}, which no earlier instruction signals"
                ),
            )),
            Some(count) if semaphore > 0 => {
                *count -= 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn signal(&mut self, semaphore: u8) -> Result<(), Fault> {
        if let (1.., Some(count)) = (semaphore, self.semaphores.get_mut(usize::from(semaphore))) {
            *count = count.checked_add(1).ok_or_else(|| {
                let message = format!("semaphore {semaphore} counts past 255");
                Fault::new(FaultCode::Semaphore, semaphore.into(), message)
            })?;
        }
        Ok(())
    }

    /// Executes a control instruction; `Some(pc)` is where to go on, `None` the end of the run.
    pub(super) fn control(
        &mut self,
        pc: u32,
        op: Op,
        o: &Operands,
        constants: &mut [u32; Constant::COUNT],
    ) -> Result<Option<u32>, Fault> {
        match op {
            Op::END => return Ok(None),
            Op::ADD => match self.registers.get_mut(o.x as usize) {
                Some(r) if o.x > 0 => *r = o.a.wrapping_add(o.b),
                Some(_) => {}
                None => return Err(Fault::illegal(format!("ADD: there is no register {}", o.x))),
            },
            Op::SETC => match constants.get_mut(o.x as usize) {
                Some(c) => *c = o.a,
                None => {
                    let last = Constant::COUNT - 1;
                    return Err(Fault::illegal(format!("SETC: constant {}, the last is {last}", o.x)));
                }
            },
            Op::LOOP if o.n == 0 => return Ok(Some(o.a)),
            Op::LOOP if self.loops.len() == LOOP_DEPTH => {
                return Err(Fault::illegal(format!("more than {LOOP_DEPTH} loops inside each other")));
            }
            Op::LOOP => self.loops.push(Loop { body: pc.wrapping_add(1), done: 0, count: o.n }),
            Op::ENDLOOP => {
                let Some(top) = self.loops.last_mut() else {
                    return Err(Fault::illegal("ENDLOOP without an open loop"));
                };
                top.done += 1;
                if top.done < top.count {
                    return Ok(Some(top.body));
                }
                self.loops.pop();
            }
            _ => {}
        }
        Ok(Some(pc.wrapping_add(1)))
    }
}

impl Golden {
    /// An engine after reset that may access nothing yet.
    pub fn new(config: &Config) -> Self {
        Self { config: *config, limits: Limits::open(0, 0), state: State::new(config) }
    }

    /// An engine after reset with these limits.
    pub fn with_limits(config: &Config, limits: Limits) -> Self {
        Self { limits, ..Self::new(config) }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Runs a program to its END.
    ///
    /// # Errors
    /// The first fault, in program order. Effects of the instructions before it stay, and those of the faulting
    /// instruction are unspecified.
    pub fn run<M: Memory>(
        &mut self,
        program: &Program,
        args: [u32; ARGS],
        memory: &mut M,
        observer: &mut impl Observer,
    ) -> Result<Summary, Fault> {
        if program.len() > self.config.imem {
            return Err(Fault::new(
                FaultCode::Program,
                program.len() as u64,
                format!("{} instructions, '{}' holds {}", program.len(), self.config.name, self.config.imem),
            ));
        }
        let mut run = Run::new(args);
        let mut pc = 0;
        while let Some(next) =
            self.step(&mut run, pc, program, memory, observer).map_err(|f| Fault { pc, ..f })?
        {
            pc = next;
        }
        Ok(run.summary)
    }

    fn step<M: Memory>(
        &mut self,
        run: &mut Run,
        pc: u32,
        program: &Program,
        memory: &mut M,
        observer: &mut impl Observer,
    ) -> Result<Option<u32>, Fault> {
        let (op, instr) = program.fetch(pc)?;
        let operands = run.operands(instr);
        let unit = op.info().unit;
        run.summary.instructions += 1;
        if unit != Unit::Control {
            for s in [instr.prefetch_wait, instr.wait[0], instr.wait[1]] {
                run.wait(s)?;
            }
        }
        let mut exec = Exec {
            config: &self.config,
            limits: &self.limits,
            state: &mut self.state,
            memory,
            writes: (unit != Unit::Control && observer.wants()).then(Vec::new),
            work: &mut run.summary.work,
        };
        exec.charge(1)?;
        if unit == Unit::Control {
            return run.control(pc, op, &operands, &mut self.state.constants);
        }
        exec.execute(op, &operands)?;
        let writes = exec.writes;
        for s in instr.signal {
            run.signal(s)?;
        }
        let seq = run.summary.matrix + run.summary.vector;
        let count = if unit == Unit::Matrix { &mut run.summary.matrix } else { &mut run.summary.vector };
        let unit_seq = *count;
        *count += 1;
        if let Some(writes) = writes {
            let loop_counters = run.loop_counters();
            observer.executed(Executed { seq, unit, unit_seq, pc, op, loop_counters, writes });
        }
        Ok(Some(pc.wrapping_add(1)))
    }
}
