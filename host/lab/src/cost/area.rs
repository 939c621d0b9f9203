//! What an engine needs of a device: *estimated* from fits over points of open synthesis (docs/cost.md).

use super::fits::{FITS, Fit, Part, fields};
use super::resources::Resources;
use accllm_hw::card;
use accllm_hw::config::Config;
use serde::Serialize;

/// A unit of an engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnitArea {
    /// Name: the module, and what tells it from other uses of the module. Units inside it are units of their own.
    pub unit: &'static str,
    /// Where it belongs.
    pub part: Part,
    /// Instances.
    pub count: usize,
    /// Of one instance.
    pub each: Resources,
    /// Of all.
    pub total: Resources,
}

/// An engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Area {
    /// Its units.
    pub units: Vec<UnitArea>,
    /// Their sum.
    pub total: Resources,
}

impl Area {
    /// The sum as a card counts: LUTs that are memories are LUTs.
    pub fn resources(&self) -> card::Resources<f64> {
        let Resources { lut, lutram, ff, dsp, bram, uram, .. } = self.total;
        card::Resources { lut: lut + lutram, ff, dsp, bram, uram }
    }

    /// Resources of one part.
    pub fn part(&self, part: Part) -> Resources {
        self.units.iter().filter(|u| u.part == part).map(|u| u.total).sum()
    }
}

/// Resources of a configuration, unit by unit. The configuration keeps its rules ([`Config::check`]).
pub fn area(config: &Config) -> Area {
    let fields = fields(config);
    let unit = |fit: &'static Fit| {
        let count = fit.count(&fields)?;
        let each = fit.at(&fit.parameters(&fields)?)?;
        Ok(UnitArea {
            unit: &fit.unit,
            part: fit.part,
            count: count.round() as usize,
            each,
            total: each * count,
        })
    };
    let units: Result<Vec<_>, super::formula::FormulaError> = FITS.0.iter().map(unit).collect();
    // The formulas are part of the program, and have only names that a test gives them.
    let units = units.unwrap_or_else(|e| unreachable!("hw/synth/fits.json: {e}"));
    let total = units.iter().map(|u| u.total).sum();
    Area { units, total }
}
