//! Cards by name and from files, and their rules.

use super::{Card, Memory, Resources};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Largest file that is read.
const MOST_BYTES: u64 = 1 << 16;

/// Names of the cards that are built in.
pub const NAMES: [&str; 7] = ["u280", "u50", "u55c", "v80", "vcu128", "u200", "zcu104"];

/// Their files.
const FILES: [&str; 7] = [
    include_str!("../../cards/u280.toml"),
    include_str!("../../cards/u50.toml"),
    include_str!("../../cards/u55c.toml"),
    include_str!("../../cards/v80.toml"),
    include_str!("../../cards/vcu128.toml"),
    include_str!("../../cards/u200.toml"),
    include_str!("../../cards/zcu104.toml"),
];

/// The cards that are built in.
pub static CARDS: LazyLock<[Card; 7]> = LazyLock::new(|| {
    std::array::from_fn(|i| match parse(NAMES[i], FILES[i]) {
        Ok(card) => card,
        // The files are part of the program; a test reads them.
        Err(e) => unreachable!("hw/cards/{}.toml: {e}", NAMES[i]),
    })
});

/// A card that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// Neither a name nor a file.
    #[error("no card named '{0}'; there are {names}, or give a file, NAME.toml", names = NAMES.join(", "))]
    Unknown(String),
    /// A file that cannot be read.
    #[error("cannot read the card {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// A file with other fields, or a value against the rules.
    #[error("the card '{name}': {what}; docs/cards.md lists the fields")]
    Form {
        /// Its name.
        name: String,
        /// What is wrong, and where.
        what: String,
    },
}

/// The built-in card of that name.
///
/// # Errors
/// There is none; the error lists the names.
pub fn find(name: &str) -> Result<&'static Card, CardError> {
    CARDS.iter().find(|c| c.name == name).ok_or_else(|| CardError::Unknown(name.to_owned()))
}

