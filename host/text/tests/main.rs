//! All tests of the crate, in one executable.

mod conversations;
mod serve;
mod sessions;
