//! How the texts begin that a model writes to learn from: with a random token, or as documents of many kinds do.

use accllm_llm::Result;
use accllm_llm::tokenizer::TextTokenizer;

/// Parts of kinds and their subjects.
const TEXT: &str = include_str!("beginnings.txt");
/// Longest one, tokens.
const LONGEST: usize = 64;
/// Beginnings in all.
const COUNT: usize = 16384;
/// A kind that is any single token.
const ANY: &str = "*";

/// Token sequences to begin texts with. Each part of the list has its share of them; within it every kind is there with every
/// subject, as often as others.
///
/// # Errors
/// The tokenizer does not belong to the model.
pub fn beginnings(tokenizer: &TextTokenizer, vocab: usize, seed: u64) -> Result<Vec<Vec<u32>>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let parts: Vec<Part> = parts().collect();
    let whole: usize = parts.iter().map(|p| p.share).sum();
    let mut all = Vec::with_capacity(COUNT);
    for part in parts {
        let mut of_part = Vec::new();
        for text in part.texts() {
            let mut tokens = tokenizer.encode(&text)?;
            tokens.truncate(LONGEST);
            if tokens.len() > 1 {
                of_part.push(tokens);
            }
        }
        random.shuffle(&mut of_part);
        let count = COUNT * part.share / whole;
        match of_part.is_empty() {
            true => all.extend((0..count).map(|_| vec![random.u32(0..vocab as u32)])),
            false => all.extend(of_part.iter().cycle().take(count).cloned()),
        }
    }
    Ok(all)
}

/// Beginnings of a kind.
struct Part {
    /// How much it counts against the others.
    share: usize,
    kinds: Vec<&'static str>,
    subjects: Vec<&'static str>,
}

impl Part {
    /// Every kind with every subject; nothing for single tokens.
    fn texts(&self) -> Vec<String> {
        let of = |kind: &str, subject: &str| kind.replace("\\n", "\n").replace("{}", subject);
        let kinds = self.kinds.iter().filter(|k| **k != ANY);
        kinds.flat_map(|k| self.subjects.iter().map(move |s| of(k, s))).collect()
    }
}

fn parts() -> impl Iterator<Item = Part> {
    TEXT.split("=== ").skip(1).map(|part| {
        let mut lines = part.lines();
        let share = lines.next().and_then(|l| l.split(' ').next()).and_then(|n| n.parse().ok());
        let kinds = lines.by_ref().take_while(|l| *l != "--").collect();
        Part { share: share.unwrap_or(0), kinds, subjects: lines.collect() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_many_kinds() {
        let parts: Vec<Part> = parts().collect();
        assert!(parts.iter().all(|p| p.share > 0 && !p.kinds.is_empty()));
        let texts: Vec<String> = parts.iter().flat_map(Part::texts).collect();
        assert!(texts.len() > 5000);
        assert!(texts.iter().all(|t| !t.contains("{}") && !t.contains("\\n") && !t.is_empty()));
        assert!(texts.contains(&" = Whitby = \n\n\n\n\n Whitby is a town in the north of".to_string()));
        assert!(parts.iter().any(|p| p.texts().is_empty()), "no part of single tokens");
    }
}
