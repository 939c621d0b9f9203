//! All tests of the command, in one executable; those through XRT are in `xrt`.

mod arguments;
mod bench;
mod browser;
mod common;
mod json;
mod models;
mod programs;
mod serve_process;
mod slurm;
mod sweep;
mod texts;
mod timeline;
mod tutorial;
