//! Questions with several answers, scored as lm-evaluation-harness does: which answer the model finds the likeliest.

use crate::runner::Cancel;
use crate::session::Session;
use crate::{Error, Result};
use accllm_llm::perplexity::{nll_of_row, rescale};
use serde::Deserialize;
use std::path::Path;

/// A question; answers follow its context without anything between.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Question {
    /// The text before the answer.
    pub context: String,
    /// The answers.
    pub choices: Vec<String>,
    /// Index of the right one.
    pub gold: usize,
}

/// Reads a file with a question as JSON on each line.
///
/// # Errors
/// The file cannot be read, or a line is no question; the message says which.
pub fn read(path: &Path) -> Result<Vec<Question>> {
    let text = crate::calibration::read_text(path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let all = lines.map(|(i, line)| {
        let bad = |why: String| Error::Argument(format!("{}, line {}: {why}", path.display(), i + 1));
        let question: Question = serde_json::from_str(line).map_err(|e| {
            bad(format!("{e}; expected {{\"context\": TEXT, \"choices\": [TEXT, ...], \"gold\": INDEX}}"))
        })?;
        match question.gold < question.choices.len() && question.choices.iter().all(|c| !c.is_empty()) {
            true => Ok(question),
            false => Err(bad("`gold` must be the index of a choice, and no choice may be empty".into())),
        }
    });
    let all = all.collect::<Result<Vec<_>>>()?;
    match all.is_empty() {
        true => Err(Error::Argument(format!("{} has no questions", path.display()))),
        false => Ok(all),
    }
}

/// Natural logarithm of the probability of each choice of `question` after its context.
///
/// # Errors
/// The tokenizer's or the engine's.
pub fn logprobs(session: &mut Session<'_>, question: &Question) -> Result<Vec<f64>> {
    question.choices.iter().map(|choice| logprob(session, &question.context, choice)).collect()
}

/// Of one choice.
fn logprob(session: &mut Session<'_>, context: &str, choice: &str) -> Result<f64> {
    let ready = session.ready();
    // Spaces at the end of a context belong to the tokens of what follows.
    let short = context.trim_end();
    let encode = |text: &str| Ok::<_, Error>(ready.tokenizer.encode(text)?);
    let (mut tokens, mut before) = (encode(&format!("{context}{choice}"))?, encode(short)?.len());
    if before == 0 {
        let first = ready.begin().or(ready.ends().first().copied());
        let first = first.ok_or_else(|| {
            Error::Argument(
                "a question without context needs a model that begins or ends its texts with a token".into(),
            )
        })?;
        tokens.insert(0, first);
        before = 1;
    }
    let mut sum = 0.0;
    session.score(&tokens, &Cancel::new(), &mut |i, logits| {
        if let Some(next) = tokens.get(i + 1).filter(|_| i + 1 >= before) {
            sum += -nll_of_row(&rescale(logits, ready.model.logit_frac), *next);
        }
        Ok(())
    })?;
    Ok(sum)
}

/// Share of questions whose likeliest choice is right, with its standard error.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Accuracy {
    /// By the choices' probabilities.
    pub acc: f64,
    /// Its standard error.
    pub acc_stderr: f64,
    /// By the logarithms of the probabilities, divided by the numbers of characters.
    pub acc_norm: f64,
    /// Its standard error.
    pub acc_norm_stderr: f64,
}

impl Accuracy {
    /// Of questions with the log-probabilities of their choices.
    pub fn of(questions: &[Question], logprobs: &[Vec<f64>]) -> Self {
        let right = |norm: bool| -> Vec<f64> {
            let one = |(q, all): (&Question, &Vec<f64>)| {
                let length = |i: usize| if norm { q.choices[i].chars().count() as f64 } else { 1.0 };
                let scores: Vec<f64> = all.iter().enumerate().map(|(i, l)| l / length(i)).collect();
                // The first among equals.
                let best = scores.iter().enumerate().fold(0, |b, (i, s)| if *s > scores[b] { i } else { b });
                f64::from(u8::from(best == q.gold))
            };
            questions.iter().zip(logprobs).map(one).collect()
        };
        let ((acc, acc_stderr), (acc_norm, acc_norm_stderr)) = (mean(&right(false)), mean(&right(true)));
        Self { acc, acc_stderr, acc_norm, acc_norm_stderr }
    }
}

/// The mean of values and its standard error, 0 of a single one.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    (mean, if n > 1.0 { (squares / (n - 1.0)).sqrt() / n.sqrt() } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracies() {
        let question = |choices: &[&str], gold| Question {
            context: "x".into(),
            choices: choices.iter().map(ToString::to_string).collect(),
            gold,
        };
        let questions = [question(&["a", "bcd"], 0), question(&["a", "bcd"], 1), question(&["a", "b"], 1)];
        let logprobs = [vec![-2.0, -3.0], vec![-2.0, -3.0], vec![-1.0, -1.0]];
        let a = Accuracy::of(&questions, &logprobs);
        assert_eq!((a.acc, a.acc_norm), (1.0 / 3.0, 1.0 / 3.0));
        assert!((a.acc_stderr - (2.0f64 / 3.0 / 2.0).sqrt() / 3f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn files_with_mistakes_are_named() -> std::result::Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("q.jsonl");
        for (text, word) in [
            ("", "no questions"),
            ("\n{}", "line 2"),
            (r#"{"context": "a", "choices": ["b"], "gold": 1}"#, "index of a choice"),
            (r#"{"context": "a", "choices": [""], "gold": 0}"#, "no choice may be empty"),
        ] {
            std::fs::write(&path, text)?;
            let said = read(&path).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(said.contains(word), "{text}: {said}");
        }
        Ok(())
    }
}
