//! Configurations by name and from files.

use super::rule::check_name;
use super::{Config, Name, Values, Violation};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Largest file that is read; real ones have some hundred bytes.
const MOST_BYTES: u64 = 1 << 16;

/// Names of the configurations that are built in.
pub const NAMES: [&str; 7] = ["tiny", "edge", "u280", "u50", "u55c", "v80", "u200"];

/// Their files.
const FILES: [&str; 7] = [
    include_str!("../../configs/tiny.toml"),
    include_str!("../../configs/edge.toml"),
    include_str!("../../configs/u280.toml"),
    include_str!("../../configs/u50.toml"),
    include_str!("../../configs/u55c.toml"),
    include_str!("../../configs/v80.toml"),
    include_str!("../../configs/u200.toml"),
];

/// The configurations that all tests run on. What is promised (lint, bit-exactness, cycles) is promised of them.
pub static CONFIGS: LazyLock<[Config; 3]> = LazyLock::new(|| std::array::from_fn(built_in));

/// Configurations that were tuned for other cards (docs/studies/tuned.md): linted and run in `make test-full`.
pub static TUNED: LazyLock<[Config; 4]> = LazyLock::new(|| std::array::from_fn(|i| built_in(i + 3)));

fn built_in(i: usize) -> Config {
    match parse(NAMES[i], FILES[i]) {
        Ok(config) => config,
        // The files are part of the program; a test reads them.
        Err(e) => unreachable!("hw/configs/{}.toml: {e}", NAMES[i]),
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Neither a name nor a file.
    #[error("no configuration named '{0}'; there are {names}, or give a file, NAME.toml", names = NAMES.join(", "))]
    Unknown(String),
    /// A file that cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// A file with something else than the fields.
    #[error("the configuration '{name}': {what}; docs/configurations.md lists the fields")]
    Form {
        /// Its name, or path.
        name: String,
        /// What is wrong, and where.
        what: String,
    },
    /// Values against the rules.
    #[error("the configuration '{name}' cannot be built: {}", lines(.violations))]
    Rules {
        /// Its name.
        name: String,
        /// What is wrong.
        violations: Vec<Violation>,
    },
    /// A file with the name of a built-in configuration and other values.
    #[error("{}: '{name}' is built in with other values ({difference}); give the file another name", path.display())]
    Taken {
        /// The file.
        path: PathBuf,
        /// The name.
        name: String,
        /// First field that differs.
        difference: String,
    },
}

fn lines(violations: &[Violation]) -> String {
    let all: Vec<_> = violations.iter().map(ToString::to_string).collect();
    if all.len() == 1 { all.concat() } else { format!("\n  {}", all.join("\n  ")) }
}

/// The built-in configuration of that name.
///
/// # Errors
/// There is none; the error lists the names.
pub fn find(name: &str) -> Result<&'static Config, ConfigError> {
    CONFIGS
        .iter()
        .chain(TUNED.iter())
        .find(|c| &*c.name == name)
        .ok_or_else(|| ConfigError::Unknown(name.to_owned()))
}

/// The configuration that a command line names: a built-in one, or a file (what ends in `.toml` or has a `/`).
///
/// # Errors
/// There is none of that name; the file cannot be read, has other fields, or values against the rules.
pub fn open(name: &str) -> Result<Config, ConfigError> {
    if !is_file(name) {
        return find(name).copied();
    }
    let path = Path::new(name);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let config = parse(&stem, &read(path)?)?;
    match find(&stem) {
        Ok(own) if *own != config => Err(ConfigError::Taken {
            path: path.into(),
            name: stem.into_owned(),
            difference: own.difference(&config).unwrap_or_default(),
        }),
        _ => Ok(config),
    }
}

/// Whether a command line's word is a file: it ends in `.toml` or has a `/`.
fn is_file(name: &str) -> bool {
    name.contains('/') || Path::new(name).extension().is_some_and(|e| e == "toml")
}

