//! Generated files: SystemVerilog packages and reference pages, from the tables of this crate.

mod card_page;
mod config_check;
mod config_page;

use std::fmt::Write as _;

use crate::kernel::{Kernel, vitis};
use crate::{NOTE, config, isa, regs, tables};

/// `(path in the repository, contents)` of every generated file.
pub fn files() -> Vec<(String, String)> {
    let own = [
        ("hw/rtl/pkg/accllm_isa_pkg.sv", isa_package()),
        ("hw/rtl/pkg/accllm_regs_pkg.sv", regs_package()),
        ("hw/rtl/pkg/accllm_tables_pkg.sv", tables_package()),
        ("hw/rtl/top/config_check.sv", config_check::check_module()),
        ("docs/cards.md", card_page::page()),
        ("docs/configurations.md", config_page::page()),
        ("docs/isa.md", isa_page()),
        ("docs/registers.md", regs_page()),
    ];
    let card = config::CONFIGS.iter().filter(|c| &*c.name == "u280");
    let card = card.flat_map(|c| vitis::files(&Kernel::new(c)));
    let card = card.map(|(name, text)| (format!("hw/vitis/u280/{name}"), text));
    own.into_iter().map(|(path, text)| (path.to_owned(), text)).chain(card).collect()
}

fn out(f: impl FnOnce(&mut String) -> std::fmt::Result) -> String {
    let mut s = String::new();
    // Writing to a String cannot fail.
    let _ = f(&mut s);
    s
}

fn isa_package() -> String {
    out(|s| {
        writeln!(
            s,
            "// {NOTE}\n// Opcodes, instruction fields and the operation record that units receive.\npackage accllm_isa_pkg;"
        )?;
        for o in isa::OPS {
            writeln!(s, "  localparam logic [7:0] OP_{} = 8'h{:02x};", o.name, o.op as u8)?;
        }
        writeln!(s, "  localparam int INSTR_BITS = {};", isa::INSTR_BYTES * 8)?;
        writeln!(
            s,
            "  localparam int REGISTERS = {};\n  localparam int ARGS = {};",
            isa::REGISTERS,
            isa::ARGS
        )?;
        writeln!(
            s,
            "  localparam int LOOP_DEPTH = {};\n  localparam int SEMAPHORES = {};",
            isa::LOOP_DEPTH,
            isa::SEMAPHORES
        )?;
        for (n, bit) in [
            ("WIDE", isa::FLAG_WIDE),
            ("I32", isa::FLAG_I32),
            ("FINAL", isa::FLAG_FINAL),
            ("VMEM", isa::FLAG_VMEM),
            ("FIRST", isa::FLAG_FIRST),
        ] {
            writeln!(s, "  localparam int FLAG_{n} = {};", bit.trailing_zeros())?;
        }
        for (i, n, doc) in isa::CONSTANTS {
            writeln!(s, "  localparam logic [7:0] CONST_{n} = 8'd{i};  // {doc}")?;
        }
        instruction_type(s)?;
        operation_type(s)?;
        units_of_opcodes(s)?;
        writeln!(s, "endpackage")
    })
}

/// The instruction word.
fn instruction_type(s: &mut String) -> std::fmt::Result {
    writeln!(
        s,
        "\n  // Instruction word; field positions are those of docs/isa.md (most significant first here)."
    )?;
    writeln!(s, "  typedef struct packed {{")?;
    let mut top = isa::INSTR_BYTES * 8;
    for (i, &(name, at, width)) in isa::FIELDS.iter().enumerate().rev() {
        if at + width < top {
            writeln!(s, "    logic [{}:0] zero{i};", top - at - width - 1)?;
        }
        writeln!(s, "    logic [{}:0] {name};", width - 1)?;
        top = at;
    }
    writeln!(s, "  }} instr_t;\n")
}

