//! The command line: one module per verb.

mod args;
mod devices;
mod eval;
mod out;
mod prepare;
mod quantize;
mod run;
mod run_report;

pub use args::Cli;
use args::Verb;

use accllm::{Error, Result};
use out::Out;

/// Does what the arguments say.
pub fn run(cli: Cli) -> Result<()> {
    let out = Out::new(cli.json);
    match cli.verb {
        Verb::Devices(args) => devices::run(&args, &out),
        Verb::Quantize(args) => quantize::run(&args, &out),
        Verb::Eval(args) => eval::run(&args, &out),
        Verb::Run(args) => run::run(&args, &out),
        _ => Err(Error::Argument("this verb is not there yet".into())),
    }
}
