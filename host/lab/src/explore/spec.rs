//! The spec of a sweep: a TOML file, checked whole before anything is computed. See `docs/sweeps.md`.

use super::axis::{Axis, Target, check_work};
use super::format::Formats;
use super::metric::{KNOWN, Known, Needs, Rung, known};
use super::quality::{self, Quality};
use super::work::{Phase, Work};
use crate::shapes;
use crate::{Error, Result};
use accllm_hw::card::{self, Card};
use accllm_hw::config::{self, Config};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Attention shape of a work that gives none.
const SINKS: u64 = 4;
/// Attention shape of a work that gives none.
const WINDOW: u64 = 2044;

/// A spec as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    name: String,
    base: String,
    card: Option<String>,
    rung: Option<String>,
    quality: Option<quality::Text>,
    work: Vec<WorkText>,
    #[serde(default)]
    axes: toml::Table,
    objectives: toml::Table,
    #[serde(default)]
    constraints: toml::Table,
    #[serde(default)]
    search: Search,
}

/// A work as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkText {
    name: Option<String>,
    phase: String,
    shape: Option<String>,
    context: Option<u64>,
    prompt: Option<u64>,
    batch: Option<u64>,
    sinks: Option<u64>,
    window: Option<u64>,
    format: Option<toml::Value>,
    prob_bits: Option<u64>,
}

/// How points are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// All of them.
    Grid,
    /// A Latin hypercube: every value of every axis about equally often.
    Random,
    /// NSGA-II (Deb et al., 2002).
    Nsga2,
}

/// The search.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Search {
    /// How points are chosen.
    pub strategy: Strategy,
    /// How many, where not all.
    pub points: u64,
    /// Seed of random choices.
    pub seed: u64,
    /// Points of a generation of NSGA-II.
    pub population: usize,
    /// Folders of other sweeps: the best of their points begin the first generation.
    pub from: Vec<PathBuf>,
}

impl Default for Search {
    fn default() -> Self {
        Self { strategy: Strategy::Grid, points: 1000, seed: 1, population: 48, from: Vec::new() }
    }
}

/// What is to be best.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// The metric.
    pub metric: String,
    /// The largest is best; otherwise the smallest.
    pub largest: bool,
}

/// What a point must keep to be in the front.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraint {
    /// The metric.
    pub metric: String,
    /// At least this.
    pub min: f64,
    /// At most this.
    pub max: f64,
}

/// A checked spec.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Name.
    pub name: String,
    /// The file that it was read from.
    pub path: PathBuf,
    /// Configuration that axes change.
    pub base: Config,
    /// The card, where one is named and it is no axis.
    pub card: Option<Card>,
    /// Works, those fields that axes set holding the first value.
    pub works: Vec<Work>,
    /// What cycles are made by: the bound, or the timing model.
    pub rung: Rung,
    /// The checkpoint whose perplexity is a metric.
    pub quality: Option<Arc<Quality>>,
    /// For each work, the fields that it leaves to axes.
    pub open: Vec<Vec<&'static str>>,
    /// Axes, by name.
    pub axes: Vec<Axis>,
    /// Cards that the axis names, by its values.
    pub cards: Vec<Card>,
    /// Objectives, by name.
    pub objectives: Vec<Objective>,
    /// Constraints, by name.
    pub constraints: Vec<Constraint>,
    /// The search.
    pub search: Search,
}

impl Spec {
    /// Reads a spec; files that it names are found from its folder.
    ///
    /// # Errors
    /// The file cannot be read, or something in it has no meaning: which, where and what is accepted.
    pub fn open(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
        Self::parse(path, &text)
    }

