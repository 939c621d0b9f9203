//! Which iteration an executed instruction belongs to, from the order of the instructions alone.

use accllm_hw::isa::{Instr, LOOP_DEPTH, Op};

/// An executed instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Step {
    /// Index in the program.
    pub pc: u32,
    /// Opcode.
    pub op: Op,
    /// Iterations finished of each open loop, outermost first; 0 where none is open.
    pub loops: [u32; LOOP_DEPTH],
    /// Open loops.
    pub depth: usize,
    /// Number among the executed instructions of the run.
    pub index: u64,
}

/// Follows the sequencer through a program.
pub struct Replay {
    ops: Vec<Option<Op>>,
    loops: [u32; LOOP_DEPTH],
    depth: usize,
    /// What was executed last.
    last: Option<Step>,
    executed: u64,
}

impl Replay {
    pub fn new(program: &[Instr]) -> Self {
        let ops = program.iter().map(|i| Op::from_code(i.op)).collect();
        Self { ops, loops: [0; LOOP_DEPTH], depth: 0, last: None, executed: 0 }
    }

    /// A run begins.
    pub fn begin(&mut self) {
        (self.loops, self.depth, self.last, self.executed) = ([0; LOOP_DEPTH], 0, None, 0);
    }

    /// The sequencer is through with an instruction; `None` where the program has none.
    pub fn executed(&mut self, pc: u16) -> Option<Step> {
        let pc = u32::from(pc);
        let op = self.ops.get(pc as usize).copied().flatten()?;
        // Where it went on says what the loop instruction before it did.
        match self.last {
            Some(Step { op: Op::LOOP, pc: at, .. }) if pc == at + 1 && self.depth < LOOP_DEPTH => {
                self.loops[self.depth] = 0;
                self.depth += 1;
            }
            Some(Step { op: Op::ENDLOOP, pc: at, .. }) => match self.depth.checked_sub(1) {
                Some(top) if pc != at + 1 => self.loops[top] += 1,
                Some(top) => {
                    self.loops[top] = 0;
                    self.depth = top;
                }
                None => {}
            },
            _ => {}
        }
        let step = Step { pc, op, loops: self.loops, depth: self.depth, index: self.executed };
        self.executed += 1;
        self.last = Some(step);
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterations_follow_from_the_order_of_instructions() {
        let ops = [Op::LOOP, Op::LOOP, Op::RADD, Op::ENDLOOP, Op::ADD, Op::ENDLOOP, Op::END];
        let program = ops.map(|op| Instr { op: op as u8, ..Instr::default() });
        let mut replay = Replay::new(&program);
        // The inner loop twice, then not at all.
        for _ in 0..2 {
            replay.begin();
            let path = [0, 1, 2, 3, 2, 3, 4, 5, 1, 4, 5, 6];
            let steps: Vec<_> = path.iter().filter_map(|&pc| replay.executed(pc)).collect();
            let loops: Vec<_> = steps.iter().map(|s| (s.loops[0], s.loops[1])).collect();
            let want = [
                (0, 0),
                (0, 0),
                (0, 0),
                (0, 0),
                (0, 1),
                (0, 1),
                (0, 0),
                (0, 0),
                (1, 0),
                (1, 0),
                (1, 0),
                (0, 0),
            ];
            assert_eq!(loops, want);
            assert!(steps.iter().map(|s| s.index).eq(0..12));
        }
        assert_eq!(replay.executed(7), None);
    }
}
