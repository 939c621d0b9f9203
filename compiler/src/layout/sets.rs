//! Sets of rows that KV heads take in turn, from scores to output.

use super::Layout;
use crate::label::Span;

/// Rows of a KV head in the buffers of attention. With two sets the tiles score one head while the vector unit does the
/// softmax of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sets {
    /// Sets, 1 or 2.
    pub count: usize,
    /// Lane steps of a set in the score buffer.
    pub steps: usize,
    /// Lane rows of a set: row `set * rows + t*G + g`.
    pub rows: usize,
    /// Words of a set's probabilities at one column word.
    pub prob: usize,
    /// Elements of a set's attention sums.
    pub att: usize,
}

impl Sets {
    /// The set of KV head number `i` of a step: of several sequences, first the heads of the first one.
    pub fn of(&self, i: usize) -> usize {
        i % self.count.max(1)
    }
}

impl Layout {
    /// Sets of an instruction on these tokens: those that the memory map has room for with whole groups of tokens; in
    /// decode, of one sequence or of several, where a head has the rows of one token, two in the room of one.
    pub fn sets(&self, span: Span) -> Sets {
        let (s, score) = (&self.shape, &self.score);
        let steps = s.steps(s.group);
        let heads = match span {
            Span::Step => s.sizes.kv_heads,
            Span::Batch => s.sizes.kv_heads * s.sequences,
            _ => 1,
        };
        if heads > 1 && score.sets == 1 && 2 * steps <= score.steps {
            let prob = steps * if s.prob_wide { 2 } else { 1 };
            return Sets { count: 2, steps, rows: steps * s.lanes, prob, att: s.group * self.vmem.att_row };
        }
        Sets {
            count: score.sets,
            steps: score.steps,
            rows: score.set_rows,
            prob: self.act.prob_set,
            att: self.vmem.att_set,
        }
    }
}
