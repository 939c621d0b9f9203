//! The description of a model to build.

use super::{Design, Model, VerilateError, build};
use std::path::PathBuf;

/// How hard the C++ compiler works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OptLevel {
    /// `-O3 -march=native`: long simulations.
    #[default]
    Fast,
    /// `-O1`: builds quickly, runs about three times slower.
    Quick,
}

/// A SystemVerilog top module and everything its build depends on.
#[derive(Debug, Clone)]
pub struct VerilateSpec {
    /// Name of the top module.
    pub top: String,
    /// Source files in compilation order (packages first). Relative paths start at the workspace root.
    pub sources: Vec<PathBuf>,
    /// Folders searched for `` `include `` files and for modules that no source defines.
    pub include_dirs: Vec<PathBuf>,
    /// Values for parameters of the top module, as SystemVerilog literals (`8`, `32'hff`, `"text"`).
    pub params: Vec<(String, String)>,
    /// Compiles FST wave dumping in (needs the lz4 and zlib headers).
    pub trace_fst: bool,
    /// Keeps the assertions of the design.
    pub asserts: bool,
    /// How hard the C++ compiler works.
    pub opt: OptLevel,
    /// The port that [`Model::cycle`] toggles.
    pub clock: String,
    /// Further Verilator options, after the standard ones.
    pub verilator_args: Vec<String>,
}

impl VerilateSpec {
    /// A specification of `top` with assertions on, no trace, and the clock port `clk`.
    pub fn new(top: impl Into<String>, sources: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Self {
            top: top.into(),
            sources: with_netlists(sources.into_iter().map(Into::into).collect()),
            include_dirs: Vec::new(),
            params: Vec::new(),
            trace_fst: false,
            asserts: true,
            opt: OptLevel::Fast,
            clock: "clk".to_owned(),
            verilator_args: Vec::new(),
        }
    }

    /// Adds a parameter value.
    pub fn param(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.params.push((name.into(), value.to_string()));
        self
    }

    /// Adds an include folder.
    pub fn include_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.include_dirs.push(dir.into());
        self
    }

    /// Chooses the clock port.
    pub fn clock(mut self, name: impl Into<String>) -> Self {
        self.clock = name.into();
        self
    }

    /// Compiles wave dumping in or out.
    pub fn trace_fst(mut self, on: bool) -> Self {
        self.trace_fst = on;
        self
    }

    /// Keeps or drops assertions.
    pub fn asserts(mut self, on: bool) -> Self {
        self.asserts = on;
        self
    }

    /// Chooses the optimisation level.
    pub fn opt(mut self, opt: OptLevel) -> Self {
        self.opt = opt;
        self
    }

    /// How hard the C++ compiler works: netlists are large, and run once.
    pub(super) fn effort(&self) -> OptLevel {
        match self.sources.iter().any(|source| source.ends_with(CELLS)) {
            true => OptLevel::Quick,
            false => self.opt,
        }
    }

    /// Lints the design with all warnings on, and builds nothing.
    ///
    /// # Errors
    /// No tools, or what Verilator says.
    pub fn lint(&self) -> Result<(), VerilateError> {
        build::lint(self)
    }

    /// Builds the model, or finds it in the cache, and loads it.
    pub fn load(&self) -> Result<Design, VerilateError> {
        Design::load(self)
    }

    /// [`VerilateSpec::load`] followed by [`Design::model`].
    pub fn build(&self) -> Result<Model, VerilateError> {
        self.load()?.model()
    }

    /// Refuses names that would become something else on a command line.
    pub(super) fn check(&self) -> Result<(), VerilateError> {
        let plain = |s: &str| {
            !s.is_empty()
                && !s.starts_with(|c: char| c.is_ascii_digit())
                && s.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let fail = |why: String| Err(VerilateError::Spec { top: self.top.clone(), why });
        if !plain(&self.top) {
            return fail(format!("the top name {:?} is not a SystemVerilog identifier", self.top));
        }
        if self.sources.is_empty() {
            return fail("no source files were given".to_owned());
        }
        for (name, value) in &self.params {
            if !plain(name) || value.is_empty() {
                return fail(format!("parameter {name:?} = {value:?} is not of the form NAME = literal"));
            }
        }
        Ok(())
    }
}

/// Models of the cells, beside the netlists.
const CELLS: &str = "cells.v";

/// The sources, with netlists in place of those that the folder in `ACCLLM_NETLIST` has one for, and the models of their
/// cells (`hw/synth/netlist.py`). So every test of the RTL can be run on what synthesis makes of it.
fn with_netlists(sources: Vec<PathBuf>) -> Vec<PathBuf> {
    let Some(folder) = std::env::var_os("ACCLLM_NETLIST").map(PathBuf::from) else {
        return sources;
    };
    let netlist = |source: &PathBuf| Some(folder.join(source.file_name()?)).filter(|file| file.is_file());
    let cells = sources.iter().any(|source| netlist(source).is_some()).then(|| folder.join(CELLS));
    sources.iter().map(|s| netlist(s).unwrap_or_else(|| s.clone())).chain(cells).collect()
}
