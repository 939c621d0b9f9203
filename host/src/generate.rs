//! The greedy decoding loop, the same for every engine.

use crate::Result;
use crate::engine::Engine;

/// Why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The requested number of tokens was written.
    Length,
    /// The model wrote an end token.
    End,
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
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The new tokens.
    pub tokens: Vec<u32>,
    /// Why they end.
    pub stop: Stop,
}

/// Feeds the prompt, then decodes greedily; `on_token` sees every new token at once.
///
/// # Errors
/// Whatever the engine or `on_token` reports.
pub fn generate(
    engine: &mut dyn Engine,
    request: &Request<'_>,
    on_token: &mut dyn FnMut(u32) -> Result<()>,
) -> Result<Written> {
    let mut tokens = Vec::new();
    if request.tokens == 0 {
        return Ok(Written { tokens, stop: Stop::Length });
    }
    let mut next = engine.feed(request.prompt)?;
    loop {
        if request.end.contains(&next) {
            return Ok(Written { tokens, stop: Stop::End });
        }
        tokens.push(next);
        on_token(next)?;
        if tokens.len() == request.tokens {
            return Ok(Written { tokens, stop: Stop::Length });
        }
        next = engine.feed(&[next])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts up from the last token.
    struct Count;

    impl Engine for Count {
        fn feed(&mut self, tokens: &[u32]) -> Result<u32> {
            Ok(tokens.last().map_or(0, |t| t + 1))
        }
    }

    fn run(tokens: usize, end: &[u32]) -> (Written, Vec<u32>) {
        let mut seen = Vec::new();
        let request = Request { prompt: &[0, 5], tokens, end };
        let written = generate(&mut Count, &request, &mut |t| {
            seen.push(t);
            Ok(())
        });
        (written.unwrap(), seen)
    }

    #[test]
    fn stops_at_length_or_end() {
        assert_eq!(run(0, &[]), (Written { tokens: vec![], stop: Stop::Length }, vec![]));
        assert_eq!(run(2, &[9]), (Written { tokens: vec![6, 7], stop: Stop::Length }, vec![6, 7]));
        assert_eq!(run(9, &[8]), (Written { tokens: vec![6, 7], stop: Stop::End }, vec![6, 7]));
    }
}