/// One operation as a unit receives it.
fn operation_type(s: &mut String) -> std::fmt::Result {
    writeln!(s, "  // One operation as a unit receives it: registers added in, synchronization removed.")?;
    writeln!(
        s,
        "  typedef struct packed {{\n    logic [31:0] seq;  // dispatch number, counts all unit operations\n    logic [15:0] pc;   // instruction index"
    )?;
    for (n, w) in [
        ("op", 8),
        ("flags", 8),
        ("a", 32),
        ("b", 32),
        ("c", 32),
        ("n", 32),
        ("m", 32),
        ("k", 16),
        ("sh", 8),
        ("x", 8),
        ("aux", 32),
    ] {
        writeln!(s, "    logic [{}:0] {n};", w - 1)?;
    }
    writeln!(s, "  }} uop_t;\n")
}

/// Which unit executes an opcode.
fn units_of_opcodes(s: &mut String) -> std::fmt::Result {
    writeln!(s, "  // Which unit executes an opcode, and whether it is legal at all.")?;
    for (name, unit) in
        [("control", isa::Unit::Control), ("matrix", isa::Unit::Matrix), ("vector", isa::Unit::Vector)]
    {
        let ops: Vec<_> =
            isa::OPS.iter().filter(|o| o.unit == unit).map(|o| format!("OP_{}", o.name)).collect();
        writeln!(
            s,
            "  function automatic logic is_{name}(input logic [7:0] op);\n    return op inside {{{}}};\n  endfunction",
            ops.join(", ")
        )?;
    }
    Ok(())
}

fn regs_package() -> String {
    out(|s| {
        writeln!(
            s,
            "// {NOTE}\n// Register offsets of s_axi_control and fault codes.\npackage accllm_regs_pkg;"
        )?;
        for r in regs::REGS {
            writeln!(s, "  localparam logic [11:0] REG_{} = 12'h{:03x};  // {}", r.name, r.offset, r.doc)?;
        }
        writeln!(s, "  localparam logic [15:0] CONTRACT_VERSION = 16'd{};", regs::CONTRACT_VERSION)?;
        let fields = config::FIELDS.iter().filter(|f| f.param.is_some()).count();
        writeln!(s, "  localparam int CONFIG_FIELDS = {fields};")?;
        writeln!(s, "  localparam logic [7:0] FAULT_NONE = 8'd0;")?;
        for (code, name, _) in regs::FAULTS {
            writeln!(s, "  localparam logic [7:0] FAULT_{name} = 8'd{code};")?;
        }
        writeln!(s, "endpackage")
    })
}

fn tables_package() -> String {
    out(|s| {
        writeln!(
            s,
            "// {NOTE}\n// Function tables of docs/numerics.md section 2: value at a segment's start, and |step| to the next.\npackage accllm_tables_pkg;"
        )?;
        for t in tables::all() {
            for (kind, values, width) in [("VALUE", &t.value, 16), ("DELTA", &t.delta, 12)] {
                let n = values.len();
                write!(
                    s,
                    "  localparam logic [{}:0] {}_{kind}[{n}] = '{{",
                    width - 1,
                    t.name.to_uppercase()
                )?;
                for (i, v) in values.iter().enumerate() {
                    let sep = if i + 1 == n { "};\n" } else { ", " };
                    write!(s, "{}{width}'d{v}{sep}", if i % 12 == 0 { "\n    " } else { "" })?;
                }
            }
        }
        writeln!(s, "endpackage")
    })
}

fn isa_page() -> String {
    out(|s| {
        writeln!(s, "# Instruction set\n\n{NOTE}\n")?;
        writeln!(
            s,
            "256-bit instructions. Operands a, b, c, n, m are immediate + register (register 0 is 0), modulo 2^32; k, sh, x, aux are immediates. Registers 1..{} are the host's arguments, the others start at 0.",
            isa::ARGS
        )?;
        writeln!(
            s,
            "Matrix and vector instructions run in order within their unit and concurrently between units. Before a unit starts an instruction, each of its two `wait` semaphores must be above 0 and is decremented; its `sig` semaphores are incremented when all its effects are visible. `pfw` holds back the prefetcher. Addresses in channels and auxiliary memory are beats of 64 bytes; vector memory and score addresses are elements; activation addresses are words of 256 columns (all lanes).\n"
        )?;
        writeln!(s, "## Fields\n\n| field | bits |\n|---|---|")?;
        for (name, at, width) in isa::FIELDS {
            writeln!(s, "| {name} | {}:{at} |", at + width - 1)?;
        }
        writeln!(
            s,
            "\nAll other bits are zero; so are fields that an instruction does not use.\n\n## Instructions\n\n| code | name | unit | fields | meaning |\n|---|---|---|---|---|"
        )?;
        for o in isa::OPS {
            let fields: Vec<_> = o
                .fields
                .chars()
                .map(|c| match c {
                    'h' => "sh".to_owned(),
                    'u' => "aux".to_owned(),
                    'f' => "flags".to_owned(),
                    c => c.to_string(),
                })
                .collect();
            let doc = o.doc.replace('\n', " ").replace('|', "\\|");
            writeln!(
                s,
                "| {:#04x} | {} | {:?} | {} | {} |",
                o.op as u8,
                o.name,
                o.unit,
                fields.join(" "),
                doc.trim()
            )?;
        }
        writeln!(s, "\n## Unit constants (SETC)\n\n| x | name | meaning |\n|---|---|---|")?;
        for (i, n, doc) in isa::CONSTANTS {
            writeln!(s, "| {i} | {n} | {doc} |")?;
        }
        s.push_str(EDGES);
        Ok(())
    })
}

