//! Crates and the modules inside them use only what stands before them in `rooms.toml`.

use accllm_order::{Crate, Table, Use};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn table() -> Table {
    Table::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rooms.toml"))
}

#[test]
fn crates_use_only_those_before() {
    let table = table();
    let said: Vec<String> = (0..table.crates.len()).flat_map(|at| table.wrong_uses(at, &root())).collect();
    assert!(said.is_empty(), "{}", said.join("\n"));
}

/// The uses that are against the order.
fn against<'u>(uses: &'u [Use], order: &[String]) -> Vec<&'u Use> {
    let place = |module: &String| order.iter().position(|o| o == module);
    uses.iter().filter(|u| place(&u.used) > place(&u.user)).collect()
}

#[test]
fn modules_use_only_those_before() {
    let table = table();
    let (mut said, mut uses, mut seen) = (Vec::new(), 0, BTreeSet::new());
    for room in &table.crates {
        let source = Crate::read(&room.name, &root().join(&room.folder).join("src"));
        for (module, order) in table.orders(&room.name) {
            let found = source.uses(&module);
            uses += found.len();
            said.extend(source.unlisted(&module, order));
            for u in against(&found, order) {
                let ends = (std::slice::from_ref(&room.name), std::slice::from_ref(&u.user));
                let key = [ends.0, &module[..], ends.1].concat().join("::");
                let key = format!("{key} -> {}", u.used);
                match table.open.contains(&key) {
                    true => drop(seen.insert(key)),
                    false => {
                        said.push(format!("{}: {} uses {}, which comes after it", room.name, u.from, u.path))
                    }
                }
            }
        }
    }
    let mended = table.open.iter().filter(|o| !seen.contains(*o));
    said.extend(mended.map(|o| format!("{o} is there no more: take it out of the table")));
    assert!(said.is_empty(), "against tests/order/rooms.toml:\n{}", said.join("\n"));
    println!("{uses} uses of one module by another, {} of them against the order", seen.len());
    assert!(uses > 400, "only {uses} uses were found: the reader does not see them any more");
}

#[test]
fn only_tests_and_those_listed_use_the_test_kits() {
    let table = table();
    for (kit, users) in &table.kits {
        let mut found: Vec<String> = Vec::new();
        for room in &table.crates {
            found.extend(Crate::read(&room.name, &root().join(&room.folder).join("src")).users_of(kit));
        }
        found.sort_unstable();
        assert_eq!(&found, users, "modules that use {kit}, outside of tests");
    }
}

/// A crate with these files, and what is said about its modules in the order `low`, `high`.
fn said(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let (source, order) = (Crate::read("a", folder.path()), ["low".to_string(), "high".into()]);
    let uses = source.uses(&Vec::new());
    let wrong = against(&uses, &order).into_iter().map(|u| format!("{} uses {}", u.from, u.path));
    source.unlisted(&Vec::new(), &order).into_iter().chain(wrong).collect()
}

#[test]
fn a_use_against_the_order_is_found() {
    let lib = ("lib.rs", "mod low;\nmod high;\npub use high::Above;\n");
    let high = ("high.rs", "use crate::low::Below;\npub struct Above(Below);\n");
    let low = |text: &'static str| said(&[lib, high, ("low.rs", text)]);
    assert_eq!(low("pub struct Below;\n"), [""; 0]);
    let wrong = "low uses high::Above";
    for text in [
        "use crate::high::Above;\n",
        "use super::{high::Above};\n",
        "fn f() { let _: Option<crate::high::Above> = None; }\n",
        "fn f() { println!(\"{}\", crate::high::Above); }\n",
    ] {
        assert_eq!(low(text), [wrong], "{text}");
    }
    // By the name that the crate gives it, and from a module inside.
    assert_eq!(low("use crate::Above;\n"), ["low uses Above"]);
    let inner =
        [lib, high, ("low/mod.rs", "mod inner;\n"), ("low/inner.rs", "use super::super::high::Above;\n")];
    assert_eq!(said(&inner), ["low::inner uses high::Above"]);
    // Tests may use everything.
    assert_eq!(low("#[cfg(test)]\nmod tests {\n    use crate::high::Above;\n}\n"), [""; 0]);
}

#[test]
fn modules_and_table_are_the_same() {
    let none = ("low.rs", "");
    let missing = said(&[("lib.rs", "mod low;\n"), none]);
    assert_eq!(missing, ["the crate has no module high, which the table lists"]);
    let new = said(&[("lib.rs", "mod low;\nmod high;\nmod new;\n"), none, ("high.rs", ""), ("new.rs", "")]);
    assert_eq!(new, ["the crate has a module new that has no place in the table"]);
}

/// Where a crate's tests are one executable, a file that `tests/main.rs` does not name would never run.
#[test]
fn every_file_of_tests_is_in_its_executable() {
    let mut seen = 0;
    for room in table().crates {
        let folder = root().join(&room.folder);
        let Ok(main) = fs::read_to_string(folder.join("tests/main.rs")) else { continue };
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        for entry in fs::read_dir(folder.join("tests")).unwrap() {
            let path = entry.unwrap().path();
            let (Some(name), true) = (path.file_stem(), path.extension().is_some_and(|e| e == "rs")) else {
                continue;
            };
            let name = name.to_str().unwrap();
            let own = manifest.contains(&format!("[[test]]\nname = \"{name}\"\n"));
            let named = main.contains(&format!("\nmod {name};\n"));
            assert!(own || named || name == "main", "{}: not in tests/main.rs", path.display());
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen} files: the folders are not found");
}
