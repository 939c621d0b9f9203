//! Leading RoPE pairs: data of a program where they differ, nothing where they do not.

use accllm_compiler::image::ModelSource as _;
use accllm_compiler::synthetic::{Synthetic, shapes};
use accllm_compiler::{Error, MemoryImage, ModelSpec, Program, Settings};
use accllm_hw::config::find;
use accllm_hw::fixed::{led_row, rope_row};
use accllm_hw::sizes::Sizes;
use accllm_llm::model::{QuantModel, UNROTATED};
use std::collections::BTreeSet;

fn led() -> Synthetic {
    let named = shapes().into_iter().find(|(name, _)| *name == "led");
    named.unwrap_or_else(|| panic!("no such shape")).1
}

fn compile(model: &QuantModel) -> Program {
    let config = find("tiny").unwrap_or_else(|e| panic!("{e}"));
    Program::compile(&ModelSpec::from(model), config, &Settings::new(4, 24)).unwrap_or_else(|e| panic!("{e}"))
}

fn image(program: &Program, model: &QuantModel) -> MemoryImage {
    MemoryImage::new(program, model).unwrap_or_else(|e| panic!("{e}"))
}

fn i16s(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks::<2>().0.iter().map(|b| i16::from_le_bytes(*b)).collect()
}

/// Instructions and image of a model whose leads are all 0 are those of one without leads, and so with one other lead but
/// for the rows.
#[test]
fn one_lead_costs_nothing() {
    let plain = Synthetic { led: false, ..led() }.build();
    let with = |lead: u8| {
        let mut model = plain.clone();
        model.layers.iter_mut().for_each(|l| l.leads = vec![lead; 3]);
        model
    };
    let program = compile(&plain);
    assert!(program.labels.iter().any(|l| l.op == "load_rope"));
    assert_eq!(compile(&with(0)), program);
    assert!(image(&program, &with(0)) == image(&program, &plain));
    let other = compile(&with(5));
    assert_eq!((&other.code, &other.labels), (&program.code, &program.labels));
    assert!(image(&other, &with(5)) == image(&program, &plain));
    assert_ne!(other.layout.io_block(3, &[1]).ok(), program.layout.io_block(3, &[1]).ok());
    assert!(matches!(MemoryImage::new(&program, &with(5)), Err(Error::Model { .. })));
}

/// Leads that differ between layers do not unroll the loop over layers.
#[test]
fn layers_with_other_leads_share_a_loop() {
    let of = |layers: usize| compile(&Synthetic { sizes: Sizes { layers, ..led().sizes }, ..led() }.build());
    let (few, many) = (of(3), of(30));
    assert_eq!(few.code.len(), many.code.len());
    assert!(many.check().is_ok(), "{:?}", many.check());
}

/// Layers without rotation gather the row of position 0, those with rotation that of their lead; they share a loop.
#[test]
fn layers_without_rotation() {
    let of = |layers: usize, led: bool| Synthetic {
        sizes: Sizes { layers, ..self::led().sizes },
        led,
        unrotated: 4,
        ..self::led()
    };
    let compiled = |s: &Synthetic| compile(&s.build());
    assert_eq!(compiled(&of(4, false)).code.len(), compiled(&of(32, false)).code.len());
    for led in [false, true] {
        let s = of(4, led);
        let (p, model, leads) = (compiled(&s), s.build(), s.spec().leads);
        assert!(p.check().is_ok(), "{:?}", p.check());
        let (l, shape) = (&p.layout, &p.layout.shape);
        assert_eq!((shape.led(), shape.rope_groups), (true, if led { 3 } else { 1 }));
        assert_eq!((leads.last(), led || leads.len() == 2), (Some(&UNROTATED), true), "{leads:?}");
        let aux = image(&p, &model).aux;
        for layer in 0..4 {
            let at = 64 * (l.aux.norms + layer * l.aux.norm_pair) + 2 * 2 * shape.hidden;
            let named: Vec<_> = i16s(&aux[at..at + 64])[..3].iter().map(|id| leads[*id as usize]).collect();
            assert_eq!(named[0] == UNROTATED, layer == 3, "layer {layer}: {named:?}");
        }
        let io = l.io_block(40, &[1]).unwrap_or_default();
        let rows = i16s(&io[64 * (l.aux.rope - l.aux.ids)..]);
        let (cos, sin) = rope_row(0, &shape.sizes.rope, 16, 64);
        let rows: Vec<_> = rows.chunks(shape.rope_row()).take(leads.len()).collect();
        let (last, others) = rows.split_last().unwrap_or_else(|| panic!("no rows"));
        let still = [&cos[..], &sin, &cos, &sin].concat();
        assert!(*last == still && others.iter().all(|row| *row != still));
    }
}

