//! What values a configuration may have. The RTL refuses the same values when it is elaborated (`config_check.sv`, made
//! from this table); `sim/tests/rtl/config.rs` holds the two against each other.

use super::{Config, ConfigError, FIELDS, NAME_BYTES};
use std::fmt;

/// Values that a field may have on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Whether only powers of two are allowed.
    pub power: bool,
    /// Smallest value.
    pub least: usize,
    /// Largest value.
    pub most: usize,
}

impl Rule {
    pub(super) const fn power(least: usize, most: usize) -> Self {
        Self { power: true, least, most }
    }

    pub(super) const fn range(least: usize, most: usize) -> Self {
        Self { power: false, least, most }
    }

    /// Whether the value keeps it.
    pub fn allows(&self, value: usize) -> bool {
        (self.least..=self.most).contains(&value) && (!self.power || value.is_power_of_two())
    }

    /// All values that keep it, in order.
    pub fn values(self) -> impl Iterator<Item = usize> {
        let next = move |v: &usize| if self.power { v.checked_mul(2) } else { v.checked_add(1) };
        std::iter::successors(Some(self.least), next).take_while(move |v| *v <= self.most)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.power { "a power of two" } else { "a number" };
        write!(f, "{what} from {} to {}", self.least, self.most)
    }
}

/// A rule between fields.
#[derive(Debug)]
pub struct Relation {
    /// The field that is said to be wrong where it does not hold.
    pub field: &'static str,
    /// The rule, and its reason.
    pub doc: &'static str,
    /// The rule.
    pub holds: fn(&Config) -> bool,
    /// The same over the RTL's parameters; `None` where the RTL does not know the fields.
    pub sv: Option<&'static str>,
}

/// The rules between fields.
pub const RELATIONS: &[Relation] = &[
    Relation {
        field: "vec",
        doc: "must be at least `channels`: a step's results, one a tile, go into one vector word",
        holds: |c| c.vec >= c.channels,
        sv: Some("VEC >= CHANNELS"),
    },
    Relation {
        field: "vec",
        doc: "must be at most 4 x `channels`: a step of V, four dimensions a tile, fills at least one vector word",
        holds: |c| c.vec <= 4 * c.channels,
        sv: Some("VEC <= 4 * CHANNELS"),
    },
    Relation {
        field: "burst",
        doc: "must be at most `fifo`: a burst begins when the FIFO has room for all of it",
        holds: |c| c.burst <= c.fifo,
        sv: Some("BURST <= FIFO"),
    },
    Relation {
        field: "lane_rows",
        doc: "must be at least 2 x `lanes`: an accumulator takes two lane-row steps at least",
        holds: |c| c.lane_rows >= 2 * c.lanes,
        sv: Some("LANE_ROWS >= 2 * LANES"),
    },
    Relation {
        field: "block",
        doc: "must be at most 2 x `lane_rows`: a token of a group, half of the block, takes at least one of them",
        holds: |c| c.block <= 2 * c.lane_rows,
        sv: None,
    },
];

/// A value against a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// The rule.
    pub rule: String,
    /// Values on either side that keep all rules while the other fields stay; none where another field must change too.
    pub nearest: Vec<usize>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} {}", self.field, self.value, self.rule)?;
        match &self.nearest[..] {
            [] if self.field == "name" => Ok(()),
            [] => write!(f, "; no value of {} alone mends that, so change the other field", self.field),
            [one] => write!(f, "; nearest: {one}"),
            all => {
                let all: Vec<_> = all.iter().map(ToString::to_string).collect();
                write!(f, "; nearest: {}", all.join(" and "))
            }
        }
    }
}

/// Whether a text can be a configuration's name, or the rule.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let first = name.starts_with(|c: char| c.is_ascii_lowercase());
    let sound = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if first && sound && name.len() <= NAME_BYTES {
        return Ok(());
    }
    Err(format!(
        "must be lower-case letters, digits and _, a letter first, {NAME_BYTES} characters at most: \
         it becomes part of the names of modules, kernels and files"
    ))
}

