//! The parameters in memory clocks ("ticks"), checked.

use super::params::Params;

/// A parameter that makes no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ParamsError {
    /// Negative, not a number, or beyond a million.
    #[error("memory parameter {name} is {value}; give a number from {low} to 1000000")]
    Range {
        /// Name of the field.
        name: &'static str,
        /// What was given.
        value: f64,
        /// The smallest value.
        low: f64,
    },
    /// A number that must be a power of two is not.
    #[error("memory parameter {name} is {value}; give a power of two up to {high}")]
    PowerOfTwo {
        /// Name of the field.
        name: &'static str,
        /// What was given.
        value: f64,
        /// The largest value.
        high: f64,
    },
    /// The memory clock is not a power of two times the kernel clock.
    #[error("the memory clock of {memory} MHz is not 1, 2, 4, ... times the kernel clock of {kernel} MHz")]
    Clocks {
        /// Memory clock in MHz.
        memory: f64,
        /// Kernel clock in MHz.
        kernel: f64,
    },
    /// An answer takes too long.
    #[error(
        "data take more than {cycles} kernel clocks from the command to the port: cl, cwl or return_path"
    )]
    Return {
        /// The most.
        cycles: u64,
    },
    /// Refresh takes the whole time.
    #[error("a refresh of {rfc} ns every {refi} ns leaves no time for anything else")]
    Refresh {
        /// Duration in ns.
        rfc: f64,
        /// Interval in ns.
        refi: f64,
    },
}

/// Kernel clocks that an answer may take.
const PIPE: u64 = 62;

/// What the scheduler computes with; times in memory clocks, sums of JEDEC parameters where only the sum is used.
#[derive(Debug, Clone)]
pub struct Ticks {
    /// Ticks of a kernel clock.
    pub cycle: u64,
    /// Its logarithm.
    pub cycle_shift: u32,
    /// Row commands start on multiples of this.
    pub grid: u64,
    /// log2 of the bytes of a row of a bank unit.
    pub row_shift: u32,
    /// log2 of the number of bank units.
    pub bank_shift: u32,
    /// Activates of one bank unit.
    pub accesses: u64,
    /// One beat to the next, same direction.
    pub beat: u64,
    /// Activate of a bank unit to the first column command of a beat in it.
    pub act_to_col: u64,
    /// Precharge to activate.
    pub pre_to_act: u64,
    /// Activate to precharge.
    pub act_to_pre: u64,
    /// Activate of a unit to the activate of the next unit.
    pub act_to_act: u64,
    /// Window of four activates.
    pub faw: u64,
    /// First column command of a read beat to precharge.
    pub read_to_pre: u64,
    /// First column command of a write beat to precharge.
    pub write_to_pre: u64,
    /// First column command of a read beat to that of a write beat.
    pub read_to_write: u64,
    /// First column command of a write beat to that of a read beat.
    pub write_to_read: u64,
    /// Refresh interval.
    pub refi: u64,
    /// Refresh to activate.
    pub rfc: u64,
    /// Address accepted to the first command.
    pub request: u64,
    /// First column command of a read beat to the port having it.
    pub read_return: u64,
    /// First column command of a write beat to its response at the port.
    pub write_return: u64,
    /// Open read bursts.
    pub read_bursts: usize,
    /// Open read beats.
    pub read_beats: usize,
    /// Open write bursts.
    pub write_bursts: usize,
    /// Write beats held.
    pub write_buffer: usize,
    /// Read beats on their way to the port.
    pub read_buffer: u32,
    /// Segments for which rows are opened.
    pub look_ahead: usize,
    /// Writes that turn the bus.
    pub write_high: usize,
    /// Age of a write that turns the bus.
    pub write_age: u64,
    /// Most writes in a row while reads wait.
    pub write_batch: u64,
}

/// The largest parameter.
const MAX: f64 = 1e6;
/// Burst length of the bus: the room that must be free before an address is taken.
pub const LONGEST: usize = 64;

/// A number from `low` on.
fn check(name: &'static str, value: f64, low: f64) -> Result<f64, ParamsError> {
    match (low..=MAX).contains(&value) {
        true => Ok(value),
        false => Err(ParamsError::Range { name, value, low }),
    }
}

fn count(name: &'static str, value: f64, low: f64) -> Result<usize, ParamsError> {
    Ok(check(name, value, low)? as usize)
}

/// The logarithm of a power of two up to `high`.
fn log2(name: &'static str, value: f64, high: f64) -> Result<u32, ParamsError> {
    match value as u64 {
        n if value.fract() == 0.0 && value <= high && n.is_power_of_two() => Ok(n.trailing_zeros()),
        _ => Err(ParamsError::PowerOfTwo { name, value, high }),
    }
}

