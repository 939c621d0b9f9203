//! Compiling C++ on all cores.

use super::VerilateError;
use super::cache::io;
use super::spec::{OptLevel, VerilateSpec};
use super::tools::Tools;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// Lines of a failed tool's output that are reported.
const MESSAGE_LINES: usize = 25;

/// One translation unit.
pub struct Job {
    /// The C++ file.
    pub source: PathBuf,
    /// The object to write.
    pub object: PathBuf,
    /// `-O3`, `-O1`.
    pub optimise: &'static str,
}

/// Options shared by the model and the runtime.
pub fn flags(spec: &VerilateSpec, tools: &Tools) -> Vec<String> {
    let trace = u8::from(spec.trace_fst);
    let mut flags: Vec<String> =
        ["-std=c++17", "-fPIC", "-fvisibility=hidden", "-fvisibility-inlines-hidden", "-pthread", "-w"]
            .map(str::to_owned)
            .to_vec();
    if spec.opt == OptLevel::Fast {
        flags.push("-march=native".to_owned());
    }
    if !tools.clang {
        // Unique symbols would be shared between two loaded models.
        flags.push("-fno-gnu-unique".to_owned());
    }
    for define in [
        "VERILATOR=1",
        "VM_COVERAGE=0",
        "VM_SC=0",
        "VM_TIMING=0",
        "VM_TRACE_VCD=0",
        "VM_TRACE_SAIF=0",
        "VL_TIME_CONTEXT",
        "VL_USER_STOP",
        "VL_USER_FATAL",
        "VL_USER_FINISH",
        "VL_USER_WARN",
    ] {
        flags.push(format!("-D{define}"));
    }
    flags.push(format!("-DVM_TRACE={trace}"));
    flags.push(format!("-DVM_TRACE_FST={trace}"));
    let include = tools.include();
    flags.push(format!("-I{}", include.display()));
    flags.push(format!("-I{}", include.join("vltstd").display()));
    flags
}

/// The optimisation option for code that runs every cycle.
pub fn fast(spec: &VerilateSpec) -> &'static str {
    match spec.effort() {
        OptLevel::Fast => "-O3",
        OptLevel::Quick => "-O1",
    }
}

/// Compiles every job; the first failure wins.
pub fn objects(
    tools: &Tools,
    top: &str,
    flags: &[String],
    include: &Path,
    jobs: &[Job],
) -> Result<(), VerilateError> {
    let next = Mutex::new(jobs.iter());
    let failure = Mutex::new(None);
    let worker = || {
        loop {
            let job = match next.lock() {
                Ok(mut queue) => queue.next(),
                Err(_) => None,
            };
            let Some(job) = job else { return };
            let result = run(
                Command::new(&tools.compiler)
                    .args(flags)
                    .arg(job.optimise)
                    .arg(format!("-I{}", include.display()))
                    .arg("-include")
                    .arg(include.join("accllm_rt.h"))
                    .arg("-c")
                    .arg(&job.source)
                    .arg("-o")
                    .arg(&job.object),
                top,
            );
            if let (Err(error), Ok(mut slot)) = (result, failure.lock()) {
                slot.get_or_insert(error);
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..tools.jobs().min(jobs.len()) {
            scope.spawn(worker);
        }
    });
    match failure.into_inner() {
        Ok(Some(error)) => Err(error),
        _ => Ok(()),
    }
}

/// Runs a tool and turns a bad exit into an error with the first lines it wrote.
pub fn run(command: &mut Command, top: &str) -> Result<(), VerilateError> {
    let program = PathBuf::from(command.get_program());
    let output = command.stdin(Stdio::null()).output().map_err(io("run", &program))?;
    if output.status.success() {
        return Ok(());
    }
    let mut text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stdout));
    // Errors first: they are what has to be mended.
    let is_error = |l: &&str| l.contains("%Error") || l.contains("error:");
    let (errors, others): (Vec<&str>, Vec<&str>) = text.lines().partition(is_error);
    let mut message: Vec<&str> = errors.into_iter().chain(others).take(MESSAGE_LINES).collect();
    if message.is_empty() {
        message.push("(it printed nothing)");
    }
    let tool = program.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    Err(VerilateError::Tool {
        tool: format!("{tool} ({})", output.status),
        top: top.to_owned(),
        message: message.join("\n"),
    })
}

/// Whether the headers of the FST writer are installed.
pub fn has_trace_headers(tools: &Tools, scratch: &Path) -> Result<bool, VerilateError> {
    let probe = scratch.join("accllm_probe.cpp");
    fs::write(&probe, "#include <lz4.h>\n#include <zlib.h>\n").map_err(io("write", &probe))?;
    let status = Command::new(&tools.compiler)
        .arg("-fsyntax-only")
        .arg(&probe)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(io("run", &tools.compiler))?;
    Ok(status.success())
}
