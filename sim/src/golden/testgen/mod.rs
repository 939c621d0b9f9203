//! **Test kit**: seeded generators of test cases for every matrix and vector opcode: used by the executor's own tests and by those
//! of the RTL.
//!
//! [`case`] gives a valid instruction together with everything that it reads: on-chip state, memories and limits.
//! Put [`Case::state`] and [`Case::image`] into the design, run [`Case::instr`] there and [`Case::golden`] here, and
//! compare what they write. Sizes are ragged and small, values random with many extremes, and everything stays
//! within the widths of `docs/numerics.md` §4. Never-written memory reads as [`POISON`] in the image too.
//!
//! ```
//! use accllm_hw::{config::CONFIGS, isa::Op};
//! use accllm_sim::golden::testgen::case;
//!
//! let case = case(&CONFIGS[0], Op::MATW, 7).ok_or("MATW is a matrix instruction")?;
//! let (golden, image, record) = case.golden()?;
//! println!("{} elements, {:?}", record.writes.len(), golden.state.result());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cache;
mod heads;
mod matrix;
mod place;
mod rows;
mod weights;

pub use cache::{Keys, Values};
pub use weights::Weights;

use accllm_hw::config::Config;
use accllm_hw::isa::{ARGS, Instr, OPS, Op, Unit};

use super::{Executed, Fault, FaultCode, Golden, Image, Limits, Program, State};
use crate::memory::{POISON, Rng};
use place::Builder;

/// A single instruction and all that it depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The configuration.
    pub config: Config,
    /// The instruction; no registers, no semaphores.
    pub instr: Instr,
    /// On-chip state before it.
    pub state: State,
    /// Memories before it.
    pub image: Image,
    /// Limits, just wide enough.
    pub limits: Limits,
}

impl Case {
    /// Runs the instruction: the engine and the memories after it, and what it wrote.
    ///
    /// # Errors
    /// The fault, if the instruction was changed into one that faults.
    pub fn golden(&self) -> Result<(Golden, Image, Executed), Fault> {
        let mut golden = Golden::with_limits(&self.config, self.limits);
        golden.state = self.state.clone();
        let mut image = self.image.clone();
        let end = Instr { op: Op::END as u8, ..Default::default() };
        let mut records = Vec::new();
        golden.run(&Program::from_instrs(&[self.instr, end]), [0; ARGS], &mut image, &mut records)?;
        match records.pop() {
            Some(record) => Ok((golden, image, record)),
            None => Err(Fault::new(FaultCode::Illegal, 0, "the case holds a control instruction")),
        }
    }

    /// A constant of the case's state that instructions read, for messages.
    pub fn describe(&self) -> String {
        format!(
            "{} on '{}': {:?}, constants {:?}",
            self.name(),
            self.config.name,
            self.instr,
            self.state.constants()
        )
    }

    fn name(&self) -> &'static str {
        Op::from_code(self.instr.op).map_or("illegal", |op| op.info().name)
    }
}

/// All opcodes for which [`case`] makes cases.
pub fn ops() -> impl Iterator<Item = Op> {
    OPS.iter().filter(|i| i.unit != Unit::Control).map(|i| i.op)
}

/// A random valid instruction of `op` and its inputs, from a seed; `None` for control instructions.
pub fn case(config: &Config, op: Op, seed: u64) -> Option<Case> {
    let rng = Rng::new(seed ^ (op as u64) << 56);
    let mut b = Builder::new(config, rng, Image::with_fill(config.channels, POISON));
    let instr = match op {
        Op::MATW => matrix::matw(&mut b),
        Op::MATK => matrix::matk(&mut b),
        Op::MATV => matrix::matv(&mut b),
        Op::LOAD => rows::load(&mut b),
        Op::EMBED => rows::embed(&mut b),
        Op::STORE => rows::store(&mut b),
        Op::SUMSQ => rows::sumsq(&mut b),
        Op::NORMQ => rows::normq(&mut b),
        Op::SILU => rows::silu(&mut b),
        Op::RADD => rows::radd(&mut b),
        Op::ARGMAX => rows::argmax(&mut b),
        Op::ROPE => heads::rope(&mut b),
        Op::HADW => heads::hadw(&mut b),
        Op::HADX => heads::hadx(&mut b),
        Op::STATK => heads::statk(&mut b),
        Op::STATQ => heads::statq(&mut b),
        Op::QK => heads::qk(&mut b),
        Op::QV => heads::qv(&mut b),
        Op::QQ => heads::qq(&mut b),
        Op::SOFTMAX => heads::softmax(&mut b),
        Op::ATTQ => heads::attq(&mut b),
        Op::END | Op::ADD | Op::LOOP | Op::ENDLOOP | Op::SETC | Op::FENCE => return None,
    };
    let instr = Instr { op: op as u8, ..instr };
    Some(Case { config: *config, instr, state: b.state, image: b.image, limits: b.limits })
}
