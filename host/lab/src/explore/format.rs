//! Weight formats of a work: one for all linear layers, one for each, or a budget of bits a weight.

use accllm_hw::beat::WeightFormat;
use accllm_hw::sizes::Linear;
use serde::Serialize;
use toml::Value;

/// The order in which a budget of bits turns linear layers into W4, the same for every model: an assumption, good for cycles
/// and area. What a model's own order is, `accllm quantize --bits` measures.
const PROMOTED: [Linear; 7] =
    [Linear::Down, Linear::V, Linear::O, Linear::K, Linear::Q, Linear::Up, Linear::Gate];

/// Formats of the linear layers of every decoder layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Formats {
    /// Given.
    Each([WeightFormat; 7]),
    /// As many in W4 as a hundredth of so many bits a weight allow, the others in W2 2:4.
    Budget(u32),
}

impl Default for Formats {
    fn default() -> Self {
        Self::Each([WeightFormat::W2Sparse; 7])
    }
}

fn format(name: &str) -> Result<WeightFormat, String> {
    let all = || WeightFormat::ALL.map(WeightFormat::name).join(", ");
    WeightFormat::from_name(name).ok_or_else(|| format!("'{name}' is no weight format; there are {}", all()))
}

impl Formats {
    /// From a spec: `"w2s"`, `{ down = "w4" }` (the others as `rest`, or `w2s`), or `{ bits = 3.0 }`.
    ///
    /// # Errors
    /// Anything else, with what is accepted.
    pub fn parse(value: &Value) -> Result<Self, String> {
        let table = match value {
            Value::String(name) => return Ok(Self::Each([format(name)?; 7])),
            Value::Table(table) => table,
            other => {
                return Err(format!(
                    "{other} is no format: give a name, {{ down = \"w4\" }} or {{ bits = 3.0 }}"
                ));
            }
        };
        if let Some(bits) = table.get("bits") {
            let bits = bits.as_float().or_else(|| bits.as_integer().map(|i| i as f64));
            let bits = bits.filter(|b| (2.0..=4.5).contains(b) && table.len() == 1);
            return match bits {
                Some(bits) => Ok(Self::Budget((bits * 100.0).round() as u32)),
                None => Err("bits: give one number from 2.0 to 4.5, and nothing beside it".into()),
            };
        }
        let named = |v: &Value| format(v.as_str().unwrap_or_default());
        let mut each = [table.get("rest").map_or(Ok(WeightFormat::W2Sparse), named)?; 7];
        for (key, value) in table.iter().filter(|(key, _)| *key != "rest") {
            let Some(linear) = Linear::LAYER.iter().position(|l| l.name() == key) else {
                let names = Linear::LAYER.map(Linear::name).join(", ");
                return Err(format!(
                    "'{key}' is no linear layer of a decoder layer; there are {names}, and rest"
                ));
            };
            each[linear] = named(value)?;
        }
        Ok(Self::Each(each))
    }

    /// Formats of q, k, v, o, gate, up and down, for linear layers of so many weights.
    pub fn resolve(self, weights: [usize; 7]) -> [WeightFormat; 7] {
        let budget = match self {
            Self::Each(each) => return each,
            Self::Budget(hundredths) => f64::from(hundredths) / 100.0,
        };
        let mut each = [WeightFormat::W2Sparse; 7];
        for linear in PROMOTED {
            let mut more = each;
            more[linear as usize] = WeightFormat::W4;
            if bits(more, weights) <= budget {
                each = more;
            }
        }
        each
    }
}

/// Bits a weight.
pub fn bits(formats: [WeightFormat; 7], weights: [usize; 7]) -> f64 {
    let each = formats.iter().zip(weights);
    each.map(|(f, n)| f.bits() * n as f64).sum::<f64>() / weights.iter().sum::<usize>().max(1) as f64
}

impl Serialize for Formats {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Each(each) if each.iter().all(|f| f == &each[0]) => each[0].name().serialize(s),
            Self::Each(each) => {
                s.collect_map(Linear::LAYER.iter().zip(each).map(|(l, f)| (l.name(), f.name())))
            }
            Self::Budget(hundredths) => s.collect_map([("bits", f64::from(*hundredths) / 100.0)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use WeightFormat::{W2Dense, W2Sparse, W4};

    fn parse(text: &str) -> Result<Formats, String> {
        let table: toml::Table = toml::from_str(&format!("x = {text}")).unwrap();
        Formats::parse(&table["x"])
    }

    #[test]
    fn formats_of_a_spec() {
        assert_eq!(parse("\"w2d\""), Ok(Formats::Each([W2Dense; 7])));
        let mut each = [W2Sparse; 7];
        each[6] = W4;
        assert_eq!(parse("{ down = \"w4\" }"), Ok(Formats::Each(each)));
        for (text, words) in [
            ("\"w3\"", "w2s, w2d, w4"),
            ("{ head = \"w4\" }", "'head' is no linear layer"),
            ("{ bits = 9 }", "from 2.0 to 4.5"),
            ("{ bits = 3, down = \"w4\" }", "nothing beside"),
            ("4", "4 is no format"),
        ] {
            assert!(parse(text).unwrap_err().contains(words), "{text}: {:?}", parse(text));
        }
    }

    #[test]
    fn a_budget_is_used_and_kept() {
        let weights = [16, 4, 4, 16, 44, 44, 44];
        for budget in 200..=450 {
            let each = Formats::Budget(budget).resolve(weights);
            assert!(bits(each, weights) <= f64::from(budget) / 100.0 + 1e-9);
        }
        assert_eq!(Formats::Budget(450).resolve(weights), [W4; 7]);
        assert_eq!(Formats::Budget(270).resolve(weights)[6], W4);
    }
}
