//! Every assertion of the RTL has been seen to fire: a table (`assertions/table.toml`) has a fault for each, one model of the
//! engine has them all, and each in turn must end a short run with the message of its assertion alone.

use super::ctrl::whole;
use accllm_hw::config::Config;
use accllm_hw::isa::{ARGS, FLAG_FIRST, Instr, Op};
use accllm_sim::engine::{Engine, EngineDesign, EngineError, EngineSpec, RunReport, Silent};
use accllm_sim::golden::Image;
use accllm_sim::verilate::{OptLevel, SimError};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// One change of a source.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    file: Option<String>,
    find: String,
    replace: String,
}

/// An assertion, and the fault that it must find.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Assertion {
    #[serde(rename = "in")]
    file: String,
    text: String,
    #[serde(default)]
    edits: Vec<Edit>,
    why: Option<String>,
}

/// Modules that have registers and no assertion.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Without {
    of: Vec<String>,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    assertion: Vec<Assertion>,
    #[serde(default)]
    without: Vec<Without>,
}

fn table() -> Outcome<Table> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rtl/assertions/table.toml");
    Ok(toml::from_str(&fs::read_to_string(path)?)?)
}

fn rtl() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../hw/rtl")
}

/// The sources of the engine, without comments where `code` is set.
fn sources(code: bool) -> Outcome<BTreeMap<String, String>> {
    let list = include_str!("../../../hw/rtl/files.f").lines().map(str::trim);
    let files = list.filter(|l| !l.is_empty() && !l.starts_with('#'));
    let read = |file: &str| -> Outcome<(String, String)> {
        let text = fs::read_to_string(rtl().join(file))?;
        let line = |l: &str| l.split("//").next().unwrap_or_default().to_owned() + "\n";
        Ok((file.to_owned(), if code { text.lines().map(line).collect() } else { text }))
    };
    files.map(read).collect()
}

/// The messages of a source's assertions.
fn messages(file: &str, text: &str) -> Outcome<Vec<String>> {
    let mut found = Vec::new();
    for part in text.split("assert (").skip(1) {
        let message = part.split_once("else $error(\"").and_then(|(condition, rest)| {
            // It belongs to this assertion, not to a later statement.
            (!condition.contains(';')).then(|| rest.split('"').next().unwrap_or_default().to_owned())
        });
        found.push(message.ok_or_else(|| format!("{file}: an assertion without a message: {part:.60}"))?);
    }
    Ok(found)
}

#[test]
fn the_table_has_every_assertion_and_every_module_with_registers() -> Outcome {
    let table = table()?;
    let mut known = BTreeSet::new();
    for a in &table.assertion {
        assert!(
            known.insert((a.file.clone(), a.text.clone())),
            "{}: '{}' stands twice in the table",
            a.file,
            a.text
        );
        assert!(a.edits.is_empty() == a.why.is_some(), "{}: '{}' needs edits or a reason", a.file, a.text);
    }
    let mut without: BTreeSet<&str> = table.without.iter().flat_map(|w| &w.of).map(String::as_str).collect();
    assert!(table.without.iter().all(|w| !w.why.is_empty()));
    for (file, text) in sources(true)? {
        let found = messages(&file, &text)?;
        let asserts = !found.is_empty();
        for message in found {
            let key = (file.clone(), message);
            assert!(known.remove(&key), "{file}: '{}' is not in the table", key.1);
        }
        let module = Path::new(&file).file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        if text.contains("always_ff") && !asserts {
            assert!(
                without.remove(module),
                "{file} has registers and no assertion, and no reason in the table"
            );
        }
    }
    assert!(known.is_empty(), "the table has assertions that are not in the RTL: {known:?}");
    assert!(without.is_empty(), "modules that need no reason: {without:?}");
    Ok(())
}

/// Writes the sources with all faults in them, and a port of the core that chooses one: 1 is the table's first.
fn write_with_faults(table: &Table, folder: &Path) -> Outcome {
    let texts = sources(false)?;
    let mut changes: BTreeMap<&str, Vec<(usize, usize, String)>> = BTreeMap::new();
    for (i, a) in table.assertion.iter().enumerate() {
        for e in &a.edits {
            let file = e.file.as_deref().unwrap_or(&a.file);
            let text = texts.get(file).ok_or_else(|| format!("'{}': no file {file}", a.text))?;
            let (at, n) = (text.find(&e.find).unwrap_or(0), text.matches(&e.find).count());
            if n != 1 || !e.replace.contains('@') || e.find.contains("assert") {
                return Err(format!("'{}': {file} has {n} times {:?}; one is needed, outside assertions, and '@' in its place", a.text, e.find).into());
            }
            let with = e.replace.replace('@', &format!("(accllm_core.fault_chosen == 16'd{})", i + 1));
            changes.entry(file).or_default().push((at, at + e.find.len(), with));
        }
    }
    let port = "    input  logic                            ap_clk,\n";
    let at = texts["top/accllm_core.sv"].find(port).ok_or("the core's ports have changed")?;
    changes.entry("top/accllm_core.sv").or_default().push((
        at,
        at,
        "input logic [15:0] fault_chosen, ".into(),
    ));
    for (file, text) in &texts {
        let mut all = changes.remove(file.as_str()).unwrap_or_default();
        all.sort();
        if let Some(w) = all.windows(2).find(|w| w[0].1 > w[1].0) {
            return Err(
                format!("{file}: two faults change the same place: {:?} and {:?}", w[0].2, w[1].2).into()
            );
        }
        let mut text = text.clone();
        all.iter().rev().for_each(|(from, to, with)| text.replace_range(*from..*to, with));
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, text)?;
    }
    fs::copy(rtl().join("lint.vlt"), folder.join("lint.vlt"))?;
    Ok(())
}

