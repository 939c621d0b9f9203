//! `package_kernel.tcl` and `gen_xo.tcl`: Vivado's IP packager, then `package_xo`.

use super::super::{Kernel, PROTOCOL, SLAVE};
use super::{text, version};
use crate::NOTE;
use std::fmt::Write as _;

/// Registers of ap_ctrl, beside the arguments.
const CONTROL: [(&str, u32); 4] = [("CTRL", 0x0), ("GIER", 0x4), ("IP_IER", 0x8), ("IP_ISR", 0xc)];

/// Packages the RTL as an IP: `rtl`, `here`, `ip_dir` and `tmp_dir` are set by `gen_xo.tcl`.
pub(super) fn package(kernel: &Kernel) -> String {
    text(|s| {
        writeln!(s, "# {NOTE}\n# Packages {} as an IP. Sourced by gen_xo.tcl.\n", kernel.name)?;
        writeln!(s, "set files [open $rtl/files.f]")?;
        writeln!(s, "set sources [split [string trim [read $files]] \"\\n\"]")?;
        writeln!(s, "close $files")?;
        writeln!(s, "create_project -force kernel_pack $tmp_dir")?;
        writeln!(s, "foreach source $sources {{ add_files -norecurse $rtl/$source }}")?;
        writeln!(s, "add_files -norecurse $here/{}.sv", kernel.name)?;
        writeln!(s, "set_property top {} [current_fileset]", kernel.name)?;
        writeln!(s, "update_compile_order -fileset sources_1")?;
        writeln!(
            s,
            "ipx::package_project -root_dir $ip_dir -vendor accllm -library RTLKernel -taxonomy /KernelIP -import_files -set_current false"
        )?;
        writeln!(s, "ipx::unload_core $ip_dir/component.xml")?;
        writeln!(
            s,
            "ipx::edit_ip_in_project -upgrade true -name tmp_edit_project -directory $ip_dir $ip_dir/component.xml"
        )?;
        writeln!(s, "set core [ipx::current_core]")?;
        writeln!(s, "set_property version {} $core", version())?;
        writeln!(s, "set_property core_revision 1 $core")?;
        writeln!(s, "foreach up [ipx::get_user_parameters -of_objects $core] {{")?;
        writeln!(s, "  ipx::remove_user_parameter [get_property NAME $up] $core\n}}\n")?;
        interfaces(s, kernel)?;
        writeln!(s, "set_property sdx_kernel true $core")?;
        writeln!(s, "set_property sdx_kernel_type rtl $core")?;
        writeln!(s, "set_property vitis_drc {{ctrl_protocol {PROTOCOL}}} $core")?;
        writeln!(s, "set_property ipi_drc {{ignore_freq_hz true}} $core")?;
        writeln!(s, "set_property supported_families {{}} $core")?;
        writeln!(s, "set_property auto_family_support_level level_2 $core")?;
        writeln!(s, "ipx::create_xgui_files $core")?;
        writeln!(s, "ipx::update_checksums $core")?;
        writeln!(s, "ipx::check_integrity -kernel $core")?;
        writeln!(s, "ipx::save_core $core")?;
        writeln!(s, "close_project -delete")
    })
}

/// Buses, their clock, and the registers of the slave.
fn interfaces(s: &mut String, kernel: &Kernel) -> std::fmt::Result {
    for m in &kernel.masters {
        writeln!(s, "ipx::associate_bus_interfaces -busif {} -clock ap_clk $core", m.name)?;
    }
    writeln!(s, "ipx::associate_bus_interfaces -busif {SLAVE} -clock ap_clk $core\n")?;
    writeln!(s, "set clock [ipx::get_bus_interfaces ap_clk -of_objects $core]")?;
    writeln!(s, "set freq [ipx::add_bus_parameter -quiet FREQ_HZ $clock]")?;
    writeln!(s, "set_property value {}000000 $freq", kernel.config.mhz)?;
    writeln!(s, "set_property value_resolve_type user $freq\n")?;
    writeln!(s, "set map [ipx::add_memory_map -quiet {SLAVE} $core]")?;
    writeln!(s, "set block [ipx::add_address_block -quiet reg0 $map]\n")?;
    for (name, offset) in CONTROL {
        register(s, name, offset, 32)?;
    }
    for a in &kernel.args {
        register(s, &a.name, a.offset, 8 * a.bytes)?;
        if let Some(m) = a.master.and_then(|m| kernel.masters.get(m)) {
            writeln!(s, "set busif [ipx::add_register_parameter -quiet ASSOCIATED_BUSIF $reg]")?;
            writeln!(s, "set_property value {} $busif", m.name)?;
        }
    }
    writeln!(
        s,
        "\nset_property slave_memory_map_ref {SLAVE} [ipx::get_bus_interfaces {SLAVE} -of_objects $core]"
    )
}

fn register(s: &mut String, name: &str, offset: u32, bits: u32) -> std::fmt::Result {
    writeln!(s, "set reg [ipx::add_register -quiet {name} $block]")?;
    writeln!(s, "set_property address_offset {offset:#05x} $reg")?;
    writeln!(s, "set_property size {bits} $reg")
}

/// Runs the packager, then writes the object.
pub(super) fn gen_xo(kernel: &Kernel) -> String {
    let name = &kernel.name;
    format!(
        "# {NOTE}
# vivado -mode batch -source gen_xo.tcl -tclargs FILE.xo WORK_DIR: makes the kernel object of {name}.

if {{ $::argc != 2 }} {{
  puts stderr \"usage: vivado -mode batch -source gen_xo.tcl -tclargs FILE.xo WORK_DIR\"
  exit 1
}}
set xo [file normalize [lindex $::argv 0]]
set work [file normalize [lindex $::argv 1]]
set here [file dirname [file normalize [info script]]]
set rtl [file normalize $here/../../rtl]
set ip_dir $work/ip
set tmp_dir $work/project
file delete -force $ip_dir $tmp_dir
file mkdir $work

source -notrace $here/package_kernel.tcl

file delete -force $xo
package_xo -xo_path $xo -kernel_name {name} -ip_directory $ip_dir -ctrl_protocol {PROTOCOL} -kernel_xml $here/kernel.xml
"
    )
}
