//! `accllm bench-cpu`.

use crate::args::{BenchCpu, BitsArg};
use crate::out::Out;
use crate::prepare;
use accllm_device::{Error, Result};
use accllm_lab::bench::cpu;
use accllm_lab::shapes::{self, Random};
use accllm_llm::model::LambdaShape;
use accllm_llm::model::check_lambda;

/// Measures and prints.
pub fn run(args: &BenchCpu, out: &Out) -> Result<()> {
    let (name, random) = (&args.shape, &args.random);
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.unwrap_or(all);
    for (option, value) in [("--threads", threads), ("--tokens", args.tokens)] {
        if value == 0 {
            return Err(Error::Argument(format!("{option} is 0; give 1 or more")));
        }
    }
    let LambdaShape { n_sink, n_window } = shapes::LAMBDA;
    let lambda =
        LambdaShape { n_sink: random.sinks.unwrap_or(n_sink), n_window: random.window.unwrap_or(n_window) };
    check_lambda(lambda, std::path::Path::new("command line"))?;
    let wide = random.prob_bits.is_none_or(|b| b == BitsArg::Sixteen);
    let busy = out.busy("making the model");
    let choice = Random { layers: random.layers, lambda, prob_wide: wide, seed: random.seed };
    let model = match shapes::find(name)? {
        Some(sizes) => choice.model(&sizes)?.build(),
        None => prepare::model(name, out)?.model,
    };
    busy.set_message("measuring");
    let r = cpu::measure(name, &model, threads, args.tokens)?;
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
