//! What an engine costs: area, power and energy, all *estimated*. See docs/cost.md for the forms, the errors and the
//! sources.
//!
//! - [`area`] is LUTs, flip-flops, multipliers and memories of every unit, from fits over points of open synthesis.
//! - [`energy`] is watts and joules of a run, as ranges, from what the engine did in it.

mod activity;
mod area;
mod energy;
mod fits;
mod formula;
mod page;
mod published;
mod range;
mod resources;
mod run;

pub use activity::{Activity, FORMATS};
pub use area::{Area, UnitArea, area};
pub use energy::{COEFFICIENTS, Coefficient, Energy, PoweredParts, Share, energy, power};
pub use fits::{Errors, FITS, Fit, Part, Worst, worst};
pub use formula::{FormulaError, Values};
pub use page::{number, page};
pub use published::{Design, PUBLISHED, System};
pub use range::Range;
pub use resources::Resources;
pub use run::{Figures, Load, figures, program, run};
