//! How the texts begin that a model writes to learn from: with a random token, or as documents of many kinds do.

use accllm_llm::tokenizer::TextTokenizer;
use accllm_llm::{Error, Result};

/// Parts of kinds and their subjects.
const TEXT: &str = include_str!("beginnings.txt");
/// Longest one, tokens.
const LONGEST: usize = 64;
/// Beginnings in all.
const COUNT: usize = 16384;
/// A kind that is any single token.
const ANY: &str = "*";

/// What goes on in a document, when the model does not write it to its end alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Then {
    /// Another document follows.
    New,
    /// After an end token, this one of all beginnings: the next turn of a conversation.
    AfterEnd(usize),
    /// When the document has had its tokens, two times of three, this one, and as many tokens again: the next section.
    AfterLast(usize),
}

/// Token sequences that a text is forced to take, and after which the model goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginnings {
    /// Those of documents, then those that only follow others.
    pub(super) all: Vec<Vec<u32>>,
    /// How many of them begin documents.
    pub(super) first: usize,
    /// What follows after each.
    pub(super) then: Vec<Then>,
}

impl From<Vec<Vec<u32>>> for Beginnings {
    /// Beginnings of documents with nothing to follow.
    fn from(all: Vec<Vec<u32>>) -> Self {
        Self { first: all.len(), then: vec![Then::New; all.len()], all }
    }
}

impl Beginnings {
    /// With other sequences, which only follow, and what follows after each of all.
    pub fn followed(self, others: Vec<Vec<u32>>, then: Vec<Then>) -> Self {
        Self { first: self.first, all: [self.all, others].concat(), then }
    }

    /// Tokens of the longest one.
    pub(super) fn longest(&self) -> Result<usize> {
        let there = |then: &Then| match then {
            Then::New => true,
            Then::AfterEnd(i) | Then::AfterLast(i) => *i < self.all.len(),
        };
        let sound = self.first > 0 && self.then.len() == self.all.len() && self.then.iter().all(there);
        match self.all.iter().map(Vec::len).max() {
            Some(longest) if sound && self.all.iter().all(|b| !b.is_empty()) => Ok(longest),
            _ => Err(Error::Argument(
                "texts need beginnings, none of them empty, that follow each other".into(),
            )),
        }
    }

    /// As the kernel reads what follows.
    pub(super) fn then_words(&self) -> Vec<u32> {
        let word = |then: &Then| match *then {
            Then::New => u32::MAX,
            Then::AfterEnd(i) => 2 * i as u32,
            Then::AfterLast(i) => 2 * i as u32 + 1,
        };
        self.then.iter().map(word).collect()
    }
}

/// What documents begin with. Each part of the list has its share of them; within it every kind is there with every subject, as
/// often as others. Conversations go on turn by turn, articles section by section.
///
/// # Errors
/// The tokenizer does not belong to the model.
pub fn beginnings(tokenizer: &TextTokenizer, vocab: usize, seed: u64) -> Result<Beginnings> {
    let mut random = fastrand::Rng::with_seed(seed);
    let parts: Vec<Part> = parts().collect();
    let whole: usize = parts.iter().map(|p| p.share).sum();
    let (mut all, mut places) = (Vec::with_capacity(COUNT), Vec::with_capacity(COUNT));
    for part in parts {
        let mut of_part = Vec::new();
        for text in part.texts() {
            let mut tokens = tokenizer.encode(&text)?;
            tokens.truncate(LONGEST);
            if tokens.len() > 1 {
                of_part.push((tokens, follower(&text)));
            }
        }
        random.shuffle(&mut of_part);
        let count = COUNT * part.share / whole;
        match of_part.is_empty() {
            true => (0..count).for_each(|_| {
                all.push(vec![random.u32(0..vocab as u32)]);
                places.push(None);
            }),
            false => of_part.into_iter().cycle().take(count).for_each(|(tokens, place)| {
                all.push(tokens);
                places.push(place);
            }),
        }
    }
    let others = FOLLOWERS.iter().map(|text| tokenizer.encode(text)).collect::<Result<Vec<_>>>()?;
    places.extend(FOLLOWERS.map(follower));
    let at = |place: Option<usize>| match place {
        None => Then::New,
        Some(SECTION) => Then::AfterLast(all.len() + SECTION),
        Some(i) => Then::AfterEnd(all.len() + i),
    };
    let then = places.into_iter().map(at).collect();
    Ok(Beginnings::from(all).followed(others, then))
}

/// What follows within a document: a turn of the assistant, one of the user, the next section of an article.
const FOLLOWERS: [&str; 3] = ["\n<|im_start|>assistant\n", "\n<|im_start|>user\n", "\n\n\n\n\n = ="];
/// The last of them.
const SECTION: usize = 2;

/// Which of these follows what the model writes after `text`.
fn follower(text: &str) -> Option<usize> {
    match text.rsplit_once("<|im_start|>") {
        Some((_, turn)) => Some(usize::from(turn.starts_with("assistant"))),
        None if text.trim_start_matches('\n').starts_with(" = ") => Some(SECTION),
        None => None,
    }
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

    #[test]
    fn turns_and_sections_follow() {
        let texts: Vec<String> = parts().flat_map(|p| p.texts()).collect();
        let count = |follows| texts.iter().filter(|t| follower(t) == follows).count();
        assert!([None, Some(0), Some(1), Some(SECTION)].iter().all(|f| count(*f) > 0));
        // A question begins with the user's turn, which the assistant's follows; then in turn. Sections follow each other.
        assert_eq!(follower("<|im_start|>user\n"), Some(0));
        assert_eq!(FOLLOWERS.map(follower), [Some(1), Some(0), Some(SECTION)]);
    }

    #[test]
    fn what_is_not_there_cannot_follow() {
        let all = Beginnings::from(vec![vec![5], vec![30, 31]]);
        assert_eq!((all.longest().unwrap(), all.then_words()), (2, vec![u32::MAX; 2]));
        let followed =
            |then| all.clone().followed(vec![vec![7, 8, 9]], vec![then, Then::New, Then::AfterLast(2)]);
        let good = followed(Then::AfterEnd(2));
        assert_eq!((good.longest().unwrap(), good.then_words(), good.first), (3, vec![4, u32::MAX, 5], 2));
        assert!(followed(Then::AfterEnd(3)).longest().is_err());
        assert!(
            Beginnings::from(vec![]).longest().is_err() && Beginnings::from(vec![vec![]]).longest().is_err()
        );
    }
}
