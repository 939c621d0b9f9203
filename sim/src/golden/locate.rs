//! Where in its loops a program was when the hardware stopped it.

use super::program::Program;
use super::sequencer::Run;
use super::state::Constant;
use accllm_hw::isa::{ARGS, Instr, LOOP_DEPTH, Unit};

/// What the hardware's counters say about a run that was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Completed {
    /// INSTRUCTIONS: completed by the sequencer, so dispatched if they are operations.
    pub instructions: u64,
    /// MAT_DONE.
    pub matrix: u64,
    /// VEC_DONE.
    pub vector: u64,
}

/// Most instructions that are walked through.
const MOST: u64 = 1 << 26;

/// The loop counters of the instruction at `pc` that was not complete when the run was stopped. The program is followed
/// through its control instructions only; `None` where it does not lead there.
pub fn locate(code: &[Instr], args: [u32; ARGS], pc: u32, completed: Completed) -> Option<[u32; LOOP_DEPTH]> {
    let program = Program::from_instrs(code);
    let (mut run, mut constants) = (Run::new(args), [0; Constant::COUNT]);
    let (mut at, mut matrix, mut vector, mut control) = (0, 0, 0, None);
    // The one after the last complete one was in the sequencer.
    for _ in 0..=completed.instructions.min(MOST) {
        let Ok((op, instr)) = program.fetch(at) else { break };
        let unit = op.info().unit;
        let (seq, done) = match unit {
            Unit::Control => {
                if at == pc {
                    control = Some(run.loop_counters());
                }
                match run.control(at, op, &run.operands(instr), &mut constants) {
                    Ok(Some(next)) => at = next,
                    _ => break,
                }
                continue;
            }
            Unit::Matrix => (&mut matrix, completed.matrix),
            Unit::Vector => (&mut vector, completed.vector),
        };
        // Units work in order: the first one that is not complete is meant.
        if at == pc && *seq >= done {
            return Some(run.loop_counters());
        }
        *seq += 1;
        at = at.wrapping_add(1);
    }
    control
}

#[cfg(test)]
mod tests {
    use super::*;
    use accllm_hw::isa::Op;

    fn op(op: Op) -> Instr {
        Instr { op: op as u8, ..Instr::default() }
    }

    /// Three iterations of a matrix operation and two vector operations.
    fn program() -> Vec<Instr> {
        let start = Instr { n: 3, a: 6, ..op(Op::LOOP) };
        vec![op(Op::LOAD), start, op(Op::MATW), op(Op::SUMSQ), op(Op::NORMQ), op(Op::ENDLOOP), op(Op::END)]
    }

    #[test]
    fn iterations_follow_from_the_counters() {
        let find = |pc, instructions, matrix, vector| {
            locate(&program(), [0; ARGS], pc, Completed { instructions, matrix, vector }).map(|l| l[0])
        };
        // The sequencer is through; the units still have work.
        for done in 0..3 {
            assert_eq!(find(2, 14, done, 0), Some(done as u32));
            assert_eq!(find(3, 14, 0, 1 + 2 * done), Some(done as u32));
            assert_eq!(find(4, 14, 0, 2 + 2 * done), Some(done as u32));
        }
        assert_eq!(find(0, 14, 0, 0), Some(0));
        // Not dispatched yet, or complete.
        assert_eq!(find(2, 1, 0, 0), None);
        assert_eq!(find(2, 14, 3, 0), None);
        // Control instructions: the last one that was reached.
        assert_eq!((find(5, 5, 0, 0), find(5, 9, 0, 0)), (Some(0), Some(1)));
        assert_eq!(find(77, 14, 0, 0), None);
    }
}
