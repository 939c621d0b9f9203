//! The rules in SystemVerilog.

use super::NOTE;
use crate::config::{FIELDS, RELATIONS};
use std::fmt::Write as _;

/// `config_check.sv`: refuses parameters against the rules, and gives their values for the registers CONFIG.
pub(super) fn check_module() -> String {
    let fields: Vec<_> = FIELDS.iter().filter_map(|f| Some((f, f.param?))).collect();
    let mut s = format!(
        "// {NOTE}\n\
         // Refuses parameters against the rules of hw/src/config when the design is elaborated, and gives their values in the\n\
         // order of the registers CONFIG. Does not hold anything: its outputs are constants.\n\
         module config_check\n  import accllm_regs_pkg::*;\n#(\n"
    );
    let list: Vec<_> =
        fields.iter().map(|(f, p)| format!("    parameter int {p} = {}", f.rule.least)).collect();
    let _ =
        writeln!(s, "{}\n) (\n    output logic [31:0] config_values[CONFIG_FIELDS]\n);", list.join(",\n"));
    for (f, p) in &fields {
        let power = if f.rule.power { format!(" || ({p} & ({p} - 1)) != 0") } else { String::new() };
        let wrong = format!("{p} < {} || {p} > {}{power}", f.rule.least, f.rule.most);
        error(&mut s, f.name, &wrong, &format!("{p}: must be {}", f.rule));
    }
    for (i, r) in RELATIONS.iter().enumerate() {
        if let Some(sv) = r.sv {
            let name = format!("{}_{i}", r.field);
            error(
                &mut s,
                &name,
                &format!("!({sv})"),
                &format!("{sv}: {} {}", r.field, r.doc.replace('`', "")),
            );
        }
    }
    for (i, (_, p)) in fields.iter().enumerate() {
        let _ = writeln!(s, "  assign config_values[{i}] = 32'({p});");
    }
    s + "endmodule\n"
}

fn error(s: &mut String, name: &str, wrong: &str, text: &str) {
    let _ = writeln!(s, "  if ({wrong}) begin : gen_{name}\n    $error(\"{text}\");\n  end");
}

#[cfg(test)]
mod tests {
    use super::FIELDS;

    /// Adding a field is a line in the table, and these two in the engine.
    #[test]
    fn the_engine_has_and_checks_every_parameter() {
        let core = include_str!("../../rtl/top/accllm_core.sv");
        let check = core
            .split("config_check #(")
            .nth(1)
            .and_then(|s| s.split(") u_config").next())
            .unwrap_or_default();
        for p in FIELDS.iter().filter_map(|f| f.param) {
            assert!(core.contains(&format!("parameter int {p} = ")), "accllm_core has no parameter {p}");
            assert!(check.contains(&format!(".{p}({p})")), "accllm_core does not give {p} to config_check");
        }
    }
}
