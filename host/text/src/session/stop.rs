//! Stop strings in a text that comes in pieces.

/// Passes text on until one of the strings is complete, and holds back what may be the beginning of one. Of several
/// strings, the one that is complete first counts, and of those that end together the longest: how the text was cut
/// into pieces makes no difference.
#[derive(Debug)]
pub struct StopStrings<'a> {
    strings: &'a [String],
    held: String,
    found: bool,
}

impl<'a> StopStrings<'a> {
    /// For these strings; empty ones are never found.
    pub fn new(strings: &'a [String]) -> Self {
        Self { strings, held: String::new(), found: false }
    }

    /// Adds text; returns what can be passed on.
    pub fn push(&mut self, text: &str) -> String {
        if self.found {
            return String::new();
        }
        self.held.push_str(text);
        let strings = || self.strings.iter().filter(|s| !s.is_empty());
        let first = strings().filter_map(|s| self.held.find(s.as_str()).map(|at| (at + s.len(), at))).min();
        if let Some((_, at)) = first {
            self.found = true;
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let starts = |at: &usize| strings().any(|s| s.starts_with(&self.held[*at..]));
        let longest = strings().map(String::len).max().unwrap_or(0);
        let from = self.held.len().saturating_sub(longest);
        let at = (from..self.held.len()).filter(|i| self.held.is_char_boundary(*i)).find(starts);
        let rest = self.held.split_off(at.unwrap_or(self.held.len()));
        std::mem::replace(&mut self.held, rest)
    }

    /// Whether one of the strings has appeared.
    pub fn found(&self) -> bool {
        self.found
    }

    /// What is held back at the end of the text.
    pub fn finish(self) -> String {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn strings(of: &[&str]) -> Vec<String> {
        of.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn holds_back_beginnings_only() {
        let list = strings(&["END", "\n\n", ""]);
        let mut stop = StopStrings::new(&list);
        let passed: Vec<_> = ["a E", "N", "d E", "é\n", "\nxyz", "later"].map(|t| stop.push(t)).into();
        assert_eq!(passed, ["a ", "", "ENd ", "Eé", "", ""]);
        assert!(stop.found() && stop.finish().is_empty());
        let mut stop = StopStrings::new(&list);
        assert_eq!((stop.push("the EN"), stop.found(), stop.finish()), ("the ".into(), false, "EN".into()));
    }

    /// Found by the property below: `b` is complete while `ébb` is still coming.
    #[test]
    fn a_complete_string_is_not_kept_waiting() {
        let list = strings(&["b", "ébb"]);
        for pieces in [&["aéb", "b"][..], &["aébb"], &["a", "é", "b", "b"]] {
            let mut stop = StopStrings::new(&list);
            let passed: String = pieces.iter().map(|t| stop.push(t)).collect();
            assert_eq!((passed.as_str(), stop.found()), ("aé", true), "{pieces:?}");
        }
    }

    proptest! {
        /// Pieces do not matter: it is the text up to the string that is complete first.
        #[test]
        fn equals_a_search_in_the_whole(text in "[abé]{0,24}", cuts in proptest::collection::vec(0usize..24, 0..6),
                                        of in proptest::collection::vec("[abé]{1,4}", 0..3)) {
            let mut stop = StopStrings::new(&of);
            let (mut cuts, mut out, mut at) = (cuts, String::new(), 0);
            cuts.push(text.len());
            cuts.sort_unstable();
            for cut in cuts {
                if cut >= at && cut <= text.len() && text.is_char_boundary(cut) {
                    out += &stop.push(&text[at..cut]);
                    at = cut;
                }
            }
            let found = stop.found();
            out += &stop.finish();
            let want = of.iter().filter_map(|s| text.find(s.as_str()).map(|at| (at + s.len(), at))).min();
            let end = want.map_or(text.len(), |(_, at)| at);
            prop_assert_eq!((out.as_str(), found), (&text[..end], want.is_some()));
        }
    }
}
