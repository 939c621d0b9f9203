//! What a test says of the sources: the order of the crates, and of the modules inside them (`rooms.toml` is the table,
//! [`Crate`] what the sources say), and the size of their functions ([`functions`]).

mod functions;
mod source;
mod table;

pub use functions::{Function, functions};
pub use source::{Crate, Use};
pub use table::{Room, Table};