/// What instructions do at the edges of their operands; part of the contract.
const EDGES: &str = "
## Edges

- A count of 0 (n, and m, k, sh where they are counts) means: no effect; waits and signals still happen. SOFTMAX does nothing only when SINK_PAD + n is 0; SUMSQ and ARGMAX of 0 elements write nothing.
- `sh` counts modulo 64. Addresses do not wrap: extents are computed wider than 32 bits and checked.
- ONCHIP_RANGE: an address past its buffer; a vector memory operand of the vector unit, or `c` and `aux` of MATW and MATV, that is not a multiple of V; more lane rows than LANE_ROWS; activation columns (ATTQ: of 32, SILU: of 256) or counts (LOAD, EMBED, STORE, SOFTMAX: of 32) that are not multiples; HADX with n not a multiple of 2k; SOFTMAX with a SCORE_ROW, ATTQ with a V_DIM that is not a multiple of V.
- ILLEGAL: unknown opcode, weight format 3, HDP other than 64, 128 and 256, GQA outside 1..16, SETC of an unknown constant, ADD to a register above 31, loops nested deeper than the stack, when such an instruction is reached. The golden executor also refuses words with unused fields set; the hardware ignores those fields.
- Operands in vector memory that are 16 bits wide (norm constants, cos, sin, rotated heads) are the low 16 bits, sign-extended; SUMSQ and NORMQ read the low 26 bits. HADW and HADX add modulo 2^32.
- Every lane of an activation word has an exponent, 0..12. It is written with column 0 of the word: by SILU the block's, by all others 0. MATK and MATV ignore it.
- In place (c = a) is allowed for every vector instruction; partly overlapping source and destination is not specified.
- A pfw wait decrements its semaphore like the others; order: pfw, wait0, wait1. Semaphores are cleared at start; unit constants and result registers are kept between runs.
- A faulting instruction may have written part of its results; nothing outside the memory map.
";

fn regs_page() -> String {
    out(|s| {
        writeln!(
            s,
            "# Registers of `s_axi_control`\n\n{NOTE}\n\n| offset | name | bits | access | meaning |\n|---|---|---|---|---|"
        )?;
        for r in regs::REGS {
            let name = if r.count > 1 { format!("{}[{}]", r.name, r.count) } else { r.name.to_owned() };
            writeln!(s, "| {:#05x} | {name} | {} | {:?} | {} |", r.offset, r.bits, r.access, r.doc)?;
        }
        writeln!(
            s,
            "\n## Faults\n\nA fault stops the engine: `STATUS` holds the code, `FAULT_PC` the instruction; ap_done is set.\n\n| code | name | meaning |\n|---|---|---|"
        )?;
        for (code, name, doc) in regs::FAULTS {
            writeln!(s, "| {code} | {name} | {doc} |")?;
        }
        Ok(())
    })
}

impl config::Config {
    /// Parameters of `accllm_core` for this configuration, as `(name, value)`.
    pub fn rtl_params(&self) -> Vec<(String, String)> {
        self.params().map(|(_, name, value)| (name.to_owned(), value.to_string())).collect()
    }
}
