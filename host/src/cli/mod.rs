//! The command line: one module per verb.

mod args;
mod devices;
mod out;

pub use args::Cli;
use args::Verb;

use accllm::{Error, Result};
use out::Out;

/// Does what the arguments say.
pub fn run(cli: Cli) -> Result<()> {
    let out = Out::new(cli.json);
    match cli.verb {
        Verb::Devices => devices::run(&out),
        _ => Err(Error::Argument("this verb is not there yet".into())),
    }
}
