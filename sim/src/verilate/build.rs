//! From SystemVerilog to a shared library in the cache.

use super::VerilateError;
use super::cache::{self, io};
use super::compile::{self, Job};
use super::key::{self, Key};
use super::ports;
use super::spec::VerilateSpec;
use super::tools::Tools;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SHIM: &str = include_str!("../../cpp/accllm_shim.cpp");
const RUNTIME_HEADER: &str = include_str!("../../cpp/accllm_rt.h");
/// Name of the finished library in its cache folder.
const LIBRARY: &str = "model.so";
/// Generated code is compiled in pieces of at least and at most this many bytes.
const BUNDLE: (u64, u64) = (128 << 10, 1 << 20);

/// Returns the path of the model's shared library, building it if the cache has none.
pub fn library(spec: &VerilateSpec) -> Result<PathBuf, VerilateError> {
    spec.check()?;
    let tools = Tools::find()?;
    let args = verilator_args(spec);
    let flags = compile::flags(spec, &tools);
    let mut key = Key::default();
    key::toolchain(&tools, &mut key)?;
    key::design(spec, &tools, &args, &mut key)?;
    flags.iter().for_each(|f| {
        key.field(f);
    });
    key.field(compile::fast(spec)).field(SHIM).field(RUNTIME_HEADER);
    let folder = cache::once(&tools.cache, &key.finish(), |dir| build(spec, &tools, &args, &flags, dir))?;
    Ok(folder.join(LIBRARY))
}

/// Lints the design.
pub fn lint(spec: &VerilateSpec) -> Result<(), VerilateError> {
    spec.check()?;
    let tools = Tools::find()?;
    compile::run(
        Command::new(tools.verilator_bin())
            .current_dir(&tools.root)
            .env("VERILATOR_ROOT", &tools.verilator_root)
            .args(["--lint-only", "-Wall", "--no-timing", "--quiet", "--top-module", &spec.top])
            .args(params(spec))
            .args(&spec.sources),
        &spec.top,
    )
}

fn params(spec: &VerilateSpec) -> impl Iterator<Item = String> {
    spec.params.iter().map(|(name, value)| format!("-G{name}={value}"))
}

fn verilator_args(spec: &VerilateSpec) -> Vec<String> {
    let mut args: Vec<String> =
        ["--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-timing", "--prefix", "Vmodel"]
            .map(str::to_owned)
            .to_vec();
    args.push(if spec.asserts { "--assert" } else { "--no-assert" }.to_owned());
    args.extend(["--top-module".to_owned(), spec.top.clone()]);
    if spec.trace_fst {
        args.extend(["--trace-fst".to_owned(), "--trace-structs".to_owned()]);
    }
    args.extend(params(spec));
    args.extend(spec.include_dirs.iter().map(|dir| format!("-I{}", dir.display())));
    args.extend(spec.verilator_args.iter().cloned());
    args
}

fn build(
    spec: &VerilateSpec,
    tools: &Tools,
    args: &[String],
    flags: &[String],
    dir: &Path,
) -> Result<(), VerilateError> {
    if spec.trace_fst && !compile::has_trace_headers(tools, dir)? {
        return Err(VerilateError::NoTraceHeaders);
    }
    compile::run(
        Command::new(tools.verilator_bin())
            .current_dir(&tools.root)
            .env("VERILATOR_ROOT", &tools.verilator_root)
            .args(args)
            .arg("--Mdir")
            .arg(dir)
            .args(&spec.sources),
        &spec.top,
    )?;
    let header = read(&dir.join("Vmodel.h"))?;
    write(&dir.join("accllm_rt.h"), RUNTIME_HEADER)?;
    write(&dir.join("accllm_ports.inc"), &ports::table(&ports::parse(&header)))?;
    write(&dir.join("accllm_shim.cpp"), SHIM)?;

    let classes = Classes::parse(&read(&dir.join("Vmodel_classes.mk"))?);
    let runtime = runtime(spec, tools, flags, &classes.runtime)?;
    let mut fast = classes.fast;
    fast.push("accllm_shim".to_owned());
    let mut jobs = bundles(tools, dir, "fast", &fast, compile::fast(spec))?;
    jobs.extend(bundles(tools, dir, "slow", &classes.slow, "-O1")?);
    compile::objects(tools, &spec.top, flags, dir, &jobs)?;

    let mut link = Command::new(&tools.compiler);
    link.args(["-shared", "-pthread", "-Wl,-Bsymbolic", "-Wl,-z,defs", "-o"]).arg(dir.join(LIBRARY));
    link.args(jobs.iter().map(|j| &j.object));
    link.args(classes.runtime.iter().map(|name| runtime.join(format!("{name}.o"))));
    if spec.trace_fst {
        link.args(["-llz4", "-lz"]);
    }
    if tools.clang {
        link.arg("-latomic");
    }
    compile::run(&mut link, &spec.top)?;
    keep_only_library(dir)
}

