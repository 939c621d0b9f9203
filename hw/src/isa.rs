//! The instruction set: one table from which encoder, decoder, assembler, disassembler, `accllm_isa_pkg.sv` and
//! `docs/isa.md` are made.
//!
//! All instructions share one 256-bit layout. An operand `a`, `b`, `c`, `n`, `m` is an immediate plus a register
//! (register 0 reads 0), summed modulo 2^32 at dispatch; `k`, `sh`, `x`, `aux` are immediates.

/// Which unit executes an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// The sequencer itself, at dispatch.
    Control,
    /// Prefetch and matrix unit (tiles).
    Matrix,
    /// Vector unit, with the KV write path and the auxiliary memory port.
    Vector,
}

/// One 256-bit instruction before register operands are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Instr {
    /// Opcode, see [`Op`].
    pub op: u8,
    /// Flag bits, see [`FLAG_WIDE`] and the table.
    pub flags: u8,
    /// Semaphores (1..=15, 0 = none) waited for, each decremented, before the unit starts.
    pub wait: [u8; 2],
    /// Semaphores incremented when all effects of the instruction are visible.
    pub signal: [u8; 2],
    /// Semaphore that the prefetcher waits for before it reads (matrix instructions only).
    pub prefetch_wait: u8,
    /// Operand immediates.
    pub a: u32,
    /// Operand b.
    pub b: u32,
    /// Operand c.
    pub c: u32,
    /// Operand n (16-bit immediate).
    pub n: u16,
    /// Operand m (16-bit immediate).
    pub m: u16,
    /// Registers added to a, b, c, n, m.
    pub regs: [u8; 5],
    /// Immediate k.
    pub k: u16,
    /// Immediate sh.
    pub sh: u8,
    /// Immediate x.
    pub x: u8,
    /// Immediate aux.
    pub aux: u32,
}

/// Bytes of an instruction.
pub const INSTR_BYTES: usize = 32;
/// Registers of the sequencer: 0 reads 0; 1..=15 hold the host's arguments at start; the rest start at 0.
pub const REGISTERS: usize = 32;
/// Arguments that the host passes (registers 1..=15).
pub const ARGS: usize = 15;
/// Depth of the loop stack.
pub const LOOP_DEPTH: usize = 4;
/// Semaphores, 1..=15. Each is waited for by one unit only; counts to 255.
pub const SEMAPHORES: usize = 15;
/// Flag of MATV and SOFTMAX: 16-bit probabilities as two int8 lane rows (high half first).
pub const FLAG_WIDE: u8 = 4;
/// Flag of LOAD: 32-bit elements instead of 16-bit ones.
pub const FLAG_I32: u8 = 1;
/// Flag of HADX: last stage, apply `sat16(rs(_, sh))`.
pub const FLAG_FINAL: u8 = 1;
/// Flag of NORMQ: 16-bit results to vector memory instead of codes to activations.
pub const FLAG_VMEM: u8 = 1;
/// Flag of ARGMAX: first chunk, forget the running maximum.
pub const FLAG_FIRST: u8 = 1;
/// Mask of the weight format in MATW's flags.
pub const FORMAT_MASK: u8 = 3;

/// Unit constants that SETC sets: index, name, meaning.
pub const CONSTANTS: [(u8, &str, &str); 9] = [
    (0, "HDP", "padded head dimension, 64, 128 or 256"),
    (1, "N_SINK", "sink tokens"),
    (2, "N_WINDOW", "window tokens"),
    (3, "RING", "window slots (ring size)"),
    (4, "SINK_PAD", "slots of the sink region"),
    (5, "GQA", "query heads per KV head, 1..16"),
    (6, "SCORE_ROW", "score buffer elements per lane step"),
    (7, "K_WINDOW", "beats from a K head's sink region to its window region"),
    (8, "V_DIM", "padded V head dimension: elements between V heads in vector memory"),
];

/// A row of the instruction table.
#[derive(Debug, Clone, Copy)]
pub struct OpInfo {
    /// The instruction.
    pub op: Op,
    /// Mnemonic.
    pub name: &'static str,
    /// Unit.
    pub unit: Unit,
    /// Fields it uses (letters of a b c n m k h=sh x u=aux f=flags), others must be 0.
    pub fields: &'static str,
    /// What it does.
    pub doc: &'static str,
}

