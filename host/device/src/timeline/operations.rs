//! Cycles by operation.

use accllm_compiler::label::Label;
use accllm_sim::timeline::{OpCycles, Summary};
use serde::Serialize;
use std::collections::HashMap;

/// Where the cycles of an operation went, all its instructions together. All *simulated*.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Operation {
    /// Name, as in the labels of instructions.
    pub operation: String,
    /// Instructions executed.
    pub executed: u64,
    /// Matrix unit: the tiles computed.
    pub computing: u64,
    /// Matrix unit: the tiles took parameters or scales.
    pub parameters: u64,
    /// Matrix unit: the tiles waited for beats.
    pub waiting_for_memory: u64,
    /// Matrix unit: the tiles waited for room for results.
    pub waiting_for_output: u64,
    /// Matrix unit: it was empty, and the operation waited for the vector unit.
    pub waiting_for_vector: u64,
    /// Matrix unit: ways to the tiles and of the results, in which the tiles had nothing else.
    pub ends: u64,
    /// Vector unit: it worked.
    pub vector_busy: u64,
    /// Vector unit: it was empty, and the operation waited for the matrix unit.
    pub vector_waiting: u64,
    /// Prefetcher: it was empty, and the operation's beats waited for the vector unit.
    pub prefetch_waiting: u64,
}

impl Operation {
    /// Cycles of the matrix unit.
    pub fn matrix(&self) -> u64 {
        self.computing
            + self.parameters
            + self.waiting_for_memory
            + self.waiting_for_output
            + self.waiting_for_vector
            + self.ends
    }
}

/// Adds up by operation, in the order of the program. Instructions without a label are not listed; `matrix_idle` of the
/// summary belongs to none.
pub fn operations(summary: &Summary, labels: &[Label]) -> Vec<Operation> {
    let mut at: HashMap<&str, usize> = HashMap::new();
    let mut sums: Vec<(&str, OpCycles)> = Vec::new();
    for (cycles, label) in summary.ops.iter().zip(labels) {
        if cycles.executed == 0 || label.op.is_empty() {
            continue;
        }
        let i = *at.entry(&label.op).or_insert(sums.len());
        if i == sums.len() {
            sums.push((&label.op, OpCycles::default()));
        }
        sums[i].1 += *cycles;
    }
    sums.into_iter().map(|(name, c)| operation(name, &c)).collect()
}

fn operation(name: &str, c: &OpCycles) -> Operation {
    Operation {
        operation: name.into(),
        executed: c.executed,
        computing: c.matrix.computing,
        parameters: c.matrix.parameters,
        waiting_for_memory: c.matrix.stream,
        waiting_for_output: c.matrix.output,
        waiting_for_vector: c.matrix.semaphore,
        ends: c.matrix.ends,
        vector_busy: c.vector.busy,
        vector_waiting: c.vector.waiting,
        prefetch_waiting: c.prefetch.waiting,
    }
}
