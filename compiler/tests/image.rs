//! The image decoded again, beat by beat as docs/formats.md says, gives back every weight.

use accllm_compiler::image::source_row;
use accllm_compiler::layout::Stream;
use accllm_compiler::synthetic::{Synthetic, shapes};
use accllm_compiler::{MemoryImage, ModelSpec, Program, Settings};
use accllm_hw::beat::{Beat, WeightFormat, get_nibble, get_param, get_w2d, unpack_w2s};
use accllm_hw::config::{CONFIGS, PARAMS};
use accllm_hw::sizes::{Linear, Sizes};
use accllm_llm::model::{QuantModel, Weight};

fn weight<'a>(m: &'a QuantModel, s: &Stream) -> &'a Weight {
    s.layer.map_or(&m.head, |l| m.layers[l].linears().find(|(linear, _)| *linear == s.linear).unwrap().1)
}

/// `level * scale` of the columns of one value beat.
fn values(format: WeightFormat, beat: &Beat, scales: &[u8]) -> Vec<i32> {
    let mut level = vec![0i32; format.columns()];
    match format {
        WeightFormat::W2Sparse => {
            for (c, l) in unpack_w2s(beat) {
                level[c] = l.into();
            }
        }
        WeightFormat::W2Dense => level.iter_mut().enumerate().for_each(|(c, l)| *l = get_w2d(beat, c).into()),
        WeightFormat::W4 => level.iter_mut().enumerate().for_each(|(c, l)| *l = get_nibble(beat, c).into()),
    }
    let offset = |c: usize| match format {
        WeightFormat::W4 => 4 * i32::from(scales[4 + c / 32].cast_signed()),
        _ => 0,
    };
    level.iter().enumerate().map(|(c, l)| l * i32::from(scales[c / 32]) + offset(c)).collect()
}

fn check_stream(p: &Program, m: &QuantModel, s: &Stream, channel: usize, bytes: &[u8]) {
    let (shape, w, format) = (&p.layout.shape, weight(m, s), s.weight_format());
    let all: Vec<Beat> = bytes[s.beat * 64..(s.beat + s.beats) * 64]
        .chunks_exact(64)
        .map(|b| std::array::from_fn(|i| b[i]))
        .collect();
    let (mut at, mut count) = (0, 0);
    let mut take = || {
        at += 1;
        all[at - 1]
    };
    let (mut params, mut scale_beat) = ([0; 64], [0; 64]);
    for step in 0..s.steps {
        if step % PARAMS == 0 {
            params = take();
        }
        let mut row = Vec::new();
        for _ in 0..s.row_beats {
            let chunk = format.scale_chunk();
            if chunk > 0 && count % chunk == 0 {
                scale_beat = take();
            }
            let beat = take();
            let scales = match chunk {
                0 => &beat[56..],
                _ => &scale_beat[count % chunk * 8..][..8],
            };
            row.extend(values(format, &beat, scales));
            count += 1;
        }
        let o = s.chunk.first + step * shape.channels + channel;
        let param = get_param(&params, step % PARAMS);
        let Some(r) = source_row(shape, s.linear, o) else {
            assert_eq!(param & 0xffff, 0, "{} row {o}: padding has a multiplier", s.name());
            continue;
        };
        assert_eq!((param as u16, (param >> 16) as u8), (w.mult[r], w.shift[r]), "{} row {r}", s.name());
        let (block, used) = match s.linear {
            Linear::O => (shape.hds, shape.sizes.head_dim),
            _ => (usize::MAX, w.grid.cols),
        };
        for (c, want) in w.grid.integer_row(r).enumerate().filter(|(c, _)| c % block < used) {
            assert_eq!(row[c], i32::from(want), "{} row {r} column {c}", s.name());
        }
        assert!(row[w.grid.cols_padded()..].iter().all(|v| *v == 0), "{} row {r}: padding columns", s.name());
    }
    assert_eq!(at, s.beats);
}

#[test]
fn every_weight_comes_back() {
    let odd = |hidden, ff, head_dim, formats, seed| Synthetic {
        sizes: Sizes { hidden, ff, head_dim, heads: 3, ..Synthetic::SIZES },
        formats,
        seed,
        ..Synthetic::default()
    };
    let mut cases: Vec<Synthetic> = shapes().into_iter().map(|(_, s)| s).collect();
    for (i, format) in WeightFormat::ALL.into_iter().enumerate() {
        cases.push(odd(57, 339, 14, [format; 7], 10 + i as u64));
        cases.push(odd(30, 2, 66, [format; 7], 20 + i as u64));
    }
    for s in cases {
        let m = s.build();
        for config in CONFIGS.iter() {
            let settings = Settings::new(s.lambda.n_sink, s.lambda.n_window);
            let p =
                Program::compile(&ModelSpec::from(&m), config, &settings).unwrap_or_else(|e| panic!("{e}"));
            let image = MemoryImage::new(&p, &m).unwrap_or_else(|e| panic!("{e}"));
            for (c, bytes) in image.channels.iter().enumerate() {
                for stream in p.layout.weights.streams() {
                    check_stream(&p, &m, stream, c, bytes);
                }
            }
        }
    }
}

#[test]
fn weights_that_do_not_fit_their_format_are_named() {
    let (_, s) = shapes().swap_remove(0);
    let mut m = s.build();
    let p = Program::compile(&ModelSpec::from(&m), &CONFIGS[0], &Settings::new(4, 24))
        .unwrap_or_else(|e| panic!("{e}"));
    let width = m.layers[1].up.grid.cols_padded();
    m.layers[1].up.grid.level[5 * width..5 * width + 4].copy_from_slice(&[1, 1, 1, 0]);
    m.layers[1].up.grid.scale[5 * width / 32] = 9;
    let error = MemoryImage::new(&p, &m).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains("L1.up, row 5"), "{error}");
}
