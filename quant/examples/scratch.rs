//! x
use accllm_quant::hf::load_model;
use accllm_quant::perplexity::*;
use accllm_quant::quantize::*;
use accllm_quant::tokenizer::TextTokenizer;
use std::path::Path;
fn main() {
    let name = std::env::args().nth(1).unwrap();
    let mig: Option<f32> = std::env::args().nth(2).and_then(|x| x.parse().ok());
    let comp = std::env::args().nth(3).is_none();
    let folder = Path::new("data/tinytales").join(&name);
    let m = load_model(&folder).unwrap();
    let tk = TextTokenizer::read(&folder.join("tokenizer.json"), 1024).unwrap();
    let s = story_stream(&std::fs::read_to_string("data/tinytales_train_sample.txt").unwrap(), &tk, 0, 1)
        .unwrap();
    let val = story_stream(&std::fs::read_to_string("data/tinytales_val.txt").unwrap(), &tk, 0, 1).unwrap();
    let t = std::time::Instant::now();
    let q = quantize(&m, &s, &Options { migration: mig, compensate: comp, ..Default::default() }).unwrap();
    println!("quantized in {:?}, recovered {}", t.elapsed(), q.recovered);
    println!("F {} es {} {:?}", q.model.resid_frac, q.model.embed_shift, q.model.lambda);
    for l in &q.model.layers {
        println!("{:?} gs {} {} eps {}", l.constants, l.attn_norm.gs, l.mlp_norm.gs, l.attn_norm.eps);
    }
    for (l, st) in q.steps.layers.iter().enumerate() {
        let b = calibrate(&q.dequantized, &s, Protocol { window: 320, windows: Some(32) }).unwrap();
        println!("v frac {}", st.value[0] * 7.5 / b.layers[l].value.largest());
    }
    for r in step_table(&m, &q, &val, Protocol::TINYTALES, q.model.lambda).unwrap() {
        println!("{:30} {:.4}  {:?}", r.step, r.result.perplexity, t.elapsed());
    }
}
