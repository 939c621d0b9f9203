//! Integer reference model against golden executor, tensor by tensor.

use accllm::device::GoldenDevice;
use accllm_compiler::{MemoryImage, Program, Step};
use accllm_hw::tables;
use accllm_quant::int::{At, Logits, Point, Session};
use accllm_quant::model::{LambdaShape, QuantModel};
use accllm_sim::golden::Executed;

use crate::tensors::{Key, Run};

/// How much was compared, without a difference.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Tensors (of one token, and head).
    pub tensors: usize,
    /// Elements.
    pub elements: usize,
}

/// Both models on the same tokens.
pub struct Pair<'m> {
    program: &'m Program,
    golden: GoldenDevice,
    reference: Session<'m>,
    position: u64,
    /// So far.
    pub totals: Totals,
}

impl<'m> Pair<'m> {
    /// Both at position 0.
    ///
    /// # Panics
    /// The program does not load: a failure of the test.
    pub fn new(program: &'m Program, image: &MemoryImage, model: &'m QuantModel) -> Self {
        let l = program.layout.shape.lambda;
        let shape = LambdaShape { n_sink: l.n_sink, n_window: l.n_window };
        Self {
            program,
            golden: GoldenDevice::new(program, image).expect("program loads"),
            reference: Session::with_lambda(model, shape).expect("attention shape"),
            position: 0,
            totals: Totals::default(),
        }
    }

    /// Feeds one block, compares every tensor, returns the most likely next token.
    ///
    /// # Errors
    /// The first difference, in the order in which the reference computes.
    pub fn step(&mut self, tokens: &[u32]) -> Result<u32, String> {
        use accllm::device::Device as _;
        let program = self.program;
        let (layout, position) = (&program.layout, self.position);
        let step = Step { position, tokens: tokens.len(), head: true };
        let args = layout.args(step).map_err(|e| e.to_string())?;
        let io = layout.io_block(position, tokens).map_err(|e| e.to_string())?;
        self.golden.write_aux(layout.aux.ids, &io).map_err(|e| e.to_string())?;
        let mut run = Run::new(program, program.config().expect("configuration"), position, tokens.len());
        let outcome =
            self.golden.run_observed(args, &mut |r: Executed| run.read(&r)).map_err(|e| e.to_string())?;
        self.position += tokens.len() as u64;
        let (mut bad, totals) = (None, &mut self.totals);
        let mut tap = |at: At, data: &[i32]| {
            let Some(want) = wanted(at, data, self.program) else { return };
            if matches!(at.point, Point::HeadIn | Point::Logits) && at.token + 1 != self.position {
                return;
            }
            let key: Key = (at.point.name(), at.layer, at.token, at.head);
            let got = run.found.remove(&key).unwrap_or_default();
            totals.tensors += 1;
            totals.elements += want.len();
            if got != want && bad.is_none() {
                let i = (0..want.len().max(got.len())).find(|i| got.get(*i) != want.get(*i)).unwrap_or(0);
                bad = Some(format!(
                    "layer {:?}, {}, token {}, head {:?}, element {i}: golden {:?}, reference {:?}",
                    at.layer,
                    key.0,
                    at.token,
                    at.head,
                    got.get(i),
                    want.get(i)
                ));
            }
        };
        self.reference.step(tokens, Logits::Last, &mut tap).map_err(|e| e.to_string())?;
        if let Some(bad) = bad {
            return Err(bad);
        }
        match run.found.keys().next() {
            Some(left) => Err(format!("golden made {left:?}, which the reference does not know")),
            None => Ok(outcome.token),
        }
    }
}

/// The reference's tensor as the engine keeps it; `None` where it keeps nothing.
fn wanted(at: At, data: &[i32], program: &Program) -> Option<Vec<i32>> {
    let sinks = program.layout.shape.lambda.n_sink > 0;
    match at.point {
        Point::ProbSum => {
            let (r, k) = tables::recip(data[0] as u32);
            Some(vec![i32::from(r), k as i32])
        }
        Point::QSink | Point::Q8Sink if !sinks => None,
        Point::QScale | Point::QSum if !sinks => Some(data[..1].to_vec()),
        _ => Some(data.to_vec()),
    }
}