    /// A spec from its text.
    ///
    /// # Errors
    /// As [`Spec::open`].
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let wrong = |what: String| Error::Argument(format!("{}: {what}", path.display()));
        let text: Text = toml::from_str(text).map_err(|e| wrong(e.to_string().trim_end().to_owned()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let axes = text.axes.iter().map(|(name, value)| Axis::parse(name, value));
        let axes = axes.collect::<std::result::Result<Vec<_>, _>>().map_err(wrong)?;
        let base_name = beside(folder, &text.base);
        let base = config::open(&base_name).map_err(|e| wrong(format!("base: {e}")))?;
        let named_card = match &text.card {
            Some(card) => Some(beside(folder, card)),
            None => config::card_of(&base_name)?.map(|c| c.to_string()),
        };
        let open = |name: &str| card::open(name).map_err(|e| wrong(format!("card: {e}")));
        let card = named_card.map(|c| open(&c)).transpose()?;
        let axis_of_cards = axes.iter().find(|a| a.target == Target::Card);
        let cards = axis_of_cards.map_or(Ok(Vec::new()), |a| {
            a.values.iter().map(|v| open(&beside(folder, &v.to_string()))).collect::<Result<Vec<_>>>()
        })?;
        let rung = match text.rung.as_deref() {
            None | Some("timing") => Rung::Timing,
            Some("bound") => Rung::Bound,
            Some(other) => return Err(wrong(format!("rung = '{other}' must be timing or bound"))),
        };
        let (works, open) = works(&text.work, &axes, folder).map_err(wrong)?;
        let quality = text.quality.map(|q| Quality::open(q, folder)).transpose();
        let quality = quality.map_err(|e| wrong(format!("quality: {e}")))?.map(Arc::new);
        let mut spec = Self {
            name: text.name,
            path: path.to_owned(),
            base,
            card,
            works,
            rung,
            quality,
            open,
            axes,
            cards,
            objectives: Vec::new(),
            constraints: Vec::new(),
            search: text.search,
        };
        spec.objectives = objectives(&spec, &text.objectives).map_err(wrong)?;
        spec.constraints = constraints(&spec, &text.constraints).map_err(wrong)?;
        spec.check().map_err(wrong)?;
        Ok(spec)
    }

    fn check(&self) -> std::result::Result<(), String> {
        let letter = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || !self.name.chars().all(letter) {
            return Err(format!("name = '{}' must be letters, digits, -, _ and .", self.name));
        }
        for axis in &self.axes {
            if let Target::Work(field) = axis.target
                && !self.open.iter().any(|fields| fields.contains(&field))
            {
                return Err(format!(
                    "axis {field} has no effect: every work that has it gives its own {field}"
                ));
            }
        }
        let size = self.size();
        if self.search.strategy == Strategy::Grid && size > 10_000_000 {
            return Err(format!(
                "a grid of {size} points is too large; take strategy = \"random\" or \"nsga2\""
            ));
        }
        if self.search.points == 0 || !(4..=10_000).contains(&self.search.population) {
            return Err("search: points must be 1 or more, population 4 to 10000".into());
        }
        Ok(())
    }

    /// Points of the grid.
    pub fn size(&self) -> u64 {
        self.axes.iter().fold(1u64, |n, a| n.saturating_mul(a.values.len() as u64))
    }

    /// Whether points have a card.
    pub fn has_card(&self) -> bool {
        self.card.is_some() || !self.cards.is_empty()
    }

    /// Whether the checkpoint has the shape of the work of that name, or perhaps will have, where that is an axis.
    fn scored(&self, name: Option<&str>) -> bool {
        let mut works = self.works.iter().zip(&self.open);
        let work = works.find(|(work, _)| Some(work.name.as_str()) == name);
        let (Some((work, open)), Some(quality)) = (work, &self.quality) else { return false };
        open.contains(&"shape") || quality.scores(&work.shape)
    }

    /// The metric of that name: `NAME.metric` of a work, or one of the point.
    ///
    /// # Errors
    /// There is none, or it needs a card; with the names that there are.
    pub fn metric(&self, name: &str) -> std::result::Result<&'static Known, String> {
        let (work, metric) = name.split_once('.').map_or((None, name), |(w, m)| (Some(w), m));
        let there = |work: &str| self.works.iter().any(|w| w.name == work);
        let found = known(metric, work.is_some()).filter(|_| work.is_none_or(there));
        match found {
            Some(k) if matches!(k.needs, Needs::Timing | Needs::Both) && self.rung != Rung::Timing => {
                Err(format!("{name} needs rung = \"timing\""))
            }
            Some(k) if matches!(k.needs, Needs::Card | Needs::Both) && !self.has_card() => {
                Err(format!("{name} needs a card: give `card = \"u280\"`, or an axis of cards"))
            }
            Some(k) if k.needs == Needs::Quality && self.quality.is_none() => {
                Err(format!("{name} needs a checkpoint: give `[quality]` with `model = \"FOLDER\"`"))
            }
            Some(k) if k.needs == Needs::Quality && !self.scored(work) => Err(format!(
                "{name}: the work's shape is not that of the checkpoint; give its config.json as the shape"
            )),
            Some(k) => Ok(k),
            None => {
                let names = |of_work| {
                    let all = KNOWN.iter().filter(|k| k.of_work == of_work);
                    all.map(|k| k.name).collect::<Vec<_>>().join(", ")
                };
                let works: Vec<_> = self.works.iter().map(|w| format!("{}.", w.name)).collect();
                Err(format!(
                    "no metric '{name}'; there are {}, and, after {}: {}",
                    names(false),
                    works.join(" or "),
                    names(true)
                ))
            }
        }
    }
}

/// A name of something built in, or a file as seen from `folder`.
pub fn beside(folder: &Path, name: &str) -> String {
    let file = name.contains('/') || Path::new(name).extension().is_some();
    if file { folder.join(name).display().to_string() } else { name.to_owned() }
}

