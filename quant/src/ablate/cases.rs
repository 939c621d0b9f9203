//! The cases of the table.

use crate::quantize::{Clip, Closed, DownInput, KeyGrid, Parts, Pruning};
use crate::transform::Keys;
use accllm_llm::model::WeightFormat;

/// A line to measure.
#[derive(Clone, Debug)]
pub struct Case {
    /// Part of the table.
    pub part: &'static str,
    /// What is done.
    pub name: String,
    /// The same for the computer.
    pub what: What,
}

/// What is measured.
#[derive(Clone, Debug)]
pub enum What {
    /// The model as it is.
    Float,
    /// Rounded activations on float weights.
    Rounded(Choice),
    /// Weights in closed form.
    Closed {
        /// The fit.
        how: Closed,
        /// Seed of a rotation of the residual stream before it.
        rotate: Option<u64>,
        /// Whether channels are ordered before it.
        order: bool,
    },
    /// The head alone, as W4.
    Head {
        /// The fit.
        how: Closed,
    },
}

/// Choices for activations and KV cache.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Tensors that are rounded.
    pub parts: Parts,
    /// Exponent of the migration; none: by search.
    pub migration: Option<f32>,
    /// V's steps clipped per channel.
    pub clip_values: bool,
    /// Ranges of the other static steps.
    pub clip: Clip,
    /// What is done to q and k.
    pub keys: Keys,
    /// Pairs of channels that are split and dropped, at most, per tensor and layer.
    pub split: usize,
    /// Rotation of the residual stream.
    pub rotate: Option<u64>,
    /// Rotation of the values.
    pub rotate_values: Option<u64>,
    /// First tokens that are not rounded, nor looked at for the ranges.
    pub prefix: usize,
}

impl Choice {
    /// Exponent 1, no more.
    fn of(parts: Parts) -> Self {
        Self {
            parts,
            migration: Some(1.0),
            clip_values: false,
            clip: Clip::None,
            keys: Keys::Plain,
            split: 0,
            rotate: None,
            rotate_values: None,
            prefix: 0,
        }
    }
}

/// Every case, in order.
pub fn cases() -> Vec<Case> {
    let mut all = vec![Case { part: "Float", name: "float".into(), what: What::Float }];
    all.extend(inputs());
    all.extend(cache());
    all.extend(together());
    all.extend(weights());
    all
}

