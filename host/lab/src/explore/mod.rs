//! Design-space exploration: sweeps over configurations, cards and works, with records that outlive interruptions, Pareto
//! fronts, and the front confirmed on the RTL. See `docs/sweeps.md`.
//!
//! A [`Spec`] says what is varied and what is sought; a [`Search`](search::Search) chooses points; each
//! [`Candidate`](point::Candidate) is [evaluated](evaluate::evaluate) to [`Metrics`](metric::Metrics), written as a
//! [`Record`](record::Record) into a [`Folder`]; a [`Table`](table::Table) of these gives the results.

pub mod axis;
pub mod best;
mod bound;
pub mod confirm;
mod csv;
pub mod evaluate;
mod folder;
pub mod format;
pub mod front;
mod lock;
pub mod metric;
mod name;
mod nsga2;
mod page;
pub mod pareto;
pub mod point;
pub mod quality;
mod random;
pub mod record;
pub mod results;
pub mod search;
pub mod slurm;
mod spec;
pub mod sweep;
pub mod table;
mod timing;
pub mod work;

pub use folder::{Folder, Shard};
pub use spec::{Constraint, Objective, Spec, Strategy};