/// The C++ files Verilator wrote, and the parts of its runtime they need.
#[derive(Default)]
struct Classes {
    fast: Vec<String>,
    slow: Vec<String>,
    runtime: Vec<String>,
}

impl Classes {
    fn parse(makefile: &str) -> Self {
        let mut classes = Self::default();
        let joined = makefile.replace("\\\n", " ");
        for line in joined.lines() {
            let Some((name, values)) = line.split_once("+=") else { continue };
            let list = match name.trim() {
                "VM_CLASSES_FAST" | "VM_SUPPORT_FAST" => &mut classes.fast,
                "VM_CLASSES_SLOW" | "VM_SUPPORT_SLOW" => &mut classes.slow,
                "VM_GLOBAL_FAST" | "VM_GLOBAL_SLOW" => &mut classes.runtime,
                _ => continue,
            };
            list.extend(values.split_whitespace().map(str::to_owned));
        }
        classes
    }
}

/// Groups generated files into translation units: few enough that the headers are not parsed over
/// and over, enough to keep every core busy when the model is large.
fn bundles(
    tools: &Tools,
    dir: &Path,
    label: &str,
    names: &[String],
    optimise: &'static str,
) -> Result<Vec<Job>, VerilateError> {
    let size = |name: &String| fs::metadata(dir.join(format!("{name}.cpp"))).map_or(0, |m| m.len());
    let total: u64 = names.iter().map(size).sum();
    let target = (total / (2 * tools.jobs() as u64)).clamp(BUNDLE.0, BUNDLE.1);
    let mut texts: Vec<(u64, String)> = Vec::new();
    for name in names {
        let bytes = size(name);
        if texts.last().is_none_or(|(held, _)| held + bytes > target) {
            texts.push((0, String::new()));
        }
        if let Some((held, text)) = texts.last_mut() {
            *held += bytes;
            text.push_str(&format!("#include \"{name}.cpp\"\n"));
        }
    }
    let mut jobs = Vec::new();
    for (i, (_, text)) in texts.iter().enumerate() {
        let source = dir.join(format!("bundle_{label}_{i}.cpp"));
        write(&source, text)?;
        jobs.push(Job { object: source.with_extension("o"), source, optimise });
    }
    Ok(jobs)
}

/// The Verilated runtime's objects, compiled once for each set of compiler and options.
fn runtime(
    spec: &VerilateSpec,
    tools: &Tools,
    flags: &[String],
    names: &[String],
) -> Result<PathBuf, VerilateError> {
    let mut key = Key::default();
    key::toolchain(tools, &mut key)?;
    for field in flags.iter().chain(names) {
        key.field(field);
    }
    key.field(compile::fast(spec)).field(RUNTIME_HEADER);
    cache::once(&tools.cache, &format!("runtime-{}", key.finish()), |dir| {
        write(&dir.join("accllm_rt.h"), RUNTIME_HEADER)?;
        let jobs: Vec<Job> = names
            .iter()
            .map(|name| Job {
                source: tools.include().join(format!("{name}.cpp")),
                object: dir.join(format!("{name}.o")),
                optimise: compile::fast(spec),
            })
            .collect();
        compile::objects(tools, "the Verilated runtime", flags, dir, &jobs)
    })
}

/// Generated sources and objects of a large design are many times the size of its library.
fn keep_only_library(dir: &Path) -> Result<(), VerilateError> {
    for entry in fs::read_dir(dir).map_err(io("list", dir))?.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|e| e == "o" || e == "cpp" || e == "d" || e == "dat") {
            fs::remove_file(&path).map_err(io("remove", &path))?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, VerilateError> {
    fs::read_to_string(path).map_err(io("read", path))
}

fn write(path: &Path, text: &str) -> Result<(), VerilateError> {
    fs::write(path, text).map_err(io("write", path))
}
