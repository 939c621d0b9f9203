//! Every number of the model, with its source. `docs/hbm2.md` repeats the table; a test compares them.

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
    /// Behind the 32 HBM ports.
    pub hbm2: Sourced,
    /// Behind the auxiliary port.
    pub ddr4: Sourced,
}

macro_rules! parameters {
    ($($(#[doc = $meaning:literal])+ $name:ident [$unit:literal]
        $hv:literal $hb:ident $hs:expr; $dv:literal $db:ident $ds:expr;)*) => {
        /// The parameters of one memory behind one port. Times are in nanoseconds.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Params {
            $($(#[doc = $meaning])+ pub $name: f64,)*
        }

        /// A pseudo-channel of the U280's HBM2.
        pub const HBM2: Params = Params { $($name: $hv,)* };
        /// A DDR4 channel of the U280.
        pub const DDR4: Params = Params { $($name: $dv,)* };
        /// The sources.
        pub const TABLE: &[Row] = &[$(Row {
            name: stringify!($name),
            unit: $unit,
            meaning: concat!($($meaning),+),
            hbm2: Sourced { value: $hv, basis: Basis::$hb, source: $hs },
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
const KERNEL: &str = "the port's 64 bytes at 225 MHz; the DIMM has 19.2 GB/s";
const PAGE4: &str = "x8 devices, 1024 columns, 8 of them";
const NONE: &str = "-";

parameters! {
    /// Clock of the kernel's AXI port
    kernel_mhz ["MHz"] 225.0 Assumed "this project's engine"; 225.0 Assumed "this project's engine";
    /// Clock of the memory model: every time is rounded up to its ticks
    memory_mhz ["MHz"] 900.0 Published UG; 900.0 Assumed "same ticks as the HBM; the DIMM runs at 1200";
    /// Commands to rows start on multiples of this many ticks (the controller runs at 450 MHz)
    command_grid ["ticks"] 2.0 Calibrated "Shuhai: 7 controller clocks for tRCD and for tRP"; 1.0 Assumed NONE;
    /// Bytes of a row of one bank unit: the banks that one 64-byte beat touches together
    row_bytes ["bytes"] 2048.0 Recalled MAP; 8192.0 Published PAGE4;
    /// Bank units
    banks ["units"] 8.0 Recalled MAP; 16.0 Published D4;
    /// Column accesses, each in a bank of its own, that make a beat
    accesses ["per beat"] 2.0 Recalled MAP; 1.0 Published D4;
    /// Data bus time of one column access
    burst ["ns"] 2.222 Recalled JE; 3.333 Published D4;
    /// Column to column, different bank groups
    t_ccd_s ["ns"] 2.222 Recalled JE; 3.333 Published D4;
    /// Column to column, same bank group
    t_ccd_l ["ns"] 4.444 Recalled JL; 4.444 Assumed KERNEL;
    /// Read command to data
    cl ["ns"] 14.0 Published D3; 13.33 Published D4;
    /// Write command to data
    cwl ["ns"] 4.0 Published D3; 13.33 Published D4;
    /// Activate to column
    t_rcd ["ns"] 14.0 Published D3; 13.33 Published D4;
    /// Precharge to activate
    t_rp ["ns"] 14.0 Published D3; 13.33 Published D4;
    /// Activate to precharge; tRC = tRAS + tRP
    t_ras ["ns"] 34.0 Published D3; 32.5 Published D4;
    /// Activate to activate, different bank groups
    t_rrd_s ["ns"] 4.0 Published D3; 3.333 Published D4;
    /// Activate to activate, same bank group
    t_rrd_l ["ns"] 6.0 Published D3; 5.0 Published D4;
    /// At most four activates in this time
    t_faw ["ns"] 30.0 Published D3; 21.67 Published D4;
    /// End of write data to precharge
    t_wr ["ns"] 16.0 Published D3; 15.83 Published D4;
    /// Read to precharge (longer of same and different bank group)
    t_rtp ["ns"] 6.0 Published D3; 7.5 Assumed "JESD79-4, recalled";
    /// End of write data to read (same bank group)
    t_wtr ["ns"] 8.0 Published D3; 7.5 Published D4;
    /// Gap on the bus between read and write data, in memory clocks
    t_rtw ["ns"] 2.222 Published "Ramulator2 HBM2.cpp: read to write is CL + BL/2 + 2 - CWL"; 1.667 Assumed "2 tCK, likewise";
    /// Average interval of refreshes of all banks
    t_refi ["ns"] 3900.0 Published D3; 7800.0 Published D4;
    /// Duration of a refresh of all banks
    t_rfc ["ns"] 260.0 Published RF; 350.0 Published D4;
    /// Address at the port to the first command: interconnect, clock crossing, controller
    request_path ["ns"] 53.33 Calibrated LAT; 27.8 Calibrated LAT4;
    /// End of the data burst to the port: controller, clock crossing, interconnect
    return_path ["ns"] 32.22 Calibrated LAT; 27.8 Calibrated LAT4;
    /// Open read bursts at the port
    read_bursts ["bursts"] 64.0 Recalled PG; 64.0 Assumed NONE;
    /// Beats of open read bursts at the port; a burst is taken when 64 more are free
    read_beats ["beats"] 512.0 Recalled PG; 512.0 Assumed NONE;
    /// Open write bursts at the port
    write_bursts ["bursts"] 32.0 Recalled PGW; 32.0 Assumed NONE;
    /// Write beats the controller holds
    write_buffer ["beats"] 32.0 Assumed NONE; 32.0 Assumed NONE;
    /// Read beats on their way to a port that does not take them
    read_buffer ["beats"] 64.0 Assumed NONE; 64.0 Assumed NONE;
    /// Row segments at the head of the queue for which rows are opened
    look_ahead ["segments"] 16.0 Assumed NONE; 16.0 Assumed NONE;
    /// Waiting write beats that turn the bus round
    write_high ["beats"] 16.0 Assumed NONE; 16.0 Assumed NONE;
    /// Age of a write that turns the bus round
    write_age ["ns"] 150.0 Assumed NONE; 150.0 Assumed NONE;
    /// Most write beats in a row while reads wait
    write_batch ["beats"] 16.0 Assumed NONE; 16.0 Assumed NONE;
}