/// The card that a command line names: a built-in one, or a file (what ends in `.toml` or has a `/`).
///
/// # Errors
/// There is none of that name; the file cannot be read, has other fields, or values against the rules.
pub fn open(name: &str) -> Result<Card, CardError> {
    let path = Path::new(name);
    if !name.contains('/') && path.extension().is_none_or(|e| e != "toml") {
        return find(name).cloned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    parse(&stem, &read(path)?)
}

fn read(path: &Path) -> Result<String, CardError> {
    use std::io::Read as _;
    let io = |source| CardError::Io { path: path.into(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(io)?;
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(io)?;
    Ok(text)
}

/// A card from the text of its file.
///
/// # Errors
/// As of [`open`].
pub fn parse(name: &str, text: &str) -> Result<Card, CardError> {
    let form = |what: String| CardError::Form { name: name.to_owned(), what };
    let card: Card = toml::from_str(text).map_err(|e| form(e.to_string().trim_end().to_owned()))?;
    let card = Card { name: name.to_owned(), ..card };
    card.check().map_err(form)?;
    Ok(card)
}

/// `what` is a number from `low` to `high`, or the sentence that says so.
fn within(what: &str, value: f64, low: f64, high: f64) -> Result<(), String> {
    match (low..=high).contains(&value) {
        true => Ok(()),
        false => Err(format!("{what} = {value} must be a number from {low} to {high}")),
    }
}

impl Card {
    /// Checks the rules.
    fn check(&self) -> Result<(), String> {
        if self.dies.is_empty() {
            return Err("dies must name one die at least".into());
        }
        for (what, limit) in [("limit", &self.limit), ("die_limit", &self.die_limit)] {
            for (name, &percent) in Resources::<f64>::NAMES.iter().zip(limit.each()) {
                within(&format!("{what}.{name}"), percent, 1.0, 100.0)?;
            }
        }
        self.memory.check("memory")?;
        self.aux.check("aux")?;
        if self.memory.shared {
            return Err("memory.shared: only aux can be a part of the other memory".into());
        }
        self.check_resources()?;
        within("clock.mhz", self.clock.mhz, 1.0, 1000.0)?;
        within("idle.low", self.idle.low, 0.0, 1000.0)?;
        within("idle.value", self.idle.value, self.idle.low, 1000.0)?;
        within("idle.high", self.idle.high, self.idle.value, 1000.0)?;
        within("price.usd", self.price.usd, 0.0, 1e6)?;
        let sources = [
            ("memory", &self.memory.source),
            ("aux", &self.aux.source),
            ("device", &self.device.source),
            ("free", &self.free.source),
            ("added", &self.added.source),
            ("clock", &self.clock.source),
            ("idle", &self.idle.source),
            ("price", &self.price.source),
        ];
        let words = ["published: ", "recalled: ", "assumed: ", "measured: "];
        match sources.iter().find(|(_, s)| !words.iter().any(|w| s.starts_with(w))) {
            Some((part, s)) => Err(format!(
                "{part}.source = '{s}' must begin with published, recalled, assumed or measured, and a colon"
            )),
            None => Ok(()),
        }
    }

    /// The dies together have what the shell leaves, and no more than the device.
    fn check_resources(&self) -> Result<(), String> {
        let (device, free, added) = (self.device.resources(), self.free.resources(), self.added.resources());
        let parts = free.each().into_iter().zip(added.each()).zip(device.each());
        for (name, ((free, added), &device)) in Resources::<f64>::NAMES.iter().zip(parts) {
            within(&format!("device.{name}"), device, 0.0, 1e8)?;
            for (part, list) in [("free", free), ("added", added)] {
                if list.len() != self.dies.len() {
                    let (has, dies) = (list.len(), self.dies.len());
                    return Err(format!("{part}.{name} has {has} numbers, and there are {dies} dies"));
                }
                list.iter().try_for_each(|&n| within(&format!("{part}.{name}"), n, 0.0, device))?;
            }
            let sum: f64 = free.iter().sum();
            if sum > device {
                return Err(format!("free.{name} is {sum} on all dies, more than the device's {device}"));
            }
        }
        Ok(())
    }
}

impl Memory {
    fn check(&self, name: &str) -> Result<(), String> {
        within(&format!("{name}.channels"), self.channels as f64, 1.0, 256.0)?;
        within(&format!("{name}.ports"), self.ports as f64, 1.0, 256.0)?;
        within(&format!("{name}.bytes"), self.bytes as f64, 4096.0, (1u64 << 40) as f64)?;
        within(&format!("{name}.gb_per_s"), self.gb_per_s, 0.01, 1000.0)?;
        within(&format!("{name}.port_gb_per_s"), self.port_gb_per_s.unwrap_or(1.0), 0.01, 1000.0)?;
        within(&format!("{name}.refresh_ns"), f64::from(self.refresh_ns.unwrap_or(100)), 10.0, 2000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_cards_keep_the_rules() {
        for (card, name) in CARDS.iter().zip(NAMES) {
            assert_eq!((&*card.name, find(name).unwrap()), (name, card));
            assert!(card.dies.len() <= 3 && card.memory.rate(card.memory.ports) > 1.0, "{name}");
        }
    }

    #[test]
    fn wrong_files_are_refused_with_the_reason() {
        let text = FILES[0];
        for (from, to, words) in [
            ("lut = 1303680", "lut = \"many\"", vec!["invalid type", "line"]),
            ("lut = 1303680", "luts = 1303680", vec!["unknown field `luts`", "line"]),
            ("kind = \"hbm2\"", "kind = \"hbm9\"", vec!["unknown variant `hbm9`", "hbm2e"]),
            ("channels = 32", "channels = 0", vec!["memory.channels = 0 must be a number from 1 to 256"]),
            ("gb_per_s = 14.4", "gb_per_s = nan", vec!["memory.gb_per_s", "must be a number"]),
            ("lut = [369000, 333000, 367000]", "lut = [369000, 333000]", vec!["2 numbers", "3 dies"]),
            ("lut = [369000,", "lut = [869000,", vec!["free.lut is 1569000", "1303680"]),
            ("mhz = 300", "mhz = 3e9", vec!["clock.mhz = 3000000000 must be"]),
            ("low = 22", "low = 30", vec!["idle.value = 27 must be a number from 30"]),
            ("lut = 75, ff", "lut = 175, ff", vec!["limit.lut = 175"]),
            ("\"recalled: list", "\"list", vec!["price.source", "published, recalled, assumed or measured"]),
            ("[price]", "[cost]", vec!["unknown field `cost`"]),
        ] {
            assert!(text.contains(from), "{from}");
            let said = parse("mine", &text.replacen(from, to, 1)).unwrap_err().to_string();
            for word in words {
                assert!(said.contains(word), "{to}: {said}");
            }
            assert!(said.contains("'mine'"), "{said}");
        }
    }

    #[test]
    fn a_command_line_names_built_in_ones_and_files() {
        assert_eq!(open("v80").unwrap().title, "Alveo V80");
        let said = open("u9000").unwrap_err().to_string();
        assert!(said.contains("u280, u50") && said.contains(".toml"), "{said}");
        assert!(open("./nowhere/x.toml").unwrap_err().to_string().contains("nowhere/x.toml"));
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/cards/zcu104.toml");
        assert_eq!(&open(file).unwrap(), find("zcu104").unwrap());
    }
}
