//! The sequencer: three cycles an instruction, loops, and waits for room in the queues and for idle units.

use super::latency as lat;
use super::operands::{Constants, Operation};
use super::{Fault, TimingError};
use accllm_hw::isa::{ARGS, Instr, LOOP_DEPTH, Op, REGISTERS, Unit};

/// An open loop.
#[derive(Debug, Clone, Copy)]
struct Loop {
    body: u32,
    left: u32,
    rounds: u32,
}

/// Where the sequencer stands at the end of a loop's round that another one follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    /// Which loop: instruction at which its rounds begin, and loops around it.
    pub of: (u32, usize),
    /// Rounds to come.
    pub left: u32,
    /// Registers.
    pub registers: [u32; REGISTERS],
    /// Instructions until now.
    pub executed: u64,
}

/// What the instruction in EXECUTE is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Something of its own.
    Control,
    /// SETC, FENCE or END, once the units are idle.
    Idle,
    /// Hand an operation to a unit.
    Dispatch(Unit),
    /// The run is over.
    Over,
}

/// The sequencer.
#[derive(Debug, Clone)]
pub(super) struct Sequencer {
    code: Vec<(Op, Instr)>,
    registers: [u32; REGISTERS],
    loops: Vec<Loop>,
    pc: u32,
    /// Cycle from which the instruction at `pc` is in EXECUTE.
    pub at: u64,
    pub executed: u64,
    over: bool,
}

impl Sequencer {
    pub fn new(code: &[Instr], args: [u32; ARGS], at: u64) -> Result<Self, TimingError> {
        let decode = |(pc, i): (usize, &Instr)| match Op::from_code(i.op) {
            Some(op) => Ok((op, *i)),
            None => Err(TimingError::at(pc as u32, Fault::Opcode(i.op))),
        };
        let mut registers = [0; REGISTERS];
        registers[1..=ARGS].copy_from_slice(&args);
        Ok(Self {
            code: code.iter().enumerate().map(decode).collect::<Result<_, _>>()?,
            registers,
            loops: Vec::new(),
            pc: 0,
            at,
            executed: 0,
            over: false,
        })
    }

    pub fn pc(&self) -> u32 {
        self.pc
    }

    fn instruction(&self) -> Result<(Op, &Instr), TimingError> {
        let found = self.code.get(self.pc as usize).map(|(op, i)| (*op, i));
        found.ok_or_else(|| TimingError::at(self.pc, Fault::NoEnd(self.code.len())))
    }

    pub fn next(&self) -> Result<Next, TimingError> {
        if self.over {
            return Ok(Next::Over);
        }
        let (op, _) = self.instruction()?;
        Ok(match (op, op.info().unit) {
            (Op::SETC | Op::FENCE | Op::END, _) => Next::Idle,
            (_, Unit::Control) => Next::Control,
            (_, unit) => Next::Dispatch(unit),
        })
    }

    /// The operation to dispatch and the semaphores that prefetcher and unit wait for; goes on after `cycle`.
    pub fn dispatch(&mut self, cycle: u64) -> Result<(Operation, u8, [u8; 2]), TimingError> {
        let (op, instr) = self.instruction()?;
        let out = (Operation::new(self.pc, op, instr, &self.registers), instr.prefetch_wait, instr.wait);
        self.step(cycle, self.pc + 1, false);
        Ok(out)
    }

    /// Of the outermost loop of `least` rounds or more, if the instruction in EXECUTE ends a round of it and another one
    /// follows.
    pub fn round(&self, least: u32) -> Result<Option<Round>, TimingError> {
        let around = self.loops.iter().take_while(|l| l.rounds < least).count();
        let top = self.loops.get(around).filter(|l| l.left > 0 && self.loops.len() == around + 1);
        let Some(top) = top else { return Ok(None) };
        let ends = self.instruction()?.0 == Op::ENDLOOP;
        let (registers, executed) = (self.registers, self.executed);
        Ok(ends.then_some(Round { of: (top.body, around), left: top.left, registers, executed }))
    }

    /// Passes over `times` as many rounds as were made since `from`.
    pub fn pass(&mut self, from: &Round, times: u32) {
        let Some(top) = self.loops.last_mut() else { return };
        top.left -= times * (from.left - top.left);
        for (now, then) in self.registers.iter_mut().zip(from.registers) {
            *now = now.wrapping_add(now.wrapping_sub(then).wrapping_mul(times));
        }
        self.executed += u64::from(times) * (self.executed - from.executed);
    }

    fn step(&mut self, cycle: u64, pc: u32, jump: bool) {
        self.executed += 1;
        self.pc = pc;
        self.at = cycle + lat::INSTRUCTION + if jump { lat::JUMP } else { 0 };
    }

    /// Executes a control instruction in `cycle`; whether it ends the run.
    pub fn control(&mut self, cycle: u64, constants: &mut Constants) -> Result<bool, TimingError> {
        let (op, instr) = self.instruction()?;
        let o = Operation::new(self.pc, op, instr, &self.registers);
        let (mut pc, mut jump) = (self.pc + 1, false);
        match op {
            Op::END => self.over = true,
            Op::ADD if o.x > 0 => {
                let register = self.registers.get_mut(o.x as usize);
                let register = register.ok_or_else(|| TimingError::at(o.pc, Fault::Register(o.x)))?;
                *register = o.a.wrapping_add(o.b);
            }
            Op::SETC => {
                let constant = constants.0.get_mut(o.x as usize);
                *constant.ok_or_else(|| TimingError::at(o.pc, Fault::Constant(o.x)))? = o.a;
            }
            Op::LOOP if o.n == 0 => (pc, jump) = (o.a, true),
            Op::LOOP if self.loops.len() == LOOP_DEPTH => {
                return Err(TimingError::at(o.pc, Fault::Loops));
            }
            Op::LOOP => self.loops.push(Loop { body: pc, left: o.n - 1, rounds: o.n }),
            Op::ENDLOOP => {
                let top = self.loops.last_mut().ok_or_else(|| TimingError::at(o.pc, Fault::Loops))?;
                if top.left > 0 {
                    top.left -= 1;
                    (pc, jump) = (top.body, true);
                } else {
                    self.loops.pop();
                }
            }
            _ => {}
        }
        self.step(cycle, pc, jump);
        Ok(self.over)
    }
}
