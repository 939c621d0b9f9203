//! Writes the generated files, or with `--check` fails where one differs from its table.

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let check = std::env::args().nth(1).as_deref() == Some("--check");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut failed = false;
    for (path, text) in accllm_hw::gen_files() {
        let full = root.join(path);
        if std::fs::read_to_string(&full).is_ok_and(|old| old == text) {
            continue;
        }
        if check {
            eprintln!("{path} differs from the tables in hw/src: run `make generate`");
            failed = true;
        } else if let Err(e) = std::fs::write(&full, text) {
            eprintln!("cannot write {path}: {e}");
            failed = true;
        } else {
            eprintln!("wrote {path}");
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
