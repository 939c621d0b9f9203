//! The order of the crates, and of the modules inside them: `rooms.toml` is the table, [`Crate`] what the sources say.

mod source;
mod table;

pub use source::{Crate, Use};
pub use table::{Room, Table};