type Named = (&'static str, Choice);

fn named(part: &'static str, lines: Vec<Named>) -> Vec<Case> {
    let case = |(name, choice): Named| Case { part, name: name.into(), what: What::Rounded(choice) };
    lines.into_iter().map(case).collect()
}

/// Inputs of the linears.
fn inputs() -> Vec<Case> {
    let none = Parts::default();
    let a8 = Choice::of(Parts::engine(true, false));
    let down = |d| Choice::of(Parts { down_in: Some(d), ..none.clone() });
    let alone = vec![
        ("input of q, k, v", Choice::of(Parts { attn_in: true, ..none.clone() })),
        ("input of o", Choice::of(Parts { attn_out: true, ..none.clone() })),
        ("input of gate, up", Choice::of(Parts { mlp_in: true, ..none.clone() })),
        ("input of down: static int8", down(DownInput::Static)),
        ("input of down: int8, one scale per token", down(DownInput::Token)),
        ("input of down: int8, exponent per 256 columns (the engine)", down(DownInput::Blocks)),
        ("input of the head", Choice::of(Parts { head_in: true, ..none.clone() })),
    ];
    let exponent = |m| Choice { migration: m, ..a8.clone() };
    let all = vec![
        ("migration 0: one step per tensor", exponent(Some(0.0))),
        ("migration 0.5", exponent(Some(0.5))),
        ("migration 1: each channel its own step", exponent(Some(1.0))),
        ("migration by search (weights as W4)", exponent(None)),
        ("migration 1, clipping by search", Choice { clip: Clip::Search, ..a8.clone() }),
        ("migration 0, 8 pairs of channels split", Choice { split: 8, ..exponent(Some(0.0)) }),
        ("migration 1, 8 pairs of channels split", Choice { split: 8, ..a8.clone() }),
        ("migration 0, residual stream rotated", Choice { rotate: Some(1), ..exponent(Some(0.0)) }),
        ("migration 1, residual stream rotated", Choice { rotate: Some(1), ..a8.clone() }),
    ];
    [named("A8, one input alone", alone), named("A8, all inputs", all)].concat()
}

/// The KV cache.
fn cache() -> Vec<Case> {
    let value = Choice::of(Parts { value: true, ..Parts::default() });
    let key = Choice::of(Parts { key: Some(KeyGrid::Token), query: true, ..Parts::default() });
    let fixed = Parts { key: Some(KeyGrid::Static(Vec::new())), query: true, ..Parts::default() };
    named(
        "KV4",
        vec![
            ("V: one step per layer", Choice { migration: Some(0.0), ..value.clone() }),
            ("V: a step per channel", value.clone()),
            ("V: a step per channel, clipped by search", Choice { clip_values: true, ..value.clone() }),
            ("V: rotated per head", Choice { rotate_values: Some(2), ..value.clone() }),
            ("K: one static step per layer (not in the engine)", Choice::of(fixed)),
            ("K: scale and zero point per token (the engine)", key.clone()),
            ("K: the same, balance 0.5", Choice { keys: Keys::Balanced(0.5), ..key.clone() }),
            ("K: the same, balance 1", Choice { keys: Keys::Balanced(1.0), ..key.clone() }),
            ("K: the same, aligned by search", Choice { keys: Keys::Aligned, ..key.clone() }),
            ("K: the same, led and aligned", Choice { keys: Keys::Led, ..key }),
        ],
    )
}

/// All of it.
fn together() -> Vec<Case> {
    let plain = Choice::of(Parts::engine(true, true));
    let kv = Choice::of(Parts::engine(false, true));
    let balanced = |c: &Choice| Choice { keys: Keys::Balanced(1.0), ..c.clone() };
    let led = |c: &Choice| Choice { keys: Keys::Led, ..c.clone() };
    named(
        "A8 and KV4 together",
        vec![
            ("KV4, K balanced", balanced(&kv)),
            ("KV4, K led and aligned", led(&kv)),
            ("A8, KV4, migration 1", plain.clone()),
            ("A8, KV4, migration 1, K balanced", balanced(&plain)),
            ("A8, KV4, migration 1, K led and aligned", led(&plain)),
            ("A8, KV4, migration 1, K led, V clipped", Choice { clip_values: true, ..led(&plain) }),
            (
                "A8, KV4, migration 1, K led, first 4 tokens in float (not in the engine)",
                Choice { prefix: 4, ..led(&plain) },
            ),
            (
                "A8, KV4, migration by search (weights as W4), K led and aligned",
                Choice { migration: None, ..led(&plain) },
            ),
        ],
    )
}

/// Weights in closed form.
fn weights() -> Vec<Case> {
    let part = "Weights in closed form, activations in float";
    let base = Closed { correct: false, rounds: 0, ..Closed::default() };
    let mut all = Vec::new();
    let mut add = |name: String, how| {
        all.push(Case { part, name, what: What::Closed { how, rotate: None, order: false } });
    };
    for (name, pruning) in
        [("magnitude", Pruning::Magnitude), ("Wanda", Pruning::Wanda), ("SparseGPT", Pruning::SparseGpt)]
    {
        for feedback in [false, true] {
            let with = if feedback { ", error feedback" } else { "" };
            add(format!("W2 2:4, {name}{with}"), Closed { pruning, feedback, ..base });
        }
    }
    add("W2 2:4, SparseGPT, error feedback, refined".into(), Closed { rounds: 4, ..base });
    add("W2 2:4, SparseGPT, error feedback, corrected".into(), Closed { correct: true, ..base });
    add("W2 2:4, SparseGPT, error feedback, corrected, refined".into(), Closed::default());
    for (name, format) in [("W2 dense", WeightFormat::W2Dense), ("W4", WeightFormat::W4)] {
        let formats = [format; 7];
        add(format!("{name}, nearest level"), Closed { formats, feedback: false, ..base });
        add(format!("{name}, error feedback"), Closed { formats, ..base });
        add(format!("{name}, error feedback, corrected, refined"), Closed { formats, ..Closed::default() });
    }
    let how = Closed::default();
    for (name, rotate, order) in
        [("residual stream rotated", Some(1), false), ("channels in order", None, true)]
    {
        let name = format!("W2 2:4, {name}, feedback, corrected, refined");
        all.push(Case { part, name, what: What::Closed { how, rotate, order } });
    }
    let nearest = Closed { pruning: Pruning::Magnitude, feedback: false, ..base };
    for (name, how) in [
        ("nearest level", nearest),
        ("nearest level, weighted by the inputs", Closed { pruning: Pruning::Wanda, ..nearest }),
        ("error feedback, refined", Closed { rounds: 4, ..base }),
    ] {
        all.push(Case { part, name: format!("head alone W4, {name}"), what: What::Head { how } });
    }
    all
}
