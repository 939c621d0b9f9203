//! A point of a sweep: one value of every axis, what that makes of configuration, card and works, and its key.

use super::axis::{Target, Value};
use super::metric::Rung;
use super::name::{beside, hex};
use super::quality::Quality;
use super::spec::Spec;
use super::work::{Phase, Work};
use crate::shapes;
use accllm_hw::card::{self, Card};
use accllm_hw::config::{Config, Name};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Hash of everything that the evaluators are made of, from the build (`build.rs`).
pub const TOOL: &str = env!("ACCLLM_EVALUATORS");
/// Hash of the RTL.
pub const RTL: &str = env!("ACCLLM_RTL");

/// Which value of every axis.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Choice(pub Vec<u32>);

/// What is evaluated.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Values by the names of the axes.
    pub parameters: BTreeMap<String, Value>,
    /// The engine; its rules are not checked yet.
    pub config: Config,
    /// The card.
    pub card: Option<Card>,
    /// The works.
    pub works: Vec<Work>,
    /// What cycles are made by.
    pub rung: Rung,
    /// The checkpoint whose perplexity is a metric.
    pub quality: Option<Arc<Quality>>,
}

impl Spec {
    /// The point of that number in the grid; the last axis changes fastest.
    pub fn choice(&self, index: u64) -> Choice {
        let mut rest = index;
        let mut digits: Vec<u32> = Vec::with_capacity(self.axes.len());
        for axis in self.axes.iter().rev() {
            let n = axis.values.len() as u64;
            digits.push((rest % n) as u32);
            rest /= n;
        }
        digits.reverse();
        Choice(digits)
    }

    /// Its number in the grid.
    pub fn index(&self, choice: &Choice) -> u64 {
        let digits = self.axes.iter().zip(&choice.0);
        digits.fold(0u64, |n, (a, &d)| n.wrapping_mul(a.values.len() as u64).wrapping_add(u64::from(d)))
    }

    /// What a choice makes.
    pub fn candidate(&self, choice: &Choice) -> Candidate {
        let values = self.axes.iter().zip(&choice.0).map(|(a, &i)| a.values[i as usize].clone());
        self.with(values.collect())
    }

    /// What these values of the axes make.
    pub fn with(&self, values: Vec<Value>) -> Candidate {
        let (mut fields, mut card, mut works) = (self.base.values(), self.card.clone(), self.works.clone());
        for (axis, value) in self.axes.iter().zip(&values) {
            match (axis.target, value) {
                (Target::Config(field), Value::Number(n)) => fields[field] = *n as usize,
                (Target::Card, value) => {
                    let at = axis.values.iter().position(|v| v == value);
                    let open = || card::open(&beside(self.folder(), &value.to_string())).ok();
                    card = at.and_then(|at| self.cards.get(at).cloned()).or_else(open);
                }
                (Target::Work(field), value) => {
                    let open = works.iter_mut().zip(&self.open).filter(|(_, fields)| fields.contains(&field));
                    open.for_each(|(work, _)| set(work, field, value));
                }
                (Target::Config(_), _) => {}
            }
        }
        let mut config = self.base.with_values(fields);
        if config.values() != self.base.values() {
            config.name = name(&config);
        }
        let parameters = self.axes.iter().map(|a| a.name.clone()).zip(values).collect();
        Candidate { parameters, config, card, works, rung: self.rung, quality: self.quality.clone() }
    }

    fn folder(&self) -> &std::path::Path {
        self.path.parent().unwrap_or(std::path::Path::new(""))
    }

    /// What the points of this sweep are: base, card, works and axes, by contents. Two specs with equal identities differ
    /// in name, objectives, constraints and search only, and can share a folder.
    pub fn identity(&self) -> [(&'static str, String); 6] {
        let card = |c: &Card| contents(&serde_json::to_value(c).unwrap_or_default());
        let cards: Vec<_> = self.card.iter().chain(&self.cards).map(card).collect();
        let works: Vec<_> = self.works.iter().map(describe).collect();
        let axes: Vec<_> = self
            .axes
            .iter()
            .map(|a| json!([a.name, a.values.iter().map(short).collect::<Vec<_>>()]))
            .collect();
        [
            ("base", json!(self.base.values().to_vec()).to_string()),
            ("card", json!(cards).to_string()),
            ("work", json!(works).to_string()),
            ("axes", json!(axes).to_string()),
            ("rung", json!(self.rung).to_string()),
            ("quality", self.quality.as_ref().map(|q| q.identity().to_owned()).unwrap_or_default()),
        ]
    }
}

/// A value without the folder of a file that it names.
fn short(value: &Value) -> String {
    let text = value.to_string();
    std::path::Path::new(&text).file_name().map_or(text.clone(), |n| n.to_string_lossy().into_owned())
}

/// A name for a configuration that has none: of what it holds.
fn name(config: &Config) -> Name {
    let hash = Sha256::digest(format!("{:?}", config.values()));
    let hex: String = hash.iter().take(6).map(|b| format!("{b:02x}")).collect();
    Name::from(&format!("p{hex}")).unwrap_or_default()
}

fn set(work: &mut Work, field: &str, value: &Value) {
    let n = value.number().unwrap_or(0.0) as usize;
    match (field, value) {
        ("shape", value) => work.shape = value.to_string(),
        ("context", _) => work.phase = Phase::Decode { context: n as u64 },
        ("prompt", _) => work.phase = Phase::Prefill { prompt: n as u64 },
        ("batch", _) => work.batch = n,
        ("sinks", _) => work.sinks = n,
        ("window", _) => work.window = n,
        ("prob_bits", _) => work.prob_bits = n,
        ("format", Value::Format(format)) => work.format = *format,
        _ => {}
    }
}

/// A work with its shape's sizes in place of the shape's name.
fn describe(work: &Work) -> Json {
    let mut all = serde_json::to_value(work).unwrap_or_default();
    if let Ok(sizes) = shapes::open(&work.shape) {
        all["shape"] = json!(sizes);
    }
    all
}

/// A card's numbers without its names and sources.
fn contents(card: &Json) -> Json {
    match card {
        Json::Object(all) => {
            let words = ["name", "part", "platform", "dies", "source", "class"];
            let kept = all.iter().filter(|(k, _)| !words.contains(&k.as_str()));
            Json::Object(kept.map(|(k, v)| (k.clone(), contents(v))).collect())
        }
        other => other.clone(),
    }
}

impl Candidate {
    /// Hash of what is evaluated: contents of configuration, card and works, and of the evaluators.
    pub fn key(&self) -> String {
        let card = self.card.as_ref().map(|c| contents(&serde_json::to_value(c).unwrap_or_default()));
        let works: Vec<_> = self.works.iter().map(describe).collect();
        let quality = self.quality.as_ref().map(|q| q.identity());
        let all = json!([TOOL, self.rung, self.config.values().to_vec(), card, works, quality]);
        hex(&Sha256::digest(all.to_string()))
    }
}