/// The ids after a layer's norms name its leads; the IO block has a row for each.
#[test]
fn ids_and_rows() {
    let s = led();
    let (model, leads) = (s.build(), s.spec().leads);
    let each: BTreeSet<_> = model.layers.iter().map(|l| l.leads.clone()).collect();
    assert_eq!(each.len(), s.sizes.layers, "layers must differ");
    assert!(leads.len() > 3, "{leads:?}");
    let p = compile(&model);
    let (l, shape) = (&p.layout, &p.layout.shape);
    assert_eq!((&shape.leads, shape.rope_groups, shape.lead_ids()), (&leads, 3, 32));
    let aux = image(&p, &model).aux;
    for (n, layer) in model.layers.iter().enumerate() {
        let at = 64 * (l.aux.norms + n * l.aux.norm_pair) + 2 * 2 * shape.hidden;
        let ids = i16s(&aux[at..at + 64]);
        let named: Vec<_> = ids[..3].iter().map(|id| leads[*id as usize]).collect();
        assert_eq!(named, layer.leads, "layer {n}");
        assert!(ids[3..].iter().all(|id| *id == 0));
    }
    let io = l.io_block(40, &[1, 2]).unwrap_or_default();
    let rows = i16s(&io[64 * (l.aux.rope - l.aux.ids)..]);
    for (token, row) in [(0, 0), (1, shape.half)] {
        for (i, lead) in leads.iter().enumerate() {
            let angle = |at| {
                let (cos, sin) = rope_row(at, &shape.sizes.rope, 16, 64);
                let (cos, sin) = led_row(cos, sin, *lead);
                [cos, sin].concat()
            };
            let want = [angle(40 + token), angle(shape.lambda.sink_position(40 + token))].concat();
            let at = (row * leads.len() + i) * shape.rope_row();
            assert_eq!(rows[at..at + shape.rope_row()], want, "token {token}, lead {lead}");
        }
    }
}

/// Of models that differ in leads only, what the program does not know comes from the image.
#[test]
fn other_leads() {
    let model = led().build();
    let p = compile(&model);
    let mut other = model.clone();
    other.layers.reverse();
    let leads: Vec<_> = other.layers.iter().map(|l| l.leads.clone()).collect();
    let mut other = model.clone();
    other.layers.iter_mut().zip(leads).for_each(|(l, leads)| l.leads = leads);
    assert_eq!(compile(&other), p);
    assert!(image(&p, &other) != image(&p, &model));
    // One lead less, and heads that go together.
    let mut fewer = model.clone();
    fewer.layers[0].leads = Vec::new();
    assert!(matches!(MemoryImage::new(&p, &fewer), Err(Error::Model { .. })));
    let mut groups = model.clone();
    groups.layers.iter_mut().for_each(|l| l.leads = vec![l.leads[0]; 3]);
    let groups = compile(&groups);
    assert_eq!(groups.layout.shape.rope_groups, 1);
    assert!(groups.code.len() < p.code.len());
}

/// Files hold them, and none without them is read.
#[test]
fn files() {
    let model = led().build();
    let program = compile(&model);
    let folder = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
    let path = folder.path().join("led.accllm");
    program.save(&model, &path).unwrap_or_else(|e| panic!("{e}"));
    let (p, i) = Program::load(&path).unwrap_or_else(|e| panic!("{e}"));
    assert!(p == program && i == image(&program, &model));

    // None are said, not left out.
    for field in ["leads", "rope_groups"] {
        let without = |mut part: serde_json::Value| {
            assert!(part.as_object_mut().is_some_and(|f| f.remove(field).is_some()));
            part
        };
        let spec = without(serde_json::to_value(&program.spec).unwrap_or_default());
        let shape = without(serde_json::to_value(&program.layout.shape).unwrap_or_default());
        assert!(serde_json::from_value::<ModelSpec>(spec).is_err(), "{field}");
        assert!(serde_json::from_value::<accllm_compiler::layout::Shape>(shape).is_err(), "{field}");
    }
}

#[test]
fn impossible_leads_are_refused() {
    let good = ModelSpec::from(&led().build());
    assert!(good.check().is_ok());
    assert!(ModelSpec { leads: vec![UNROTATED], rope_groups: 1, ..good.clone() }.check().is_ok());
    for (leads, groups) in [
        (vec![], 1),
        (vec![1, 0], 3),
        (vec![2, 2], 3),
        (vec![0, 8], 3),
        (vec![0, 254], 3),
        (vec![8, UNROTATED], 3),
        (vec![0, 1], 0),
        (vec![0, 1], 2),
        (vec![3], 3),
    ] {
        let bad = ModelSpec { leads: leads.clone(), rope_groups: groups, ..good.clone() };
        assert!(matches!(bad.check(), Err(Error::Model { .. })), "{leads:?} {groups}");
    }
}