impl Config {
    /// Checks every rule of the RTL and of the layout.
    ///
    /// # Errors
    /// All that is violated, in the order of [`FIELDS`].
    pub fn check(&self) -> Result<(), Vec<Violation>> {
        let values = self.values();
        let name = check_name(&self.name).err().map(|rule| Violation {
            field: "name",
            value: format!("'{}'", self.name),
            rule,
            nearest: Vec::new(),
        });
        let mut found: Vec<_> = name.into_iter().collect();
        for (i, (field, &value)) in FIELDS.iter().zip(&values).enumerate() {
            let rule = if !field.rule.allows(value) {
                format!("must be {}", field.rule)
            } else if let Some(r) = self.violated().find(|r| r.field == field.name) {
                r.doc.replace('`', "")
            } else {
                continue;
            };
            found.push(Violation {
                field: field.name,
                value: value.to_string(),
                rule,
                nearest: self.nearest(i),
            });
        }
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    /// [`Config::check`], for those who go on with it.
    ///
    /// # Errors
    /// [`ConfigError::Rules`].
    pub fn checked(self) -> Result<Self, ConfigError> {
        match self.check() {
            Ok(()) => Ok(self),
            Err(violations) => Err(ConfigError::Rules { name: self.name.to_string(), violations }),
        }
    }

    /// Relations that do not hold, among fields that each keep their own rule.
    fn violated(&self) -> impl Iterator<Item = &'static Relation> {
        // A value beyond its own rule would only repeat itself here, and could overflow.
        let sound = FIELDS.iter().zip(self.values()).all(|(f, v)| f.rule.allows(v));
        RELATIONS.iter().filter(move |r| sound && !(r.holds)(self))
    }

    /// The legal values of a field on either side of its value.
    fn nearest(&self, field: usize) -> Vec<usize> {
        let mut values = self.values();
        let value = values[field];
        let sound = |c: &Self| {
            let others = FIELDS.iter().zip(c.values()).all(|(f, v)| f.rule.allows(v));
            let mine = |r: &&Relation| r.field == FIELDS[field].name;
            // Where another field is wrong too, only this one's own rule can be judged.
            !others || RELATIONS.iter().filter(mine).all(|r| (r.holds)(c))
        };
        let legal = FIELDS[field].rule.values().filter(|&v| {
            values[field] = v;
            sound(&self.with_values(values))
        });
        let (mut below, mut above) = (None, None);
        for v in legal {
            if v < value {
                below = Some(v);
            } else if above.is_none() {
                above = Some(v);
            }
        }
        below.into_iter().chain(above).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::find;

    fn said(change: impl Fn(&mut crate::config::Config)) -> Vec<String> {
        let mut c = *find("tiny").unwrap();
        change(&mut c);
        c.check().err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_violation_says_field_rule_and_nearest_values() {
        assert_eq!(
            said(|c| c.channels = 12),
            ["channels = 12 must be a power of two from 2 to 32; nearest: 8 and 16"]
        );
        assert_eq!(said(|c| c.vec = 64), ["vec = 64 must be a power of two from 8 to 32; nearest: 8"]);
        let [one] = &said(|c| (c.fifo, c.burst) = (32, 64))[..] else { panic!() };
        assert!(one.starts_with("burst = 64 must be at most fifo"), "{one}");
        assert!(one.ends_with("nearest: 32"), "{one}");
        let [one] = &said(|c| (c.lane_rows, c.block) = (4, 9))[..] else { panic!() };
        assert!(one.starts_with("block = 9 must") && one.ends_with("nearest: 8"), "{one}");
        let [one] = &said(|c| (c.lanes, c.lane_rows, c.block) = (16, 4, 1))[..] else { panic!() };
        assert!(one.contains("at least 2 x lanes") && one.ends_with("nearest: 32"), "{one}");
    }

    #[test]
    fn every_wrong_field_is_named() {
        let all = said(|c| (c.channels, c.fifo, c.mhz) = (0, usize::MAX, 0));
        assert_eq!(all.len(), 3, "{all:?}");
        assert!(all[0].starts_with("channels = 0") && all[0].ends_with("nearest: 2"), "{all:?}");
        assert!(all[1].starts_with("fifo = ") && all[1].ends_with("nearest: 16384"), "{all:?}");
    }

    #[test]
    fn no_value_alone_mends_two_fields() {
        let all = said(|c| (c.channels, c.vec) = (32, 8));
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].ends_with("nearest: 32"), "{all:?}");
    }
}