macro_rules! ops {
    ($($(#[doc = $d:literal])+ $name:ident = $code:literal, $unit:ident, $fields:literal;)+) => {
        /// Opcodes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(clippy::upper_case_acronyms)] // mnemonics
        pub enum Op { $($(#[doc = $d])+ $name = $code,)+ }

        /// The instruction table.
        pub const OPS: &[OpInfo] = &[$(OpInfo {
            op: Op::$name, name: stringify!($name), unit: Unit::$unit, fields: $fields, doc: concat!($($d, "\n"),+),
        },)+];
    };
}

ops! {
    /// Wait until all units are idle, then finish the run (ap_done).
    END = 0x01, Control, "";
    /// `R[x] = a + b`.
    ADD = 0x02, Control, "abx";
    /// Run the instructions up to the matching ENDLOOP n times; `a` is the index after that ENDLOOP (taken when n = 0).
    LOOP = 0x03, Control, "an";
    /// End of a loop body.
    ENDLOOP = 0x04, Control, "";
    /// Wait until all units are idle, then set unit constant `x` to `a`.
    SETC = 0x05, Control, "ax";
    /// Wait until all units are idle.
    FENCE = 0x06, Control, "";

    /// Linear layer. Weight stream at beat `a` of every channel (format in flags[1:0]), `n` steps of C rows, `k` value beats a row, `m` tokens.
    /// Activation word of value beat v, lane step s: `b + (v / (256/columns)) * x + s`. Output o of token t to vector memory `c + t*aux + o`.
    /// The sum over a value beat is multiplied by 2^e of the lane's activation word. n = 0 or m = 0: nothing.
    MATW = 0x10, Matrix, "abcnmkxuf";
    /// Scores. K region at beat `a`, `n` steps, `m` lane rows; queries at activation word `b + s`, columns 0..127, or 0..255 where HDP is 256; q_sum from scalar `aux + row`.
    /// Result of token slot w (from 0 in this region) to score buffer row, slot `c + w`.
    MATK = 0x11, Matrix, "abcnmu";
    /// Weighted sum of V. V head at beat `a`, `sh` steps of 4C dims, `k` beats between steps, `n` blocks of 32 slots; `m` rows; probabilities at
    /// activation word `b + (block/2)*x + s`, half block%2 (each 32 values repeated 4 times); dim d of row r, `sat32`, to vector memory `c + r*aux + d`. Flag 4: wide.
    MATV = 0x12, Matrix, "abcnmkhxuf";

    /// Read auxiliary memory from beat `a`: `n` elements (multiple of 32), i16, or i32 with flag 1, to vector memory `c`.
    LOAD = 0x20, Vector, "acnf";
    /// Embedding row: id = vector memory element `b`; fault unless id < aux. `n` i16 elements (multiple of 32) at auxiliary beat `a + id*k`, shifted left by sh, to `c`.
    EMBED = 0x21, Vector, "abcnkhu";
    /// Sum of squares of `n` elements at `a` plus eps = aux; rsqrt's (r, e) to scalar `c`.
    SUMSQ = 0x22, Vector, "acnu";
    /// Normalize and quantize `n` elements at `a` with constants at `b`, rsqrt in scalar aux, shift sh, to activation columns 0.. of lane row `m`: word `c + (col/256)*x + m/LANES`.
    /// Flag 1: saturated to 16 bits instead, to vector memory `c`.
    NORMQ = 0x23, Vector, "abcnmhxuf";
    /// RoPE on `n` heads at `a` (stride HDP), cos and sin (HDP/2 each) at `b`, to `c`. Pairs (i, i + HDP/2).
    ROPE = 0x24, Vector, "abcn";
    /// Hadamard stages inside a vector word (V elements), `n` elements (multiple of V) from `a` to `c`.
    HADW = 0x25, Vector, "acn";
    /// One Hadamard stage over pairs (i, i + k), k a multiple of V; flag 1: result is `sat16(rs(_, sh))`.
    HADX = 0x26, Vector, "acnkhf";
    /// Scale, base and reciprocal of `n` K heads at `a` (stride HDP) to scalars `c + head`.
    STATK = 0x27, Vector, "acn";
    /// Scale and reciprocal of `n` query heads at `a` of token `m`, to scalar `c + (h/G)*k + m*G + h%G`.
    STATQ = 0x28, Vector, "acnmk";
    /// Quantize `n` K heads at `a` with scalars `aux + head` and append at position `m`, ring pointer `b` (taken modulo RING once); K cache at beat `c`, heads `k` beats apart.
    QK = 0x29, Vector, "abcnmku";
    /// Quantize `n` V heads at `a` (stride V_DIM) with shift sh and append at position `m`, ring pointer `b`; V cache at beat `c`, heads `k` beats apart, steps aux beats apart.
    QV = 0x2a, Vector, "abcnmkhu";
    /// Quantize `n` query heads at `a` of token `m` with scalars `b + (h/G)*k + m*G + h%G` (q_sum is stored there), to activation word `c + (h/G)*x + lr/LANES`, lane row lr = m*G + h%G, columns 0..HDP-1; where HDP is 64 again in 64..127.
    QQ = 0x2b, Vector, "abcnmkx";
    /// Softmax of the GQA score rows r = m, m+1, .. of a token at position `a`, ring pointer `b`, over SINK_PAD sink slots and `n` window slots (multiple of 32); zm = k, zs = sh;
    /// scalars aux[15:0] + r (window query; receives the reciprocal of the sum) and aux[31:16] + r (sink query). Probabilities of row r to activation word
    /// `c + (slot/64)*x + lr/LANES`, lane row lr = r, half (slot/32)%2, repeated 4 times. Flag 4: two lane rows lr = 2r, 2r+1.
    SOFTMAX = 0x2c, Vector, "abcnmkhxuf";
    /// Normalize the attention sums of GQA heads g = 0, 1, ..: `n` each at `a + g*V_DIM` with scalar `b + g`, og = k, os = sh, to activation columns
    /// `aux + g*(n up to a multiple of 32)..` (aux a multiple of 32) of lane row `m`: word `c + (col/256)*x + m/LANES`.
    ATTQ = 0x2d, Vector, "abcnmkhxu";
    /// silu(gate at `a`) * up at `b`, `n` elements, shift sh, to activation columns aux.. (multiple of 256) of lane row `m`, int8 with an exponent per word: word `c + (col/256)*x + m/LANES`.
    SILU = 0x2e, Vector, "abcnmhxu";
    /// Saturating residual add of `n` elements: `c = a + b`.
    RADD = 0x2f, Vector, "abcn";
    /// Running maximum of `n` elements at `a`, indices from aux; flag 1 starts anew. Lowest index wins. Readable in the result registers.
    ARGMAX = 0x30, Vector, "anuf";
    /// Write `n` 32-bit elements (multiple of 32) at `a` to auxiliary memory from beat `c`.
    STORE = 0x31, Vector, "acn";
}

impl Op {
    /// The table row.
    pub fn info(self) -> &'static OpInfo {
        OPS.iter().find(|i| i.op == self).unwrap_or(&OPS[0])
    }

    /// Opcode to instruction.
    pub fn from_code(code: u8) -> Option<Self> {
        OPS.iter().find(|i| i.op as u8 == code).map(|i| i.op)
    }
}

/// Field positions `(name, low bit, width)` in the 256-bit word; the rest must be zero.
pub const FIELDS: &[(&str, usize, usize)] = &[
    ("op", 0, 8),
    ("flags", 8, 8),
    ("wait0", 16, 4),
    ("wait1", 20, 4),
    ("sig0", 24, 4),
    ("sig1", 28, 4),
    ("a", 32, 32),
    ("b", 64, 32),
    ("c", 96, 32),
    ("n", 128, 16),
    ("m", 144, 16),
    ("ra", 160, 5),
    ("rb", 165, 5),
    ("rc", 170, 5),
    ("rn", 175, 5),
    ("rm", 180, 5),
    ("pfw", 185, 4),
    ("k", 192, 16),
    ("sh", 208, 8),
    ("x", 216, 8),
    ("aux", 224, 32),
];

/// Why a word is not an instruction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Unknown opcode.
    #[error("illegal opcode {0:#04x}")]
    Opcode(u8),
    /// A field that the instruction does not use is not zero, or a reserved bit is set.
    #[error("{op}: field '{field}' must be zero")]
    Unused {
        /// Mnemonic.
        op: &'static str,
        /// Field name.
        field: &'static str,
    },
}

impl Instr {
    fn values(&self) -> [u32; 21] {
        let r = self.regs.map(u32::from);
        [
            self.op.into(),
            self.flags.into(),
            self.wait[0].into(),
            self.wait[1].into(),
            self.signal[0].into(),
            self.signal[1].into(),
            self.a,
            self.b,
            self.c,
            self.n.into(),
            self.m.into(),
            r[0],
            r[1],
            r[2],
            r[3],
            r[4],
            self.prefetch_wait.into(),
            self.k.into(),
            self.sh.into(),
            self.x.into(),
            self.aux,
        ]
    }

    /// The 32 bytes, little-endian. Values wider than their field are cut off.
    pub fn encode(&self) -> [u8; INSTR_BYTES] {
        let mut w = [0u32; 8];
        for (v, &(_, at, width)) in self.values().iter().zip(FIELDS) {
            w[at / 32] |= (v & (u32::MAX >> (32 - width))) << (at % 32);
        }
        let mut out = [0; INSTR_BYTES];
        for (o, v) in out.chunks_exact_mut(4).zip(w) {
            o.copy_from_slice(&v.to_le_bytes());
        }
        out
    }

    /// Decodes and checks an instruction.
    ///
    /// # Errors
    /// Unknown opcode, or a field set that this instruction does not use.
    pub fn decode(bytes: &[u8; INSTR_BYTES]) -> Result<(Op, Self), DecodeError> {
        let w: [u32; 8] =
            std::array::from_fn(|i| u32::from_le_bytes(std::array::from_fn(|j| bytes[4 * i + j])));
        let v: Vec<u32> = FIELDS
            .iter()
            .map(|&(_, at, width)| (w[at / 32] >> (at % 32)) & (u32::MAX >> (32 - width)))
            .collect();
        let instr = Self {
            op: v[0] as u8,
            flags: v[1] as u8,
            wait: [v[2] as u8, v[3] as u8],
            signal: [v[4] as u8, v[5] as u8],
            a: v[6],
            b: v[7],
            c: v[8],
            n: v[9] as u16,
            m: v[10] as u16,
            regs: std::array::from_fn(|i| v[11 + i] as u8),
            prefetch_wait: v[16] as u8,
            k: v[17] as u16,
            sh: v[18] as u8,
            x: v[19] as u8,
            aux: v[20],
        };
        let op = Op::from_code(instr.op).ok_or(DecodeError::Opcode(instr.op))?;
        instr.check(op)?;
        if instr.encode() != *bytes {
            return Err(DecodeError::Unused { op: op.info().name, field: "reserved" });
        }
        Ok((op, instr))
    }

    /// Checks that only fields of `op` are set.
    ///
    /// # Errors
    /// The first field that is set and not used.
    pub fn check(&self, op: Op) -> Result<(), DecodeError> {
        let info = op.info();
        let r = self.regs;
        let set = [
            ('f', "flags", self.flags != 0),
            ('a', "a", self.a != 0 || r[0] != 0),
            ('b', "b", self.b != 0 || r[1] != 0),
            ('c', "c", self.c != 0 || r[2] != 0),
            ('n', "n", self.n != 0 || r[3] != 0),
            ('m', "m", self.m != 0 || r[4] != 0),
            ('k', "k", self.k != 0),
            ('h', "sh", self.sh != 0),
            ('x', "x", self.x != 0),
            ('u', "aux", self.aux != 0),
        ];
        let control = info.unit == Unit::Control;
        let sync = [
            ("wait/signal", control && (self.wait != [0; 2] || self.signal != [0; 2])),
            ("pfw", info.unit != Unit::Matrix && self.prefetch_wait != 0),
        ];
        let unused = set.iter().filter(|(l, _, on)| *on && !info.fields.contains(*l)).map(|f| f.1);
        match unused.chain(sync.iter().filter(|f| f.1).map(|f| f.0)).next() {
            Some(field) => Err(DecodeError::Unused { op: info.name, field }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decode_inverts_encode_and_never_panics(bytes: [u8; 32]) {
            if let Ok((op, i)) = Instr::decode(&bytes) {
                prop_assert_eq!(op as u8, i.op);
                prop_assert_eq!(i.encode(), bytes);
            }
        }

        #[test]
        fn all_field_round_trip(a: u32, n: u16, aux: u32, regs in proptest::array::uniform5(0u8..32), w in 0u8..16) {
            let i = Instr { op: Op::MATV as u8, a, n, aux, regs, wait: [w, 3], prefetch_wait: w, ..Default::default() };
            prop_assert_eq!(Instr::decode(&i.encode()), Ok((Op::MATV, i)));
        }
    }

    #[test]
    fn codes_are_unique_and_zero_is_illegal() {
        for (i, o) in OPS.iter().enumerate() {
            assert!(OPS[..i].iter().all(|p| p.op as u8 != o.op as u8));
        }
        assert_eq!(Instr::decode(&[0; 32]), Err(DecodeError::Opcode(0)));
    }

    #[test]
    fn unused_fields_are_refused() {
        let i = Instr { op: Op::END as u8, a: 1, ..Default::default() };
        assert_eq!(Instr::decode(&i.encode()), Err(DecodeError::Unused { op: "END", field: "a" }));
    }
}
