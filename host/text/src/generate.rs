//! The decoding loop, the same for every runner.

use crate::Result;
use crate::runner::{Cancel, Runner};
use crate::sample::Sampler;
use std::ops::ControlFlow;

/// Why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The requested number of tokens was written.
    Length,
    /// The model wrote an end token.
    End,
    /// A stop string appeared.
    StopString,
    /// It was cancelled.
    Cancelled,
}

/// Prompt and limits of a generation.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Tokens of the prompt, begin token included; not empty.
    pub prompt: &'a [u32],
    /// Tokens to write.
    pub tokens: usize,
    /// Tokens that end the text; the end token itself is not counted or reported.
    pub end: &'a [u32],
    /// How tokens are chosen; `None`: the most likely one.
    pub sampler: Option<Sampler>,
    /// Ends the generation.
    pub cancel: Cancel,
}

impl<'a> Request<'a> {
    /// The most likely `tokens` tokens, whatever they are.
    pub fn greedy(prompt: &'a [u32], tokens: usize) -> Self {
        Self { prompt, tokens, end: &[], sampler: None, cancel: Cancel::new() }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The new tokens. All but the last were fed to the runner; the last was when the model ended the text.
    pub tokens: Vec<u32>,
    /// Why they end.
    pub stop: Stop,
}

/// Sees each token that is chosen, an end token too, and the logits that it was chosen from.
pub type Watch<'a> = &'a mut dyn FnMut(u32, &[i32]);

/// Feeds the prompt, then decodes; `on_token` sees every new token at once and may end the text.
///
/// # Errors
/// Whatever the runner or `on_token` reports.
pub fn generate(
    runner: &mut dyn Runner,
    request: &Request<'_>,
    on_token: &mut dyn FnMut(u32) -> Result<ControlFlow<Stop>>,
) -> Result<Written> {
    generate_watched(runner, request, None, on_token)
}

/// [`generate`](fn@generate), with the logits for `watch`.
///
/// # Errors
/// As there.
pub fn generate_watched(
    runner: &mut dyn Runner,
    request: &Request<'_>,
    mut watch: Option<Watch<'_>>,
    on_token: &mut dyn FnMut(u32) -> Result<ControlFlow<Stop>>,
) -> Result<Written> {
    let mut tokens = Vec::new();
    if request.tokens == 0 {
        return Ok(Written { tokens, stop: Stop::Length });
    }
    let mut best = runner.feed_until(request.prompt, &request.cancel)?;
    loop {
        let Some(best_token) = best else { return Ok(Written { tokens, stop: Stop::Cancelled }) };
        let logits = match request.sampler.is_some() || watch.is_some() {
            true => runner.logits()?,
            false => Vec::new(),
        };
        let next = match &request.sampler {
            Some(sampler) => sampler.choose(&logits, runner.position(), &tokens),
            None => best_token,
        };
        if let Some(watch) = &mut watch {
            watch(next, &logits);
        }
        if request.end.contains(&next) {
            return Ok(Written { tokens, stop: Stop::End });
        }
        tokens.push(next);
        if let ControlFlow::Break(stop) = on_token(next)? {
            return Ok(Written { tokens, stop });
        }
        if tokens.len() == request.tokens {
            return Ok(Written { tokens, stop: Stop::Length });
        }
        best = runner.feed_until(&[next], &request.cancel)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::Part;
    use accllm_llm::model::{HeadCache, LambdaShape};

    /// Counts up from the last token, in blocks of two.
    #[derive(Default)]
    struct Count {
        steps: Vec<(Vec<u32>, Part)>,
    }

    impl Runner for Count {
        fn lambda(&self) -> LambdaShape {
            LambdaShape { n_sink: 0, n_window: 1 }
        }

        fn block(&self) -> usize {
            2
        }

        fn position(&self) -> u64 {
            self.steps.iter().map(|(t, _)| t.len() as u64).sum()
        }

        fn step(&mut self, tokens: &[u32], part: Part) -> Result<Option<u32>> {
            self.steps.push((tokens.to_vec(), part));
            Ok((part != Part::Prompt).then(|| tokens.last().map_or(0, |t| t + 1)))
        }

        fn logits(&mut self) -> Result<Vec<i32>> {
            Ok(vec![0, 1, 0])
        }

        fn rewind(&mut self, _: u64) -> Result<bool> {
            Ok(false)
        }

        fn head_cache(&mut self, _: usize, _: usize) -> Result<HeadCache> {
            Ok(HeadCache::default())
        }

        fn restore(&mut self, _: u64, _: &mut dyn FnMut(usize, usize) -> Result<HeadCache>) -> Result<()> {
            Ok(())
        }
    }

    fn run(tokens: usize, end: &[u32]) -> (Written, Vec<u32>) {
        let mut seen = Vec::new();
        let request = Request { end, ..Request::greedy(&[0, 5], tokens) };
        let written = generate(&mut Count::default(), &request, &mut |t| {
            seen.push(t);
            Ok(ControlFlow::Continue(()))
        });
        (written.unwrap(), seen)
    }

    #[test]
    fn stops_at_length_or_end() {
        assert_eq!(run(0, &[]), (Written { tokens: vec![], stop: Stop::Length }, vec![]));
        assert_eq!(run(2, &[9]), (Written { tokens: vec![6, 7], stop: Stop::Length }, vec![6, 7]));
        assert_eq!(run(9, &[8]), (Written { tokens: vec![6, 7], stop: Stop::End }, vec![6, 7]));
    }

    #[test]
    fn prompts_go_in_blocks_and_only_the_last_one_asks_for_logits() {
        let mut runner = Count::default();
        let request = Request::greedy(&[1, 2, 3, 4, 5], 2);
        generate(&mut runner, &request, &mut |_| Ok(ControlFlow::Continue(()))).unwrap();
        let steps = [
            (vec![1, 2], Part::Prompt),
            (vec![3, 4], Part::Prompt),
            (vec![5], Part::PromptEnd),
            (vec![6], Part::Token),
        ];
        assert_eq!(runner.steps, steps);
        assert!(runner.feed(&[]).unwrap_err().to_string().contains("no token"));
    }

    #[test]
    fn the_caller_and_the_flag_end_it() {
        let mut runner = Count::default();
        let request = Request::greedy(&[1], 9);
        let mut on_token =
            |t| Ok(if t == 4 { ControlFlow::Break(Stop::StopString) } else { ControlFlow::Continue(()) });
        let written = generate(&mut runner, &request, &mut on_token).unwrap();
        assert_eq!(written, Written { tokens: vec![2, 3, 4], stop: Stop::StopString });
        let cancel = request.cancel.clone();
        let mut on_token = |t| {
            if t == 3 {
                cancel.set();
            }
            Ok(ControlFlow::Continue(()))
        };
        let written = generate(&mut runner, &request, &mut on_token).unwrap();
        assert_eq!(written, Written { tokens: vec![2, 3], stop: Stop::Cancelled });
        let none = generate(&mut runner, &request, &mut |_| Ok(ControlFlow::Continue(()))).unwrap();
        assert_eq!(none, Written { tokens: vec![], stop: Stop::Cancelled });
    }
}
