//! What Hugging Face's templates have and the template engine has not, written in other words: `{% generation %}` marks
//! an answer for training, and `%` formats a string.

/// Filter that stands for `%` between what may be strings.
pub(super) const PERCENT: &str = "percent_";

/// The template in words that the engine knows.
pub(super) fn rewrite(source: &str) -> String {
    let mut text = source.to_string();
    let mut from = 0;
    while let Some(block) = next_block(&text, from) {
        from = block.end;
        let inner = text[block.start..block.end].to_string();
        let new = match tag(&inner) {
            Some(other) => inner.replacen(other.0, other.1, 1),
            None => percent(inner.clone()),
        };
        from = from + new.len() - inner.len();
        text.replace_range(block.start..block.end, &new);
    }
    text
}

/// A word and what stands for it: a block of its own that changes nothing.
fn tag(inner: &str) -> Option<(&'static str, &'static str)> {
    match inner.trim_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '+')) {
        "generation" => Some(("generation", "with")),
        "endgeneration" => Some(("endgeneration", "endwith")),
        _ => None,
    }
}

/// What is between the braces of the next block that holds an expression, from `from` on.
fn next_block(text: &str, from: usize) -> Option<std::ops::Range<usize>> {
    let mut at = from;
    loop {
        let start = at + text.get(at..)?.find('{')?;
        let end = |mark: &str| text[start + 2..].find(mark).map(|i| start + 2 + i);
        match text.get(start..start + 2) {
            Some("{#") => at = end("#}")? + 2,
            Some(open @ ("{{" | "{%")) => {
                let close = if open == "{{" { "}}" } else { "%}" };
                let end = close_of(text, start + 2, close)?;
                let inner = &text[start + 2..end];
                if inner.trim_matches(['-', '+', ' ', '\n', '\t']) != "raw" {
                    return Some(start + 2..end);
                }
                let raw = text[end..].match_indices("endraw").next()?.0;
                at = end + raw;
                at += text[at..].find("%}")? + 2;
            }
            _ => at = start + 1,
        }
    }
}

/// Where `close` is, outside of strings and of braces of the expression.
fn close_of(text: &str, from: usize, close: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0usize;
    let mut chars = text[from..].char_indices();
    while let Some((i, c)) = chars.next() {
        match quote {
            Some(_) if c == '\\' => {
                let _ = chars.next();
            }
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if depth == 0 && text[from + i..].starts_with(close) => return Some(from + i),
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None if c == '{' => depth += 1,
            None if c == '}' => depth = depth.saturating_sub(1),
            None => {}
        }
    }
    None
}

/// A part of an expression: a name, number or string, or a sign.
#[derive(Debug, Clone, Copy)]
struct Token<'t> {
    at: usize,
    text: &'t str,
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut all = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let mut end = at + c.len_utf8();
        if matches!(c, '"' | '\'') {
            while let Some((i, d)) = chars.next() {
                end = i + d.len_utf8();
                if d == '\\' {
                    let _ = chars.next();
                } else if d == c {
                    break;
                }
            }
        } else if c.is_alphanumeric() || c == '_' {
            while let Some((i, d)) = chars.next_if(|(_, d)| d.is_alphanumeric() || *d == '_') {
                end = i + d.len_utf8();
            }
        } else if c.is_whitespace() {
            continue;
        }
        all.push(Token { at, text: &text[at..end] });
    }
    all
}

/// Words that no operand ends or begins with.
const WORDS: [&str; 14] =
    ["if", "elif", "else", "in", "is", "not", "and", "or", "set", "for", "recursive", "call", "filter", "do"];

impl Token<'_> {
    /// Whether an operand can end with it.
    fn is_word(self) -> bool {
        let first = self.text.chars().next().unwrap_or(' ');
        (first.is_alphanumeric() || matches!(first, '_' | '"' | '\'')) && !WORDS.contains(&self.text)
    }

    fn end(self) -> usize {
        self.at + self.text.len()
    }
}

/// Each `%` of an expression as a filter, where its left side may be a string.
fn percent(mut text: String) -> String {
    let mut done = 0;
    loop {
        let new = {
            let all = tokens(&text);
            let Some(at) = (0..all.len()).filter(|i| all[*i].text == "%").nth(done) else { return text };
            replaced(&text, &all, at)
        };
        match new {
            Some(new) => text = new,
            None => done += 1,
        }
    }
}

