//! `accllm serve`.

use super::args::Serve;
use super::out::Out;
use accllm::Result;

pub fn run(_args: &Serve, _out: &Out) -> Result<()> {
    todo!()
}
