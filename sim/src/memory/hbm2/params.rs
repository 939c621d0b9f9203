//! Every number of the model, with its source. `docs/hbm2.md` repeats the table; a test compares them.

use crate::memory::BEAT_BYTES;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Read in the source that is named.
    Published,
    /// Known from a publication that was not at hand when the table was written.
    Recalled,
    /// Chosen so that the model reproduces a measurement.
    Calibrated,
    /// A plausible choice; no source.
    Assumed,
}

/// A value and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sourced {
    /// The value, in the unit of its row.
    pub value: f64,
    /// How well it is known.
    pub basis: Basis,
    /// The source.
    pub source: &'static str,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Name of the field of [`Params`].
    pub name: &'static str,
    /// Unit.
    pub unit: &'static str,
    /// Meaning.
    pub meaning: &'static str,
    /// Behind the HBM ports of U280, U50, U55C and VCU128.
    pub hbm2: Sourced,
    /// Behind the HBM ports of the V80.
    pub hbm2e: Sourced,
    /// Behind the auxiliary port, or all ports of a card without HBM.
    pub ddr4: Sourced,
}

macro_rules! parameters {
    ($($(#[doc = $meaning:literal])+ $name:ident [$unit:literal]
        $hv:literal $hb:ident $hs:expr; $ev:literal $eb:ident $es:expr; $dv:literal $db:ident $ds:expr;)*) => {
        /// The parameters of one memory behind one port. Times are in nanoseconds.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Params {
            $($(#[doc = $meaning])+ pub $name: f64,)*
        }

        /// A pseudo-channel of the U280's HBM2.
        pub const HBM2: Params = Params { $($name: $hv,)* };
        /// A pseudo-channel of the V80's HBM2e.
        pub const HBM2E: Params = Params { $($name: $ev,)* };
        /// A DDR4 channel.
        pub const DDR4: Params = Params { $($name: $dv,)* };
        /// The sources.
        pub const TABLE: &[Row] = &[$(Row {
            name: stringify!($name),
            unit: $unit,
            meaning: concat!($($meaning),+),
            hbm2: Sourced { value: $hv, basis: Basis::$hb, source: $hs },
            hbm2e: Sourced { value: $ev, basis: Basis::$eb, source: $es },
            ddr4: Sourced { value: $dv, basis: Basis::$db, source: $ds },
        },)*];
    };
}

const D3: &str = "DRAMsim3 HBM2_8Gb_x128.ini";
const D4: &str = "DRAMsim3 DDR4_8Gb_x8_2400.ini";
const UG: &str = "AMD UG1556: 1800 Mb/s a pin, two 32 Gb stacks";
const JE: &str = "JESD235: burst of 4 on 64 bits, 2 tCK";
const JL: &str = "JESD235: 4 tCK in pseudo-channel mode";
const MAP: &str = "Shuhai, PG276: row, BG1, bank, column, BG0 (14-1-2-5-1 bits above a 32-byte access)";
const RF: &str = "Ramulator2 HBM2.cpp: 4 Gb a channel";
const LAT: &str = "idle latency of Shuhai (107/122/138 ns)";
const LAT4: &str = "idle latency of Shuhai (73/90/107 ns)";
const PG: &str = "PG276: 64 reads of 16 x 32 bytes a port";
const PGW: &str = "PG276: 32 writes a port";
const PAGE4: &str = "x8 devices, 1024 columns, 8 of them";
const NONE: &str = "-";
const V80: &str = "AMD: 3200 Mb/s a pin, 64 bits a pseudo-channel";
const AS2: &str = "as HBM2: the arrays are alike";
const AS2P: &str = "as HBM2: no measured latency of a V80 was at hand";
const RFE: &str = "JESD235: 8 Gb a channel";

parameters! {
    /// Clock of the kernel's AXI port
    kernel_mhz ["MHz"] 225.0 Assumed "this project's engine"; 225.0 Assumed "this project's engine"; 225.0 Assumed "this project's engine";
    /// Clock of the memory model: every time is rounded up to its ticks
    memory_mhz ["MHz"] 900.0 Published UG; 3600.0 Assumed "16 ticks of the kernel clock; the HBM runs at 1600"; 900.0 Assumed "same ticks as the HBM; the DIMM runs at 1200";
    /// Commands to rows start on multiples of this many ticks (the controller runs at 450 MHz)
    command_grid ["ticks"] 2.0 Calibrated "Shuhai: 7 controller clocks for tRCD and for tRP"; 8.0 Assumed AS2; 1.0 Assumed NONE;
    /// Bytes of a row of one bank unit: the banks that one 64-byte beat touches together
    row_bytes ["bytes"] 2048.0 Recalled MAP; 2048.0 Assumed AS2; 8192.0 Published PAGE4;
    /// Bank units
    banks ["units"] 8.0 Recalled MAP; 8.0 Assumed AS2; 16.0 Published D4;
    /// Column accesses, each in a bank of its own, that make a beat
    accesses ["per beat"] 2.0 Recalled MAP; 2.0 Assumed AS2; 1.0 Published D4;
    /// Data bus time of one column access
    burst ["ns"] 2.222 Recalled JE; 1.25 Published V80; 3.333 Published D4;
    /// Column to column, different bank groups
    t_ccd_s ["ns"] 2.222 Recalled JE; 1.25 Published V80; 3.333 Published D4;
    /// Column to column, same bank group
    t_ccd_l ["ns"] 4.444 Recalled JL; 2.5 Assumed "4 tCK, as HBM2"; 3.333 Assumed "bank groups take turns";
    /// Read command to data
    cl ["ns"] 14.0 Published D3; 14.0 Assumed AS2; 13.33 Published D4;
    /// Write command to data
    cwl ["ns"] 4.0 Published D3; 4.0 Assumed AS2; 13.33 Published D4;
    /// Activate to column
    t_rcd ["ns"] 14.0 Published D3; 14.0 Assumed AS2; 13.33 Published D4;
    /// Precharge to activate
    t_rp ["ns"] 14.0 Published D3; 14.0 Assumed AS2; 13.33 Published D4;
    /// Activate to precharge; tRC = tRAS + tRP
    t_ras ["ns"] 34.0 Published D3; 34.0 Assumed AS2; 32.5 Published D4;
    /// Activate to activate, different bank groups
    t_rrd_s ["ns"] 4.0 Published D3; 4.0 Assumed AS2; 3.333 Published D4;
    /// Activate to activate, same bank group
    t_rrd_l ["ns"] 6.0 Published D3; 6.0 Assumed AS2; 5.0 Published D4;
    /// At most four activates in this time
    t_faw ["ns"] 30.0 Published D3; 30.0 Assumed AS2; 21.67 Published D4;
    /// End of write data to precharge
    t_wr ["ns"] 16.0 Published D3; 16.0 Assumed AS2; 15.83 Published D4;
    /// Read to precharge (longer of same and different bank group)
    t_rtp ["ns"] 6.0 Published D3; 6.0 Assumed AS2; 7.5 Assumed "JESD79-4, recalled";
    /// End of write data to read (same bank group)
    t_wtr ["ns"] 8.0 Published D3; 8.0 Assumed AS2; 7.5 Published D4;
    /// Gap on the bus between read and write data, in memory clocks
    t_rtw ["ns"] 2.222 Published "Ramulator2 HBM2.cpp: read to write is CL + BL/2 + 2 - CWL"; 1.25 Assumed "2 tCK, likewise"; 1.667 Assumed "2 tCK, likewise";
    /// Average interval of refreshes of all banks
    t_refi ["ns"] 3900.0 Published D3; 3900.0 Assumed AS2; 7800.0 Published D4;
    /// Duration of a refresh of all banks
    t_rfc ["ns"] 260.0 Published RF; 350.0 Recalled RFE; 350.0 Published D4;
    /// Address at the port to the first command: interconnect, clock crossing, controller
    request_path ["ns"] 53.33 Calibrated LAT; 53.33 Assumed AS2P; 27.8 Calibrated LAT4;
    /// End of the data burst to the port: controller, clock crossing, interconnect
    return_path ["ns"] 32.22 Calibrated LAT; 32.22 Assumed AS2P; 27.8 Calibrated LAT4;
    /// Open read bursts at the port
    read_bursts ["bursts"] 64.0 Recalled PG; 64.0 Assumed NONE; 64.0 Assumed NONE;
    /// Beats of open read bursts at the port; a burst is taken when 64 more are free
    read_beats ["beats"] 512.0 Recalled PG; 512.0 Assumed NONE; 512.0 Assumed NONE;
    /// Open write bursts at the port
    write_bursts ["bursts"] 32.0 Recalled PGW; 32.0 Assumed NONE; 32.0 Assumed NONE;
    /// Write beats the controller holds
    write_buffer ["beats"] 32.0 Assumed NONE; 32.0 Assumed NONE; 32.0 Assumed NONE;
    /// Read beats on their way to a port that does not take them
    read_buffer ["beats"] 64.0 Assumed NONE; 64.0 Assumed NONE; 64.0 Assumed NONE;
    /// Row segments at the head of the queue for which rows are opened
    look_ahead ["segments"] 16.0 Assumed NONE; 16.0 Assumed NONE; 16.0 Assumed NONE;
    /// Waiting write beats that turn the bus round
    write_high ["beats"] 16.0 Assumed NONE; 16.0 Assumed NONE; 16.0 Assumed NONE;
    /// Age of a write that turns the bus round
    write_age ["ns"] 150.0 Assumed NONE; 150.0 Assumed NONE; 150.0 Assumed NONE;
    /// Least time from beat to beat, where a channel is slower or several ports share it
    slot ["ns"] 0.0 Assumed "set by the card"; 0.0 Assumed "set by the card"; 0.0 Assumed "set by the card";
    /// Most write beats in a row while reads wait
    write_batch ["beats"] 16.0 Assumed NONE; 16.0 Assumed NONE; 16.0 Assumed NONE;
}

/// Ticks of a kernel clock where nothing was calibrated: times are rounded by less than a thousandth of a beat.
const FINE: f64 = 256.0;

impl Params {
    /// Peak rate of the data bus, GB/s.
    pub fn peak(&self) -> f64 {
        BEAT_BYTES as f64 / (self.accesses * self.burst.max(self.t_ccd_s)).max(self.t_ccd_l)
    }

    /// The same memory behind a port with this clock, which gets at most `gb_per_s` of it.
    #[must_use]
    pub fn behind(&self, kernel_mhz: f64, gb_per_s: f64) -> Self {
        let slower = gb_per_s < self.peak() * 0.999;
        if kernel_mhz == self.kernel_mhz && !slower {
            return self.clone();
        }
        let memory_mhz = kernel_mhz * FINE;
        let command_grid = (self.command_grid * memory_mhz / self.memory_mhz).round();
        let slot = if slower { BEAT_BYTES as f64 / gb_per_s } else { self.slot };
        Self { kernel_mhz, memory_mhz, command_grid, slot, ..self.clone() }
    }
}