/// The expression with the `%` at `at` as a filter; `None` where it is of numbers.
fn replaced(text: &str, all: &[Token<'_>], at: usize) -> Option<String> {
    let start = left(all, at.checked_sub(1)?)?;
    // `a * b % c` is of numbers, and the filter would bind closer.
    if start > 0 && ["*", "/", "%"].contains(&all[start - 1].text)
        || all[start].text.starts_with(|c: char| c.is_ascii_digit())
    {
        return None;
    }
    let end = right(all, at + 1)?;
    let operand = &all[at + 1..=end];
    let of = |from: &Token<'_>, to: &Token<'_>| &text[from.at..to.end()];
    let (first, last) = (operand.first()?, operand.last()?);
    let whole = of(first, last);
    // A tuple has the values for a format, one for each.
    let tuple = first.text == "(" && closing(all, at + 1) == Some(end) && has_comma(operand);
    let arguments = if tuple { &text[first.end()..last.at] } else { whole };
    Some(format!("{}|{PERCENT}({arguments}){}", &text[..all[at - 1].end()], &text[last.end()..]))
}

/// Whether there is a comma inside the outermost brackets.
fn has_comma(operand: &[Token<'_>]) -> bool {
    let mut depth = 0i32;
    operand.iter().any(|t| {
        depth += match t.text {
            "(" | "[" | "{" => 1,
            ")" | "]" | "}" => -1,
            _ => 0,
        };
        depth == 1 && t.text == ","
    })
}

/// The bracket that closes the one at `at`.
fn closing(all: &[Token<'_>], at: usize) -> Option<usize> {
    let mut depth = 0i32;
    (at..all.len()).find(|i| {
        depth += match all[*i].text {
            "(" | "[" | "{" => 1,
            ")" | "]" | "}" => -1,
            _ => 0,
        };
        depth == 0
    })
}

/// Where the operand that ends at `at` begins.
fn left(all: &[Token<'_>], mut at: usize) -> Option<usize> {
    loop {
        let before = |i: usize| i.checked_sub(1).and_then(|i| all.get(i));
        match all.get(at)?.text {
            ")" | "]" | "}" => {
                at = (0..at).rev().find(|i| closing(all, *i) == Some(at))?;
                match before(at) {
                    Some(t) if t.is_word() || matches!(t.text, ")" | "]") => at -= 1,
                    _ => return Some(at),
                }
            }
            _ if !all[at].is_word() => return None,
            _ => match before(at).map(|t| t.text) {
                Some("." | "|") => at = at.checked_sub(2)?,
                _ => return Some(at),
            },
        }
    }
}

/// Where the operand that begins at `at` ends.
fn right(all: &[Token<'_>], mut at: usize) -> Option<usize> {
    while matches!(all.get(at)?.text, "-" | "+") {
        at += 1;
    }
    let bracket = matches!(all.get(at)?.text, "(" | "[" | "{");
    let mut end = if bracket { closing(all, at)? } else { at };
    if !bracket && !all[at].is_word() {
        return None;
    }
    loop {
        match all.get(end + 1).map(|t| t.text) {
            Some("." | "|") => end += 2,
            Some("(" | "[") => end = closing(all, end + 1)?,
            _ => return Some(end.min(all.len() - 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    #[test]
    fn words_of_the_engine() {
        let unchanged = [
            "100% {# {% generation %} #} {{ 'a % b' }}",
            "{% raw %}{{ a % b }}{% endraw %}",
            "{% if a * b % c == 0 %}{{ 7 % n }}{% endif %}{{ {'a': {'b': 1}} }}",
        ];
        for text in unchanged {
            assert_eq!(rewrite(text), text);
        }
        let changed = [
            ("{%- generation -%}a{% endgeneration %}", "{%- with -%}a{% endwith %}"),
            ("{{ '%s' % m.content }}", "{{ '%s'|percent_(m.content) }}"),
            ("{{- '%s: %d' % (a, b|length) -}}", "{{- '%s: %d'|percent_(a, b|length) -}}"),
            ("{% if (i % 2 == 0) != x %}", "{% if (i|percent_(2) == 0) != x %}"),
            ("{{ f['x'].y(1) % z[0]|upper ~ 'q' }}", "{{ f['x'].y(1)|percent_(z[0]|upper) ~ 'q' }}"),
            ("{{ '%s%s' % 'a' % b }}", "{{ '%s%s'|percent_('a')|percent_(b) }}"),
            ("{% if not x % (2) %}", "{% if not x|percent_((2)) %}"),
        ];
        for (text, want) in changed {
            assert_eq!(rewrite(text), want);
        }
    }
}
