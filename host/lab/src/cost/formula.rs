//! The formulas of the fits: sums and products of numbers, names and a few functions. `hw/synth/fit.py` makes and reads
//! the same.

use std::fmt;

/// Values of names.
pub type Values = Vec<(String, f64)>;

/// A formula, ready to be evaluated.
#[derive(Debug, Clone)]
pub struct Formula {
    /// In postfix order.
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    Number(f64),
    Name(String),
    /// Takes one value.
    One(fn(f64) -> f64),
    /// Takes two.
    Two(fn(f64, f64) -> f64),
}

/// A text that is no formula, or a name without a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("formula `{formula}`: {what}")]
pub struct FormulaError {
    formula: String,
    what: String,
}

/// Functions by name: `le(a, b)` is 1 where a <= b, else 0.
const FUNCTIONS: [(&str, Step); 7] = [
    ("log2", Step::One(f64::log2)),
    ("ceil", Step::One(f64::ceil)),
    ("max", Step::Two(f64::max)),
    ("min", Step::Two(f64::min)),
    ("le", Step::Two(|a, b| f64::from(u8::from(a <= b)))),
    ("bram", Step::Two(bram)),
    ("uram", Step::Two(uram)),
];

/// Shapes of half a block RAM: width, depth.
const HALVES: [(f64, f64); 6] =
    [(36.0, 512.0), (18.0, 1024.0), (9.0, 2048.0), (4.0, 4096.0), (2.0, 8192.0), (1.0, 16384.0)];

/// Block RAMs of 36 Kb of a memory: of the shape of which synthesis needs the fewest.
fn bram(width: f64, depth: f64) -> f64 {
    let halves = HALVES.map(|(w, d)| (width / w).ceil() * (depth / d).ceil());
    halves.into_iter().fold(f64::INFINITY, f64::min) / 2.0
}

/// UltraRAMs of a memory: 4096 words of 72 bits; synthesis folds what is deeper into the width.
fn uram(width: f64, depth: f64) -> f64 {
    (width * (depth / 4096.0).max(1.0) / 72.0).ceil()
}

impl Formula {
    /// Reads a formula.
    ///
    /// # Errors
    /// The text is none; the error says where.
    pub fn parse(text: &str) -> Result<Self, FormulaError> {
        let mut parser = Parser { text, at: 0, steps: Vec::new() };
        parser.sum()?;
        match parser.peek() {
            None => Ok(Self { steps: parser.steps }),
            Some(c) => Err(parser.wrong(&format!("'{c}' is not expected"))),
        }
    }

    /// Its value.
    ///
    /// # Errors
    /// A name that has no value.
    pub fn value(&self, values: &Values) -> Result<f64, FormulaError> {
        let mut stack = Vec::new();
        // The parser has counted the operands: a stack that is too short cannot be.
        let pop = |stack: &mut Vec<f64>| stack.pop().unwrap_or(f64::NAN);
        for step in &self.steps {
            let value = match step {
                Step::Number(n) => *n,
                Step::Name(name) => match values.iter().find(|(n, _)| n == name) {
                    Some((_, value)) => *value,
                    None => {
                        let what = format!("'{name}' has no value");
                        return Err(FormulaError { formula: self.to_string(), what });
                    }
                },
                Step::One(f) => f(pop(&mut stack)),
                Step::Two(f) => {
                    let b = pop(&mut stack);
                    f(pop(&mut stack), b)
                }
            };
            stack.push(value);
        }
        Ok(pop(&mut stack))
    }
}

/// The names in it: what a person looks for where one has no value.
impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self
            .steps
            .iter()
            .filter_map(|s| if let Step::Name(n) = s { Some(&n[..]) } else { None })
            .collect();
        write!(f, "of {}", names.join(", "))
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    steps: Vec<Step>,
}

