//! All tests of the crate, in one executable.

mod batch;
mod checker;
mod common;
mod file;
mod image;
mod leads;
mod listings;
mod sizes;
mod synthetic;
