//! Functions are short, and each of their parameters has a name of its own.

use accllm_order::{Function, Table, functions};
use std::fs;
use std::path::Path;

/// The most lines of a function, from its name to its last brace.
const LINES: usize = 60;

/// The functions of all crates, sources and tests.
fn all() -> Vec<Function> {
    let order = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = order.join("../..");
    let table = Table::read(&order.join("rooms.toml"));
    let rooms = table.crates.iter().map(|c| root.join(&c.folder));
    let folders = rooms.flat_map(|room| ["src", "tests", "examples"].map(|inside| room.join(inside)));
    let folders = folders.chain([root.join("tests/src"), root.join("tests/whole"), order.to_path_buf()]);
    folders.filter(|f| f.is_dir()).flat_map(|f| functions(&f)).collect()
}

fn list<'a>(of: impl Iterator<Item = &'a Function>) -> String {
    of.map(|f| format!("{}:{}: {} ({} lines)\n", f.file.display(), f.line, f.name, f.lines)).collect()
}

#[test]
fn functions_are_short() {
    let mut all = all();
    all.sort_by_key(|f| f.lines);
    let (first, last) = (all.first().unwrap(), all.last().unwrap());
    println!("{} functions, the longest: {}", all.len(), list([last].into_iter()));
    assert!(all.len() > 3000 && first.lines == 1, "{} functions: the reader does not see them", all.len());
    let long = list(all.iter().filter(|f| f.lines > LINES));
    assert!(long.is_empty(), "longer than {LINES} lines:\n{long}");
}

#[test]
fn parameters_have_names() {
    let all = all();
    let tuples = list(all.iter().filter(|f| f.tuples > 0));
    assert!(
        tuples.is_empty(),
        "parameters hidden in a tuple; give them a struct or plain parameters:\n{tuples}"
    );
}

#[test]
fn a_long_function_and_a_hidden_parameter_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let text = "impl A {\n    fn long(&self, (a, b): (u8, u8)) {\n        f(|(x, y)| x);\n\n    }\n}\n\nfn short() {}\n";
    fs::create_dir(folder.path().join("inside")).unwrap();
    fs::write(folder.path().join("inside/a.rs"), text).unwrap();
    let found = functions(folder.path());
    let found: Vec<_> = found.iter().map(|f| (&*f.name, f.line, f.lines, f.tuples)).collect();
    assert_eq!(found, [("long", 2, 4, 1), ("short", 8, 1, 0)]);
}