impl Parser<'_> {
    fn wrong(&self, what: &str) -> FormulaError {
        FormulaError { formula: self.text.into(), what: format!("{what} at character {}", self.at + 1) }
    }

    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    /// Takes the next character where it is one of these.
    fn take(&mut self, any: &[char]) -> Option<char> {
        let c = self.peek().filter(|c| any.contains(c))?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn word(&mut self, part: impl Fn(char) -> bool) -> &str {
        let start = self.at;
        let rest = &self.text[start..];
        self.at += rest.find(|c| !part(c)).unwrap_or(rest.len());
        &self.text[start..self.at]
    }

    fn sum(&mut self) -> Result<(), FormulaError> {
        self.product()?;
        while let Some(c) = self.take(&['+', '-']) {
            self.product()?;
            self.steps.push(Step::Two(if c == '+' { |a, b| a + b } else { |a, b| a - b }));
        }
        Ok(())
    }

    fn product(&mut self) -> Result<(), FormulaError> {
        self.factor()?;
        while let Some(c) = self.take(&['*', '/']) {
            self.factor()?;
            self.steps.push(Step::Two(if c == '*' { |a, b| a * b } else { |a, b| a / b }));
        }
        Ok(())
    }

    fn factor(&mut self) -> Result<(), FormulaError> {
        match self.peek() {
            Some('-') => {
                self.at += 1;
                self.factor()?;
                self.steps.push(Step::One(|a| -a));
            }
            Some('(') => {
                self.at += 1;
                self.sum()?;
                self.close()?;
            }
            Some(c) if c.is_ascii_digit() => {
                let mut text = self.word(|c| c.is_ascii_digit() || c == '.').to_owned();
                // An exponent with its sign.
                if self.text[self.at..].starts_with('e') {
                    self.at += 1;
                    text.push('e');
                    text += self.word(|c| c == '-' || c == '+');
                    text += self.word(|c| c.is_ascii_digit());
                }
                let number = text.parse().map_err(|_| self.wrong("a number that cannot be read ends"))?;
                self.steps.push(Step::Number(number));
            }
            Some(c) if c.is_ascii_alphabetic() => {
                let name = self.word(|c| c.is_ascii_alphanumeric() || c == '_').to_owned();
                match self.peek() {
                    Some('(') => self.call(&name)?,
                    _ => self.steps.push(Step::Name(name)),
                }
            }
            Some(c) => return Err(self.wrong(&format!("'{c}' is not expected"))),
            None => return Err(self.wrong("the formula ends too early")),
        }
        Ok(())
    }

    fn call(&mut self, name: &str) -> Result<(), FormulaError> {
        let Some((_, function)) = FUNCTIONS.iter().find(|(n, _)| *n == name) else {
            return Err(self.wrong(&format!("no function '{name}'")));
        };
        self.at += 1;
        self.sum()?;
        if matches!(function, Step::Two(_)) {
            self.take(&[',']).ok_or_else(|| self.wrong("',' is missing"))?;
            self.sum()?;
        }
        self.close()?;
        self.steps.push(function.clone());
        Ok(())
    }

    fn close(&mut self) -> Result<(), FormulaError> {
        match self.take(&[')']) {
            Some(_) => Ok(()),
            None => Err(self.wrong("')' is missing")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> f64 {
        let values = vec![("LANES".to_owned(), 4.0), ("A_1".to_owned(), 10.0)];
        Formula::parse(text).unwrap().value(&values).unwrap()
    }

    #[test]
    fn arithmetic_is_that_of_python() {
        assert_eq!(value("1 + 2 * LANES - 3"), 6.0);
        assert_eq!(value("2 - 1 - 1"), 0.0);
        assert_eq!(value("64 / 2 / LANES"), 8.0);
        assert_eq!(value("-(2 + LANES) * 2.5e-1"), -1.5);
        assert_eq!(value("ceil(A_1 / LANES) + log2(LANES)"), 5.0);
        assert_eq!(value("bram(256, 8192) + bram(256, 1024) + bram(4, 4096)"), 58.0 + 7.5 + 0.5);
        assert_eq!(value("uram(512, 64) + uram(64, 32768)"), 16.0);
        assert_eq!(value("max(A_1, 2) + min(1, LANES) * le(LANES, 4) + le(LANES, 3)"), 11.0);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, what) in [
            ("1 +", "ends too early at character 4"),
            ("2 $ 3", "'$' is not expected at character 3"),
            ("(1", "')' is missing at character 3"),
            ("max(1)", "',' is missing at character 6"),
            ("sin(1)", "no function 'sin'"),
            ("1.2.3", "a number that cannot be read"),
        ] {
            let said = Formula::parse(text).unwrap_err().to_string();
            assert!(said.contains(what), "{text}: {said}");
        }
        let said = Formula::parse("1 + VEC").unwrap().value(&Vec::new()).unwrap_err().to_string();
        assert!(said.contains("'VEC' has no value"), "{said}");
    }
}
