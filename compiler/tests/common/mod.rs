//! Programs for the tests.

use accllm_compiler::spec::{LayerConsts, LayerSpec, Norm};
use accllm_compiler::synthetic;
use accllm_compiler::{ModelSpec, Program, Settings};
use accllm_hw::beat::WeightFormat;
use accllm_hw::config::find;
use accllm_hw::sizes::Sizes;

/// Name, spec and settings of the synthetic shapes.
#[allow(dead_code)] // each test binary uses its part
pub fn shapes() -> Vec<(&'static str, ModelSpec, Settings)> {
    let models = synthetic::shapes().into_iter();
    models
        .map(|(name, s)| {
            (name, ModelSpec::from(&s.build()), Settings::new(s.lambda.n_sink, s.lambda.n_window))
        })
        .collect()
}

/// Compiles or fails the test with the compiler's message.
pub fn compile(spec: &ModelSpec, config: &str, settings: &Settings) -> Program {
    let config = find(config).unwrap_or_else(|e| panic!("{e}"));
    Program::compile(spec, config, settings).unwrap_or_else(|e| panic!("{e}"))
}

/// Gives a spec so many leading RoPE pairs (or as many as a head has), to each KV head its own or to all the same one.
#[allow(dead_code)] // each test binary uses its part
pub fn led(spec: &mut ModelSpec, leads: usize, own: bool) {
    spec.leads = (0..leads.min(spec.sizes.head_dim / 2) as u8).collect();
    spec.rope_groups = if own && spec.leads.len() > 1 { spec.sizes.kv_heads } else { 1 };
}

/// LLaMA-2-7B, W2 2:4 layers and a W4 head, uniform constants.
#[allow(dead_code)] // each test binary uses its part
pub fn llama2_7b() -> ModelSpec {
    let norm = Norm { eps: 1000, gs: 20 };
    let consts = LayerConsts {
        attn_norm: norm,
        mlp_norm: norm,
        rot_shift_q: 3,
        rot_shift_k: 3,
        v_shift: 3,
        zm: 30000,
        zs: 28,
        og: 30000,
        os: 20,
        hs: 12,
        head_norms: None,
    };
    ModelSpec {
        sizes: Sizes {
            hidden: 4096,
            ff: 11008,
            layers: 32,
            heads: 32,
            kv_heads: 32,
            head_dim: 128,
            vocab: 32000,
            rope: accllm_hw::rope::Rope::plain(10000.0),
        },
        embed_shift: 3,
        prob_wide: true,
        layers: vec![LayerSpec { consts, formats: [WeightFormat::W2Sparse; 7] }; 32],
        final_norm: norm,
        head: WeightFormat::W4,
        leads: vec![0],
        rope_groups: 1,
        biases: Vec::new(),
    }
}