/// Operations that a layer has not: long ones, and those that come close after each other.
fn long_ones() -> Vec<Instr> {
    let i = Instr::default;
    let op = |op: Op, i: Instr| Instr { op: op as u8, ..i };
    let constants = [64, 4, 40, 64, 32, 2, 96, 9, 64];
    let setc = constants.iter().enumerate().map(|(x, &a)| op(Op::SETC, Instr { a, x: x as u8, ..i() }));
    let softmax = |m| {
        let aux = 16 << 16 | 16;
        op(Op::SOFTMAX, Instr { a: 60, b: 3, c: 32, n: 64, m, k: 900, sh: 22, x: 1, aux, ..i() })
    };
    let mut p: Vec<Instr> = setc.collect();
    p.push(op(Op::LOAD, Instr { c: 0, n: 1024, signal: [4, 0], ..i() }));
    p.push(op(Op::SILU, Instr { a: 0, b: 0, c: 60, n: 1024, sh: 12, x: 1, ..i() }));
    p.extend([softmax(0), softmax(0)]);
    p.push(op(Op::ATTQ, Instr { a: 0, b: 24, c: 48, n: 64, k: 300, sh: 14, x: 1, ..i() }));
    p.push(op(Op::STORE, Instr { a: 0, c: 6000, n: 1024, ..i() }));
    p.push(op(Op::LOAD, Instr { c: 0, n: 32, ..i() }));
    p.push(op(Op::ARGMAX, Instr { a: 0, n: 32, flags: FLAG_FIRST, ..i() }));
    p.push(op(Op::END, i()));
    p
}

/// How a run ended.
enum Stop {
    Ended(RunReport),
    /// It did not; a fault may do that.
    Hung,
    Assertion(String),
}

fn stopped(run: Result<RunReport, EngineError>) -> Outcome<Stop> {
    match run {
        Ok(report) => Ok(Stop::Ended(report)),
        Err(EngineError::Hang { .. } | EngineError::Register { .. }) => Ok(Stop::Hung),
        Err(EngineError::Sim(SimError::Failed { text, .. })) => Ok(Stop::Assertion(text)),
        Err(e) => Err(e.into()),
    }
}

struct Bench {
    design: EngineDesign,
    config: &'static Config,
    image: Image,
    programs: [Vec<Instr>; 2],
}

impl Bench {
    fn run(&self, engine: &mut Engine, program: &[Instr]) -> Result<RunReport, EngineError> {
        whole::prepare(engine, &self.image).map_err(|e| match e.downcast::<EngineError>() {
            Ok(e) => *e,
            Err(e) => panic!("{e}"),
        })?;
        engine.load_program(whole::PROGRAM, program)?;
        let mut args = [0; ARGS];
        args[..4].copy_from_slice(&[0, 60, 6, 0]);
        engine.run(args, 60_000, &mut Silent)
    }

    /// What the runs with one fault say: the first that an assertion stops.
    fn with(&self, fault: usize) -> Outcome<Option<String>> {
        for seed in [0, 1, 2] {
            for program in &self.programs {
                let memories = whole::memories(self.config, seed)?;
                let mut engine = self.design.engine(memories)?;
                let port = engine.model_mut().port_shaped("fault_chosen", 16, 1)?;
                engine.model_mut().set_u64(port, fault as u64);
                match stopped(self.run(&mut engine, program))? {
                    Stop::Assertion(text) => return Ok(Some(text)),
                    Stop::Ended(report) if fault == 0 && !report.ok() => {
                        return Err(format!("without a fault: {:?}", report.fault()).into());
                    }
                    _ => {}
                }
            }
        }
        Ok(None)
    }
}

/// Whether a line of the simulator is the message of this assertion; `%0d` and the like stand for any text.
fn says(line: &str, a: &Assertion) -> bool {
    let name = a.file.rsplit('/').next().unwrap_or_default();
    let mut rest = match line.split_once(&format!("{name}:")) {
        Some((_, rest)) => rest,
        None => return false,
    };
    let literals = a.text.split('%').enumerate().map(|(i, part)| match i {
        0 => part,
        _ => part.trim_start_matches(|c: char| c.is_ascii_digit()).get(1..).unwrap_or_default(),
    });
    for part in literals {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[test]
fn every_assertion_fires_on_its_fault_and_none_without() -> Outcome {
    let table = table()?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rtl-with-faults");
    write_with_faults(&table, &folder)?;
    let config = whole::config()?;
    let (layer, image) = whole::layer(config, 1)?;
    let design = EngineSpec::new(config).opt(OptLevel::Quick).trace(false).rtl(&folder).design()?;
    let bench = Bench { design, config, image, programs: [layer, long_ones()] };
    assert_eq!(bench.with(0)?, None, "without a fault");
    let mut wrong = Vec::new();
    for (i, a) in table.assertion.iter().enumerate().filter(|(_, a)| !a.edits.is_empty()) {
        let name = format!("{}: '{}'", a.file, a.text);
        match bench.with(i + 1)? {
            None => wrong.push(format!("{name} does not fire")),
            Some(text) => {
                let mut lines = text.lines().filter(|l| l.contains("%Error"));
                if !lines.clone().any(|l| says(l, a)) || !lines.all(|l| says(l, a)) {
                    wrong
                        .push(format!("{name} is not the one that fires:\n  {}", text.replace('\n', "\n  ")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), table.assertion.len(), wrong.join("\n"));
    Ok(())
}