/// The card that the file of a configuration names (`card = "u280"`), where it names one.
///
/// # Errors
/// As of [`open`].
pub fn card_of(name: &str) -> Result<Option<Name>, ConfigError> {
    let text = match NAMES.iter().position(|n| *n == name) {
        Some(i) => FILES[i].to_owned(),
        None => read(Path::new(name))?,
    };
    let form = |e: toml::de::Error| ConfigError::Form { name: name.to_owned(), what: e.to_string() };
    Ok(toml::from_str::<Values>(&text).map_err(form)?.card)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    use std::io::Read as _;
    let io = |source| ConfigError::Io { path: path.into(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(io)?;
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(io)?;
    if text.len() as u64 > MOST_BYTES {
        let what = format!("it has more than {MOST_BYTES} bytes, so it is something else");
        return Err(ConfigError::Form { name: path.display().to_string(), what });
    }
    Ok(text)
}

/// A configuration from the text of its file.
///
/// # Errors
/// As of [`open`].
pub fn parse(name: &str, text: &str) -> Result<Config, ConfigError> {
    let form = |what: String| ConfigError::Form { name: name.to_owned(), what };
    let rule = |rule| form(format!("its name, the file's without .toml, {rule}"));
    check_name(name).map_err(rule)?;
    let own = Name::from(name).map_err(|e| form(e.to_string()))?;
    let values: Values = toml::from_str(text).map_err(|e| form(e.to_string().trim_end().to_owned()))?;
    values.named(own).checked()
}

impl Config {
    /// First field of the RTL in which `found` differs, as a text: `vec is 16, not 8`.
    pub fn difference(&self, found: &Self) -> Option<String> {
        let both = super::FIELDS.iter().zip(self.values().into_iter().zip(found.values()));
        let mut different = both.filter(|(_, (want, is))| want != is);
        different.next().map(|(f, (want, is))| format!("{} is {is}, not {want}", f.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = FILES[0];

    fn said(name: &str, text: &str) -> String {
        parse(name, text).unwrap_err().to_string()
    }

    #[test]
    fn built_in_files_keep_the_rules_and_are_what_is_written() {
        for (config, text) in CONFIGS.iter().chain(TUNED.iter()).zip(FILES) {
            assert_eq!(config.check(), Ok(()));
            let values = |t: &str| {
                t.lines()
                    .filter(|l| l.contains(" = ") && !l.starts_with('#') && !l.starts_with("card"))
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            assert_eq!(values(&config.to_toml()), values(text), "{}", config.name);
            assert_eq!(parse(&config.name, &config.to_toml()).unwrap(), *config);
        }
    }

    #[test]
    fn wrong_files_are_refused_with_the_reason() {
        for (text, words) in [
            ("", vec!["missing field"]),
            (&TINY.replace("vec = 8\n", ""), vec!["missing field `vec`"]),
            (&format!("{TINY}tiles = 3\n"), vec!["unknown field `tiles`", "expected one of", "line"]),
            (&TINY.replace("vec = 8", "vec = \"8\""), vec!["invalid type", "line"]),
            (&TINY.replace("vec = 8", "vec = 8.0"), vec!["invalid type", "line"]),
            (&TINY.replace("vec = 8", "vec = -8"), vec!["-8", "line"]),
            (&TINY.replace("vec = 8", "vec = 99999999999999999999"), vec!["line"]),
            (
                &TINY.replace("vec = 8", "vec = 9223372036854775807"),
                vec!["vec = 9223372036854775807 must be", "nearest: 8"],
            ),
            (&TINY.replace("vec = 8", "vec 8"), vec!["line"]),
            (&format!("{TINY}vec = 8\n"), vec!["duplicate key", "line"]),
        ] {
            let said = said("mine", text);
            for word in words {
                assert!(said.contains(word), "{text}\n{said}\n{word}");
            }
            assert!(said.contains("'mine'"), "{said}");
        }
    }

    #[test]
    fn names_are_identifiers() {
        for name in ["", "Tiny", "8bit", "a-b", "../up", "a b", &"x".repeat(33)] {
            assert!(said(name, TINY).contains("lower-case letters"), "{name}");
        }
        let mut config = CONFIGS[0];
        config.name = Name::from("../up").unwrap();
        let said = config.check().unwrap_err();
        assert!(said[0].to_string().starts_with("name = '../up' must be"), "{}", said[0]);
    }

    #[test]
    fn a_command_line_names_built_in_ones_and_files() {
        assert_eq!(open("edge").unwrap(), CONFIGS[1]);
        let said = open("edgy").unwrap_err().to_string();
        assert!(said.contains("tiny, edge, u280") && said.contains(".toml"), "{said}");
        assert!(open("./nowhere/x.toml").unwrap_err().to_string().contains("nowhere/x.toml"));
        let folder = std::env::temp_dir().join(format!("accllm-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let put = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let path = put("mine.toml", TINY);
        let mine = open(&path).unwrap();
        assert_eq!((&*mine.name, mine.values()), ("mine", CONFIGS[0].values()));
        let carded = put("carded.toml", &format!("card = \"u50\"\n{TINY}"));
        assert_eq!(open(&carded).unwrap().values(), CONFIGS[0].values());
        assert_eq!(card_of(&carded).unwrap().as_deref(), Some("u50"));
        assert_eq!(card_of("u280").unwrap().as_deref(), Some("u280"));
        assert_eq!(card_of("tiny").unwrap(), None);
        let other = put("tiny.toml", &TINY.replace("fifo = 64", "fifo = 128"));
        let said = open(&other).unwrap_err().to_string();
        assert!(said.contains("fifo is 128, not 64"), "{said}");
        assert_eq!(open(&put("tiny.toml", TINY)).unwrap(), CONFIGS[0]);
        let large = put("large.toml", &"#".repeat(1 << 17));
        assert!(open(&large).unwrap_err().to_string().contains("more than"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
