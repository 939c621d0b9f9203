//! `accllm eval-choices`.

use crate::args::{Choice, EvalChoices, Writer};
use crate::out::Out;
use crate::plan::{Extras, Plan};
use crate::prepare;
use accllm_device::Result;
use accllm_text::choices::{self, Accuracy};
use accllm_text::session::Session;
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    model: String,
    device: &'static str,
    questions: usize,
    #[serde(flatten)]
    accuracy: Accuracy,
    /// Of each choice of each question.
    logprobs: Vec<Vec<f64>>,
}

/// Scores questions.
pub fn run(args: &EvalChoices, out: &Out) -> Result<()> {
    let questions = choices::read(&args.questions)?;
    let EvalChoices { model, target, .. } = args;
    let writer = Writer { model: model.clone(), target: target.clone(), choice: Choice::greedy() };
    let plan = Plan::new(&writer, 0, &Extras::default())?;
    let ready = prepare::model(model, out)?;
    let opened = plan.open(&ready, out)?;
    let mut session = Session::new(&ready, opened.runner);
    let busy = out.busy("scoring");
    let logprobs = questions.iter().map(|q| choices::logprobs(&mut session, q)).collect::<Result<Vec<_>>>();
    busy.finish_and_clear();
    let logprobs = logprobs?;
    let a = Accuracy::of(&questions, &logprobs);
    out.line(&format!("{}, {} questions on {}", ready.name, questions.len(), plan.device()))?;
    out.line(&format!("acc       {:.4} ± {:.4}", a.acc, a.acc_stderr))?;
    out.line(&format!("acc_norm  {:.4} ± {:.4}", a.acc_norm, a.acc_norm_stderr))?;
    out.report(&Report {
        model: ready.name.clone(),
        device: plan.device(),
        questions: questions.len(),
        accuracy: a,
        logprobs,
    })
}