/// Clocks of the memory in one of the kernel.
fn ticks_of_a_cycle(kernel: f64, memory: f64) -> Result<u64, ParamsError> {
    let cycle = memory / kernel;
    match cycle.fract() == 0.0 && (cycle as u64).is_power_of_two() {
        true => Ok(cycle as u64),
        false => Err(ParamsError::Clocks { memory, kernel }),
    }
}

impl Ticks {
    /// Ticks of a refresh interval that have passed, where `phase` (0 to 1) of it has.
    pub fn passed(&self, phase: f64) -> u64 {
        (self.refi as f64 * phase.clamp(0.0, 1.0)) as u64
    }

    /// Converts and checks.
    ///
    /// # Errors
    /// A value out of range, or clocks that do not fit each other.
    pub fn new(p: &Params) -> Result<Self, ParamsError> {
        let memory = check("memory_mhz", p.memory_mhz, 1.0)?;
        let cycle = ticks_of_a_cycle(check("kernel_mhz", p.kernel_mhz, 1.0)?, memory)?;
        // 2 tCK are written 2.222 ns: a thousandth of a tick is rounding of the table, not time.
        let ns =
            |name, value: f64| Ok((check(name, value, 0.0)? * memory / 1000.0 - 1e-3).ceil().max(0.0) as u64);
        let grid = count("command_grid", p.command_grid, 1.0)? as u64;
        let row = |name, value| Ok(ns(name, value)?.next_multiple_of(grid));
        let accesses = count("accesses", p.accesses, 1.0)?.min(4) as u64;
        let (burst, ccd_s) = (ns("burst", p.burst)?, ns("t_ccd_s", p.t_ccd_s)?);
        let (rrd_s, rrd_l) = (ns("t_rrd_s", p.t_rrd_s)?, ns("t_rrd_l", p.t_rrd_l)?);
        let (cl, cwl) = (ns("cl", p.cl)?, ns("cwl", p.cwl)?);
        let (rcd, ras, rp) = (row("t_rcd", p.t_rcd)?, row("t_ras", p.t_ras)?, row("t_rp", p.t_rp)?);
        let last_access = (accesses - 1) * ccd_s;
        let data_end = last_access + burst;
        let return_path = ns("return_path", p.return_path)?;
        if (data_end + cl.max(cwl) + return_path) / cycle >= PIPE {
            return Err(ParamsError::Return { cycles: PIPE });
        }
        let (refi, rfc) = (ns("t_refi", p.t_refi)?, ns("t_rfc", p.t_rfc)?);
        if refi <= rfc + 2 * (ras + rp + rcd) {
            return Err(ParamsError::Refresh { rfc: p.t_rfc, refi: p.t_refi });
        }
        Ok(Self {
            cycle,
            cycle_shift: cycle.trailing_zeros(),
            grid,
            row_shift: log2("row_bytes", p.row_bytes, 65536.0)?,
            bank_shift: log2("banks", p.banks, 64.0)?,
            accesses,
            beat: (accesses * ccd_s.max(burst))
                .max(ns("t_ccd_l", p.t_ccd_l)?)
                .max(ns("slot", p.slot)?)
                .max(cycle),
            // The banks of a unit are activated tRRD_S apart, and read tCCD_S apart.
            act_to_col: rcd + (accesses - 1) * rrd_s.saturating_sub(ccd_s),
            pre_to_act: rp,
            act_to_pre: ras,
            act_to_act: (accesses * rrd_s).max(rrd_l).next_multiple_of(grid),
            faw: row("t_faw", p.t_faw)?,
            read_to_pre: last_access + ns("t_rtp", p.t_rtp)?,
            write_to_pre: data_end + cwl + ns("t_wr", p.t_wr)?,
            read_to_write: (data_end + cl + ns("t_rtw", p.t_rtw)?).saturating_sub(cwl),
            write_to_read: data_end + cwl + ns("t_wtr", p.t_wtr)?,
            refi,
            rfc,
            request: ns("request_path", p.request_path)?,
            read_return: data_end + cl + return_path,
            write_return: data_end + cwl + return_path,
            read_bursts: count("read_bursts", p.read_bursts, 1.0)?,
            read_beats: count("read_beats", p.read_beats, LONGEST as f64)?,
            write_bursts: count("write_bursts", p.write_bursts, 1.0)?,
            write_buffer: count("write_buffer", p.write_buffer, 1.0)?,
            read_buffer: count("read_buffer", p.read_buffer, 1.0)? as u32,
            look_ahead: count("look_ahead", p.look_ahead, 1.0)?,
            write_high: count("write_high", p.write_high, 1.0)?,
            write_age: ns("write_age", p.write_age)?,
            write_batch: count("write_batch", p.write_batch, 1.0)? as u64,
        })
    }
}
