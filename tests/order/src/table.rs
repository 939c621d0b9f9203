//! The table: crates in order, and the order of modules inside them.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A crate of the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Room {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub folder: String,
    /// The crates that it may use.
    uses: Vec<String>,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The crates, in order.
    #[serde(rename = "crate")]
    pub crates: Vec<Room>,
    /// Uses against the order that are known: `crate::module -> module`.
    pub open: BTreeSet<String>,
    /// Test kits, and the modules that use them all the same.
    pub kits: BTreeMap<String, Vec<String>>,
    /// By the path of a module that begins with its crate's name.
    order: BTreeMap<String, Vec<String>>,
}

impl Table {
    /// Reads it.
    ///
    /// # Panics
    /// It cannot be read, or is no such table.
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// The modules of a crate whose children have an order, and the order.
    pub fn orders<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (Vec<String>, &'a [String])> {
        self.order.iter().filter_map(move |(path, order)| {
            let mut words = path.split("::").map(str::to_string);
            (words.next()? == name).then(|| (words.collect(), &order[..]))
        })
    }

    /// What a crate's Cargo.toml says against the table.
    ///
    /// # Panics
    /// It cannot be read.
    pub fn wrong_uses(&self, at: usize, root: &Path) -> Vec<String> {
        let room = &self.crates[at];
        let path = root.join(&room.folder).join("Cargo.toml");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let manifest: toml::Table = text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let found = manifest.get("dependencies").and_then(|d| d.as_table());
        let found: BTreeSet<&str> = found
            .into_iter()
            .flat_map(|d| d.keys())
            .map(String::as_str)
            .filter(|d| d.starts_with("accllm"))
            .collect();
        let before: Vec<&str> = self.crates[..at].iter().map(|r| r.name.as_str()).collect();
        let listed: BTreeSet<&str> = room.uses.iter().map(String::as_str).collect();
        let mut said = Vec::new();
        for name in found.difference(&listed) {
            said.push(format!(
                "{} depends on {name}, which tests/order/rooms.toml does not allow it",
                room.name
            ));
        }
        for name in listed.difference(&found) {
            said.push(format!("{} does not depend on {name}, which the table lists", room.name));
        }
        for name in listed.iter().filter(|n| !before.contains(n)) {
            said.push(format!("the table lets {} use {name}, which comes after it", room.name));
        }
        said
    }
}
