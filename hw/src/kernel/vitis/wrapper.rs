//! The top module of the kernel: `accllm_core` with a name for every port.

use super::super::{Kernel, SLAVE};
use super::text;
use crate::NOTE;
use std::fmt::Write as _;

/// Signals of the slave: name, driven by the kernel, bits.
const CONTROL: [(&str, bool, u32); 17] = [
    ("awaddr", false, 12),
    ("awvalid", false, 1),
    ("awready", true, 1),
    ("wdata", false, 32),
    ("wstrb", false, 4),
    ("wvalid", false, 1),
    ("wready", true, 1),
    ("bresp", true, 2),
    ("bvalid", true, 1),
    ("bready", false, 1),
    ("araddr", false, 12),
    ("arvalid", false, 1),
    ("arready", true, 1),
    ("rdata", true, 32),
    ("rresp", true, 2),
    ("rvalid", true, 1),
    ("rready", false, 1),
];

/// Signals of a master: name, driven by the kernel, bits.
const MASTER: [(&str, bool, u32); 21] = [
    ("araddr", true, 64),
    ("arlen", true, 8),
    ("arvalid", true, 1),
    ("arready", false, 1),
    ("rdata", false, 512),
    ("rresp", false, 2),
    ("rlast", false, 1),
    ("rvalid", false, 1),
    ("rready", true, 1),
    ("awaddr", true, 64),
    ("awlen", true, 8),
    ("awvalid", true, 1),
    ("awready", false, 1),
    ("wdata", true, 512),
    ("wstrb", true, 64),
    ("wlast", true, 1),
    ("wvalid", true, 1),
    ("wready", false, 1),
    ("bresp", false, 2),
    ("bvalid", false, 1),
    ("bready", true, 1),
];

/// Outputs of the core that exist for simulation only.
const TRACE: [&str; 36] = [
    "valid",
    "mv_seq",
    "mv_addr",
    "mv_mask",
    "mv_data",
    "ms_seq",
    "ms_row",
    "ms_lanes",
    "ms_banks",
    "ms_data",
    "vv_seq",
    "vv_addr",
    "vv_mask",
    "vv_data",
    "va_seq",
    "va_addr",
    "va_lanes",
    "va_banks",
    "va_even",
    "va_odd",
    "va_exp",
    "vs_seq",
    "vs_addr",
    "vs_fields",
    "vs_f0",
    "vs_f1",
    "vs_f2",
    "vs_f3",
    "vr_seq",
    "vr_index",
    "vr_value",
    "mdone_seq",
    "vdone_seq",
    "state",
    "units",
    "pc",
];

fn port(s: &mut String, name: &str, output: bool, bits: u32, end: &str) -> std::fmt::Result {
    let direction = if output { "output" } else { "input " };
    let width = if bits > 1 { format!("[{}:0]", bits - 1) } else { String::new() };
    writeln!(s, "    {direction} logic {width:>7} {name}{end}")
}

pub(super) fn file(kernel: &Kernel) -> String {
    text(|s| {
        writeln!(
            s,
            "// {NOTE}\n// Vitis kernel {}: the engine with a name for every AXI port. Only wiring; trace outputs stay open.",
            kernel.name
        )?;
        writeln!(s, "module {} (", kernel.name)?;
        port(s, "ap_clk", false, 1, ",")?;
        port(s, "ap_rst_n", false, 1, ",")?;
        port(s, "interrupt", true, 1, ",")?;
        for (name, output, bits) in CONTROL {
            port(s, &format!("{SLAVE}_{name}"), output, bits, ",")?;
        }
        for (i, m) in kernel.masters.iter().enumerate() {
            for (j, (name, output, bits)) in MASTER.into_iter().enumerate() {
                let last = i + 1 == kernel.masters.len() && j + 1 == MASTER.len();
                port(s, &format!("{}_{name}", m.name), output, bits, if last { "" } else { "," })?;
            }
        }
        writeln!(s, ");\n  localparam int P = {};", kernel.masters.len())?;
        for (name, _, bits) in MASTER {
            match bits {
                1 => writeln!(s, "  logic [P-1:0] {name};")?,
                _ => writeln!(s, "  logic [{}:0] {name}[P];", bits - 1)?,
            }
        }
        for (i, m) in kernel.masters.iter().enumerate() {
            writeln!(s)?;
            for (name, output, _) in MASTER {
                let (own, inner) = (format!("{}_{name}", m.name), format!("{name}[{i}]"));
                let (to, from) = if output { (own, inner) } else { (inner, own) };
                writeln!(s, "  assign {to} = {from};")?;
            }
        }
        writeln!(s, "\n  accllm_core #(")?;
        for (name, value) in kernel.config.rtl_params() {
            writeln!(s, "      .{name}({value}),")?;
        }
        writeln!(s, "      .TRACE(1'b0)\n  ) u_core (\n      .ap_clk, .ap_rst_n, .interrupt,")?;
        for (name, _, _) in CONTROL {
            writeln!(s, "      .{SLAVE}_{name},")?;
        }
        for (name, _, _) in MASTER {
            writeln!(s, "      .m_axi_{name}({name}),")?;
        }
        // An empty connection says that it is meant.
        writeln!(s, "      // verilator lint_off PINCONNECTEMPTY")?;
        let open: Vec<_> = TRACE.iter().map(|t| format!("      .trace_{t}()")).collect();
        writeln!(s, "{}", open.join(",\n"))?;
        writeln!(s, "      // verilator lint_on PINCONNECTEMPTY\n  );\nendmodule")
    })
}
