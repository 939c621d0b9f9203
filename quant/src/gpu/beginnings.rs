//! How the texts begin that a model writes to learn from: half with a random token, half as documents of many kinds do.

use crate::Result;
use crate::tokenizer::TextTokenizer;

/// Kinds of beginnings and their subjects.
const TEXT: &str = include_str!("beginnings.txt");
/// Longest one, tokens.
const LONGEST: usize = 48;

/// Token sequences to begin texts with: as many single tokens as documents' beginnings. Every beginning is there with every
/// subject.
///
/// # Errors
/// The tokenizer does not belong to the model.
pub fn beginnings(tokenizer: &TextTokenizer, vocab: usize, seed: u64) -> Result<Vec<Vec<u32>>> {
    let mut all = Vec::new();
    for text in texts() {
        let mut tokens = tokenizer.encode(&text)?;
        tokens.truncate(LONGEST);
        if tokens.len() > 1 {
            all.push(tokens);
        }
    }
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..all.len().max(1) {
        all.push(vec![random.u32(0..vocab as u32)]);
    }
    Ok(all)
}

/// The beginnings of documents.
fn texts() -> Vec<String> {
    let mut lines = TEXT.lines().filter(|l| !l.starts_with('#'));
    let kinds: Vec<&str> = lines.by_ref().take_while(|l| *l != "---").collect();
    let subjects: Vec<&str> = lines.collect();
    let of = |kind: &str, subject: &str| kind.replace("\\n", "\n").replace("{}", subject);
    kinds.iter().flat_map(|k| subjects.iter().map(move |s| of(k, s))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_many_kinds() {
        let texts = texts();
        assert!(texts.len() > 2000);
        assert!(texts.iter().all(|t| !t.contains("{}") && !t.contains("\\n") && !t.is_empty()));
        assert!(texts.contains(&" = volcano = \n \n The volcano".to_string()));
    }
}
