//! What the DRAM behind a port has done.

/// Counters of the DRAM behind one port. Times in memory clocks (900 MHz; four to a kernel clock).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DramCounters {
    /// 64-byte beats read.
    pub read_beats: u64,
    /// 64-byte beats written.
    pub write_beats: u64,
    /// Rows opened in a closed bank.
    pub row_empty: u64,
    /// Rows opened in place of another.
    pub row_misses: u64,
    /// Refreshes of all banks.
    pub refreshes: u64,
    /// Changes of the direction of the data bus.
    pub turnarounds: u64,
    /// Memory clocks with data on the bus.
    pub busy_ticks: u64,
    /// Memory clocks an access waited for a refresh, reopening of its row included.
    pub refresh_ticks: u64,
    /// Memory clocks an access waited for the bus to turn.
    pub turnaround_ticks: u64,
    /// Memory clocks an access waited for its row.
    pub row_ticks: u64,
}

impl DramCounters {
    /// Beats that found their row open: all that did not have it opened for them.
    pub fn row_hits(&self) -> u64 {
        (self.read_beats + self.write_beats).saturating_sub(self.row_empty + self.row_misses)
    }
}
