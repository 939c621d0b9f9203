//! Cards through the real XRT, with its hardware emulation and the Verilated engine as the card. Where XRT is not
//! installed the tests say so and pass; with `ACCLLM_REQUIRE_XRT` set they fail.

mod bench;
mod refused;
mod text;
mod trouble;
