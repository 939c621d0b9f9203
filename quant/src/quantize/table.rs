//! Perplexity after each step of the quantization.

use super::{Quantized, Simulated};
use accllm_llm::Result;
use accllm_llm::float::FloatModel;
use accllm_llm::model::{LambdaShape, QuantModel};
use accllm_llm::perplexity::{Perplexity, Protocol, Scorer, perplexity};

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRow {
    /// What has been added to the lines above.
    pub step: &'static str,
    /// Result with everything so far.
    pub result: Perplexity,
}

/// Measures float, then weights, activations, KV cache and Λ one after another (simulated in float), then
/// the integer model, all on the same windows of `stream`. `lambda` is the attention shape of the last two.
pub fn step_table(
    model: &FloatModel,
    quantized: &Quantized,
    stream: &[u32],
    protocol: Protocol,
    lambda: LambdaShape,
) -> Result<Vec<StepRow>> {
    let integer = QuantModel { lambda, ..quantized.model.clone() };
    integer.check(std::path::Path::new("step table"))?;
    let with = |a8, kv4, lambda| Simulated {
        model: &quantized.dequantized,
        steps: &quantized.steps,
        a8,
        kv4,
        lambda,
    };
    let shape = Some(lambda);
    let lines: [(&'static str, &dyn Scorer); 6] = [
        ("float", model),
        ("+ weights on the grid", &quantized.dequantized),
        ("+ static int8 activations", &with(true, false, None)),
        ("+ KV4", &with(true, true, None)),
        ("+ Λ attention", &with(true, true, shape)),
        ("integer model", &integer),
    ];
    lines
        .into_iter()
        .map(|(step, scorer)| Ok(StepRow { step, result: perplexity(scorer, stream, protocol)? }))
        .collect()
}
