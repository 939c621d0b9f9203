//! Writes the generated files; with `--check` fails where one differs from its table; with `--params NAME` prints the
//! parameters of `accllm_core` for that configuration (a name or a file) as Verilator options; with `--vitis NAME FOLDER`
//! writes the Vitis package of that configuration.

// Nothing panics on input: what fails is an error value.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo, clippy::unimplemented)
)]

use accllm_hw::kernel::{Kernel, vitis};
use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name] = &args[..]
        && flag == "--params"
    {
        return params(name);
    }
    if let [flag, name, folder] = &args[..]
        && flag == "--vitis"
    {
        return package(name, Path::new(folder));
    }
    let check = args.first().is_some_and(|a| a == "--check");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut failed = false;
    for (path, text) in accllm_hw::gen_files() {
        let full = root.join(&path);
        if std::fs::read_to_string(&full).is_ok_and(|old| old == text) {
            continue;
        }
        if check {
            eprintln!("{path} differs from the tables in hw/src: run `make generate`");
            failed = true;
        } else if let Err(e) = write(&full, &text) {
            eprintln!("cannot write {path}: {e}");
            failed = true;
        } else {
            eprintln!("wrote {path}");
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
}

fn package(name: &str, folder: &Path) -> ExitCode {
    let files = match accllm_hw::config::open(name) {
        Ok(config) => vitis::files(&Kernel::new(&config)),
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::FAILURE;
        }
    };
    for (name, text) in files {
        if let Err(e) = write(&folder.join(&name), &text) {
            eprintln!("cannot write {name} to {}: {e}", folder.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn params(name: &str) -> ExitCode {
    match accllm_hw::config::open(name) {
        Ok(config) => {
            let all: Vec<_> = config.rtl_params().iter().map(|(n, v)| format!("-G{n}={v}")).collect();
            println!("{}", all.join(" "));
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
