//! x
use accllm_quant::float::*;
use accllm_quant::hf::load_model;
use accllm_quant::perplexity::*;
use accllm_quant::tokenizer::TextTokenizer;
use std::collections::BTreeMap;
use std::path::Path;
type St = BTreeMap<(Site, usize), Vec<f32>>;
struct S<'a> {
    m: &'a FloatModel,
    st: &'a St,
    a8: usize,
    v4: usize,
    k4: usize,
    vr: f32,
}
fn q(d: &mut [f32], step: &[f32], lo: f32, hi: f32) {
    for r in d.chunks_mut(step.len()) {
        for (x, s) in r.iter_mut().zip(step) {
            *x = (*x / s).round().clamp(lo, hi) * s
        }
    }
}
fn wht(x: &mut [f32]) {
    let mut h = 1;
    while h < x.len() {
        for b in x.chunks_exact_mut(2 * h) {
            let (l, r) = b.split_at_mut(h);
            for (a, b) in l.iter_mut().zip(r) {
                (*a, *b) = (*a + *b, *a - *b)
            }
        }
        h *= 2
    }
}
fn group(v: &[f32], mode: usize) -> Vec<f32> {
    match mode {
        1 => v.to_vec(),
        g => v
            .chunks(g.min(v.len()))
            .flat_map(|c| {
                let m = c.iter().copied().fold(0.0, f32::max);
                vec![m; c.len()]
            })
            .collect(),
    }
}
impl Scorer for S<'_> {
    fn nll(&self, w: &[u32]) -> accllm_quant::Result<Vec<f64>> {
        let lo = self.m.logits(w, None, &mut |site: Site, l: usize, _: usize, d: &mut [f32]| match site {
            Site::AttnNorm | Site::AttnOut | Site::MlpNorm | Site::FinalNorm if self.a8 > 0 => {
                let s: Vec<f32> = group(&self.st[&(site, l)], self.a8).iter().map(|x| x / 127.0).collect();
                q(d, &s, -128.0, 127.0)
            }
            Site::Value if self.v4 > 0 => {
                let s: Vec<f32> = group(&self.st[&(site, l)], self.v4).iter().map(|x| x / self.vr).collect();
                q(d, &s, -8.0, 7.0)
            }
            Site::Key if self.k4 > 0 => {
                for h in d.chunks_mut(64) {
                    wht(h);
                    let mx = h.iter().copied().fold(f32::MIN, f32::max);
                    let mn = h.iter().copied().fold(f32::MAX, f32::min);
                    let s = (mx - mn) / 15.0;
                    for x in h.iter_mut() {
                        *x = mn + s * ((*x - mn) / s).round()
                    }
                    wht(h);
                    for x in h.iter_mut() {
                        *x /= 64.0
                    }
                }
            }
            Site::Query if self.k4 > 0 => {
                for h in d.chunks_mut(64) {
                    wht(h);
                    let mx = h.iter().map(|x| x.abs()).fold(f32::MIN, f32::max);
                    let s = mx / 127.0;
                    for x in h.iter_mut() {
                        *x = s * (*x / s).round()
                    }
                    wht(h);
                    for x in h.iter_mut() {
                        *x /= 64.0
                    }
                }
            }
            _ => {}
        })?;
        Ok(nll_of_logits(&lo, 1024, w))
    }
}
fn main() {
    let name = std::env::args().nth(1).unwrap();
    let folder = Path::new("data/tinytales").join(&name);
    let m = load_model(&folder).unwrap();
    let tk = TextTokenizer::read(&folder.join("tokenizer.json"), 1024).unwrap();
    let s = story_stream(&std::fs::read_to_string("data/tinytales_train_sample.txt").unwrap(), &tk, 0, 1)
        .unwrap();
    let val = story_stream(&std::fs::read_to_string("data/tinytales_val.txt").unwrap(), &tk, 0, 1).unwrap();
    let mut st: St = BTreeMap::new();
    for w in s.chunks_exact(320).take(32) {
        m.hidden(w, None, &mut |site: Site, l: usize, wd: usize, d: &mut [f32]| {
            let e = st.entry((site, l)).or_insert(vec![0.0; wd]);
            for r in d.chunks(wd) {
                for (a, b) in e.iter_mut().zip(r) {
                    *a = a.max(b.abs())
                }
            }
        })
        .unwrap();
    }
    let run = |a8, v4, k4, vr| {
        let p = perplexity(&S { m: &m, st: &st, a8, v4, k4, vr }, &val, Protocol::TINYTALES).unwrap();
        println!("a8 {a8} v4 {v4} k4 {k4} vr {vr}: {:.4}", p.perplexity);
    };
    run(0, 0, 0, 7.5);
    run(1, 0, 0, 7.5);
    run(32, 0, 0, 7.5);
    run(9999, 0, 0, 7.5);
    run(0, 1, 0, 7.5);
    run(0, 1, 0, 9.0);
    run(0, 1, 0, 10.5);
    run(0, 32, 0, 7.5);
    run(0, 32, 0, 9.0);
    run(0, 32, 0, 10.5);
    run(0, 9999, 0, 7.5);
    run(0, 9999, 0, 9.0);
    run(0, 9999, 0, 10.5);
    run(0, 9999, 0, 12.0);
    run(0, 0, 1, 7.5);
    run(1, 1, 1, 7.5);
    run(9999, 9999, 1, 9.0);
}
