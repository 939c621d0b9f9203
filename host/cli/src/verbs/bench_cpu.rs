//! `accllm bench --cpu`.

use crate::args::{Bench, BitsArg};
use crate::out::Out;
use crate::prepare;
use accllm_device::{Error, Result};
use accllm_lab::bench::cpu;
use accllm_quant::model::LambdaShape;

/// Tokens to decode where nothing is said.
const TOKENS: usize = 64;

/// Measures and prints.
pub fn run(args: &Bench, out: &Out) -> Result<()> {
    let name = args.shape.as_deref().unwrap_or_default();
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.unwrap_or(all);
    if threads == 0 {
        return Err(Error::Argument("--threads is 0; give 1 or more".into()));
    }
    let lambda = LambdaShape { n_sink: args.sinks.unwrap_or(4), n_window: args.window.unwrap_or(2044) };
    lambda.check(std::path::Path::new("command line"))?;
    let wide = args.prob_bits.is_none_or(|b| b == BitsArg::Sixteen);
    let busy = out.busy("making the model");
    let random = cpu::random(name, args.layers, lambda, wide, args.seed)?;
    let model = match random {
        Some(model) => model,
        None => prepare::model(name, out)?.model,
    };
    busy.set_message("measuring");
    let tokens = if args.tokens > 1 { args.tokens } else { TOKENS };
    let r = cpu::measure(name, &model, threads, tokens)?;
    busy.finish_and_clear();
    out.line(&format!("integer model of {name} on this computer, {threads} threads (measured)"))?;
    out.line(&format!(
        "  scored             {:.0} tokens/s, a window of {}, all logits",
        r.score_tok_per_s, r.window
    ))?;
    out.line(&format!(
        "  decoded            {:.1} tokens/s, {} tokens one at a time",
        r.decode_tok_per_s, r.decode_tokens
    ))?;
    out.report(&r)
}
