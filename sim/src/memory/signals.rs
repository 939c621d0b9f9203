//! The wires of one AXI4 port: 512-bit data, 64-bit byte addresses, INCR bursts, no IDs.

/// Bytes in one beat.
pub const BEAT_BYTES: usize = 64;
/// 32-bit words in one beat.
pub const BEAT_WORDS: usize = BEAT_BYTES / 4;
/// One data beat, least significant word first.
pub type Beat = [u32; BEAT_WORDS];

/// AXI response codes.
pub mod resp {
    /// Success.
    pub const OKAY: u8 = 0;
    /// The slave reached its target and failed.
    pub const SLVERR: u8 = 2;
    /// No slave at that address.
    pub const DECERR: u8 = 3;
}

/// What the master drives, sampled just before a rising edge.
#[derive(Debug, Clone, Copy)]
pub struct MasterOut<'a> {
    /// Read address valid.
    pub arvalid: bool,
    /// Read address, in bytes.
    pub araddr: u64,
    /// Read burst length minus one.
    pub arlen: u8,
    /// The master takes read data.
    pub rready: bool,
    /// Write address valid.
    pub awvalid: bool,
    /// Write address, in bytes.
    pub awaddr: u64,
    /// Write burst length minus one.
    pub awlen: u8,
    /// Write data valid.
    pub wvalid: bool,
    /// Write data.
    pub wdata: &'a Beat,
    /// One bit per byte of `wdata`.
    pub wstrb: u64,
    /// Last beat of the write burst.
    pub wlast: bool,
    /// The master takes write responses.
    pub bready: bool,
}

/// A beat of zeros, for masters that do not write.
pub static ZERO_BEAT: Beat = [0; BEAT_WORDS];

impl MasterOut<'static> {
    /// A master that asks for nothing and takes everything.
    pub fn idle() -> Self {
        Self {
            arvalid: false,
            araddr: 0,
            arlen: 0,
            rready: true,
            awvalid: false,
            awaddr: 0,
            awlen: 0,
            wvalid: false,
            wdata: &ZERO_BEAT,
            wstrb: 0,
            wlast: false,
            bready: true,
        }
    }
}

/// What the slave drives after a rising edge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlaveOut {
    /// The slave takes a read address.
    pub arready: bool,
    /// Read data valid.
    pub rvalid: bool,
    /// Read data; meaningful only with `rvalid`.
    pub rdata: Beat,
    /// Read response code.
    pub rresp: u8,
    /// Last beat of the read burst.
    pub rlast: bool,
    /// The slave takes a write address.
    pub awready: bool,
    /// The slave takes write data.
    pub wready: bool,
    /// Write response valid.
    pub bvalid: bool,
    /// Write response code.
    pub bresp: u8,
}