type Works = (Vec<Work>, Vec<Vec<&'static str>>);

fn works(list: &[WorkText], axes: &[Axis], folder: &Path) -> std::result::Result<Works, String> {
    if list.is_empty() {
        return Err("work: give one or more".into());
    }
    let (mut works, mut open) = (Vec::<Work>::new(), Vec::new());
    for text in list {
        let (work, fields) = work(text, axes, folder)?;
        if works.iter().any(|w| w.name == work.name) {
            return Err(format!("work '{}' stands there twice; give each a name", work.name));
        }
        works.push(work);
        open.push(fields);
    }
    Ok((works, open))
}

/// A work, and the fields that it leaves to axes.
fn work(
    text: &WorkText,
    axes: &[Axis],
    folder: &Path,
) -> std::result::Result<(Work, Vec<&'static str>), String> {
    let name = text.name.clone().unwrap_or_else(|| text.phase.clone());
    if name.is_empty() || name.contains('.') {
        return Err(format!("work name '{name}' must not be empty or have a dot"));
    }
    let said = |e: String| format!("work {name}: {e}");
    let mut open = Vec::new();
    let mut left = |field: &'static str, given: bool| {
        let axis = axes.iter().find(|a| a.target == Target::Work(field)).filter(|_| !given);
        open.extend(axis.map(|_| field));
        axis.and_then(|a| a.values.first()).cloned()
    };
    let mut number = |field: &'static str, given: Option<u64>| {
        let value = left(field, given.is_some()).and_then(|v| v.number()).map(|v| v as u64);
        given.or(value).map(|n| check_work(field, n).map(|()| n)).transpose().map_err(said)
    };
    let need = |what: &str| said(format!("no {what}: give it here or as an axis"));
    let phase = match text.phase.as_str() {
        "decode" if text.prompt.is_none() => {
            Phase::Decode { context: number("context", text.context)?.ok_or_else(|| need("context"))? }
        }
        "prefill" if text.context.is_none() && text.batch.is_none() => {
            Phase::Prefill { prompt: number("prompt", text.prompt)?.ok_or_else(|| need("prompt"))? }
        }
        "decode" => return Err(said("decode has no prompt".into())),
        "prefill" => return Err(said("prefill has no context and no batch".into())),
        other => return Err(said(format!("phase '{other}' is neither decode nor prefill"))),
    };
    let batch = match phase {
        Phase::Decode { .. } => number("batch", text.batch)?.unwrap_or(1) as usize,
        Phase::Prefill { .. } => 1,
    };
    let sinks = number("sinks", text.sinks)?.unwrap_or(SINKS) as usize;
    let window = number("window", text.window)?.unwrap_or(WINDOW) as usize;
    let prob_bits = number("prob_bits", text.prob_bits)?.unwrap_or(16) as usize;
    let axis_shape = left("shape", text.shape.is_some()).map(|v| v.to_string());
    let shape = text.shape.clone().or(axis_shape).ok_or_else(|| need("shape"))?;
    let shape = beside(folder, &shape);
    shapes::open(&shape).map_err(|e| said(e.to_string()))?;
    let format = match (&text.format, left("format", text.format.is_some())) {
        (Some(format), _) => Formats::parse(format).map_err(said)?,
        (None, Some(super::axis::Value::Format(format))) => format,
        (None, _) => Formats::default(),
    };
    Ok((Work { name: name.clone(), shape, phase, batch, sinks, window, format, prob_bits }, open))
}

fn objectives(spec: &Spec, table: &toml::Table) -> std::result::Result<Vec<Objective>, String> {
    if table.is_empty() {
        return Err("objectives: give one or more, for example \"decode.tokens_per_s\" = \"max\"".into());
    }
    let each = table.iter().map(|(metric, way)| {
        spec.metric(metric).map_err(|e| format!("objectives: {e}"))?;
        match way.as_str() {
            Some("max") => Ok(Objective { metric: metric.clone(), largest: true }),
            Some("min") => Ok(Objective { metric: metric.clone(), largest: false }),
            _ => Err(format!("objectives: {metric} = {way} must be \"max\" or \"min\"")),
        }
    });
    each.collect()
}

fn constraints(spec: &Spec, table: &toml::Table) -> std::result::Result<Vec<Constraint>, String> {
    let number = |v: &toml::Value| v.as_float().or_else(|| v.as_integer().map(|i| i as f64));
    let each = table.iter().map(|(metric, rule)| {
        spec.metric(metric).map_err(|e| format!("constraints: {e}"))?;
        let wrong =
            || format!("constraints: {metric} = {rule} must be true, false, or {{ min, max }} with numbers");
        let (min, max) = match rule {
            toml::Value::Boolean(yes) => (f64::from(u8::from(*yes)), f64::from(u8::from(*yes))),
            toml::Value::Table(t) if !t.is_empty() && t.keys().all(|k| k == "min" || k == "max") => {
                let side = |key, other| t.get(key).map_or(Some(other), number);
                let sides = (side("min", f64::NEG_INFINITY), side("max", f64::INFINITY));
                let (Some(min), Some(max)) = sides else { return Err(wrong()) };
                (min, max)
            }
            _ => return Err(wrong()),
        };
        if min.is_nan() || max.is_nan() || min > max {
            return Err(format!("constraints: {metric} cannot be at least {min} and at most {max}"));
        }
        Ok(Constraint { metric: metric.clone(), min, max })
    });
    each.collect()
}
