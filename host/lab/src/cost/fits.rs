//! `hw/synth/fits.json`: formulas of each unit's resources, made by `python3 hw/synth fit` from the points of synthesis.

use super::formula::{Formula, FormulaError, Values};
use super::resources::Resources;
use accllm_hw::config::{Config, FIELDS};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A part of the engine, by which reports sum up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Tiles, their control, what brings data to them and results from them.
    Matrix,
    /// The vector unit.
    Vector,
    /// Readers and writers of the memories, and the prefetcher.
    Memory,
    /// Activation and score buffers, vector memory, scalar file.
    Buffers,
    /// Program, registers, issue of operations.
    Control,
}

/// The largest relative error of a formula.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// Over the points it was fitted to.
    pub fitted: f64,
    /// Over those held out.
    pub held: f64,
}

/// A unit's formulas.
#[derive(Debug)]
pub struct Fit {
    /// Name: the module, and what tells it from other uses of the module.
    pub unit: String,
    /// Where it belongs.
    pub part: Part,
    /// Instances, of the configuration's fields.
    count: Formula,
    /// Parameters of the module, of the configuration's fields.
    with: Vec<(String, Formula)>,
    /// What is derived from the parameters.
    derived: Vec<(String, Formula)>,
    resources: [Option<Formula>; 7],
    /// The formulas as text, by resource.
    pub formulas: BTreeMap<String, String>,
    /// Points that it was fitted to, and points held out.
    pub points: [usize; 2],
    /// Its name in the records of configurations.
    pub record: String,
    /// Hashes of the sources that its points are of.
    pub sources: Vec<String>,
    /// By resource.
    pub errors: BTreeMap<String, Errors>,
    /// Levels of logic and nanoseconds of the slowest path of all its points; none where it has units inside, as paths
    /// go through these.
    pub slowest: Option<(u32, f64)>,
}

/// As in the file.
#[derive(Deserialize)]
struct Entry {
    unit: String,
    part: Part,
    count: String,
    with: Vec<(String, String)>,
    #[serde(rename = "let")]
    derived: Vec<(String, String)>,
    resources: BTreeMap<String, String>,
    points: usize,
    held: usize,
    record: String,
    sources: Vec<String>,
    errors: BTreeMap<String, Errors>,
    levels: Option<u32>,
    ns: Option<f64>,
}

/// The file.
#[derive(Deserialize)]
struct File {
    units: Vec<Entry>,
    worst: BTreeMap<String, Worst>,
}

/// The slowest path of a configuration, out of the records of its synthesis: *estimated*, without placement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Worst {
    /// The unit that it is in, or that it begins in.
    pub unit: String,
    /// Its length.
    pub ns: f64,
    /// LUTs, carry chains, and multipliers or memories without registers on it.
    pub levels: u32,
    /// Units that have records.
    pub units: usize,
    /// What the RTL's parameters were.
    #[serde(skip_serializing)]
    parameters: BTreeMap<String, String>,
}

/// All units, in the order of `hw/synth/area.toml`, and slowest paths by name of the configuration.
pub static FITS: LazyLock<(Vec<Fit>, BTreeMap<String, Worst>)> = LazyLock::new(|| {
    // The file is part of the program; a test reads it.
    read(include_str!("../../../../hw/synth/fits.json"))
        .unwrap_or_else(|e| unreachable!("hw/synth/fits.json: {e}"))
});

fn read(text: &str) -> Result<(Vec<Fit>, BTreeMap<String, Worst>), String> {
    let file: File = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let units = file.units.into_iter().map(|e| fit(e).map_err(|e| e.to_string()));
    Ok((units.collect::<Result<_, _>>()?, file.worst))
}

/// The slowest path of a configuration, where the records are of its parameters.
pub fn worst(config: &Config) -> Option<&'static Worst> {
    let worst = FITS.1.get(&config.name[..])?;
    let same = |(_, name, value): (_, &str, usize)| {
        worst.parameters.get(name).is_some_and(|v| *v == value.to_string())
    };
    config.params().all(same).then_some(worst)
}

fn fit(e: Entry) -> Result<Fit, FormulaError> {
    let all = |list: Vec<(String, String)>| {
        list.into_iter().map(|(name, text)| Ok((name, Formula::parse(&text)?))).collect::<Result<Vec<_>, _>>()
    };
    let mut resources = [const { None }; 7];
    for (slot, name) in resources.iter_mut().zip(Resources::NAMES) {
        *slot = e.resources.get(name).map(|text| Formula::parse(text)).transpose()?;
    }
    Ok(Fit {
        unit: e.unit,
        part: e.part,
        count: Formula::parse(&e.count)?,
        with: all(e.with)?,
        derived: all(e.derived)?,
        resources,
        formulas: e.resources,
        points: [e.points, e.held],
        record: e.record,
        sources: e.sources,
        errors: e.errors,
        slowest: e.levels.zip(e.ns),
    })
}

impl Fit {
    /// Instances in an engine.
    pub(super) fn count(&self, fields: &Values) -> Result<f64, FormulaError> {
        self.count.value(fields)
    }

    /// Parameters of the module in an engine.
    pub(super) fn parameters(&self, fields: &Values) -> Result<Values, FormulaError> {
        self.with.iter().map(|(name, f)| Ok((name.clone(), f.value(fields)?))).collect()
    }

    /// Resources of one instance with these parameters of its module. What a fit gives below 0 is 0.
    ///
    /// # Errors
    /// A parameter that a formula has is missing.
    pub fn at(&self, parameters: &Values) -> Result<Resources, FormulaError> {
        let mut values = parameters.clone();
        for (name, formula) in &self.derived {
            values.push((name.clone(), formula.value(&values)?));
        }
        let mut found = [0.0; 7];
        for (value, formula) in found.iter_mut().zip(&self.resources) {
            *value = formula.as_ref().map_or(Ok(0.0), |f| f.value(&values))?.max(0.0);
        }
        Ok(Resources::from_values(found))
    }
}

/// The fields of a configuration by name.
pub(super) fn fields(config: &Config) -> Values {
    FIELDS.iter().zip(config.values()).map(|(f, v)| (f.name.to_owned(), v as f64)).collect()
}
