"""Netlists for simulation: a module as Yosys maps it to the device's cells, in place of its source.

For each module a file NAME.sv with the module's own name, parameters and ports around the mapped cells, and cells.v with
Yosys' models of the cells. `ACCLLM_NETLIST=FOLDER` makes every Verilated model take these files instead of the sources, so
the tests of the RTL are the tests of the netlist. Memories are mapped to LUT RAM and flip-flops: there are no open models of
block RAM and UltraRAM. A netlist is made at one configuration's parameters, and those of the module's first instance."""

import json
import pathlib
import re

import design

WITHOUT_BLOCKS = "-nobram"
PLAIN_MEMORIES = ("memory_collect", "setattr -unset ram_style -unset rom_style */t:$mem_v2")
WAIVED = ("UNOPTFLAT", "WIDTH", "UNUSED", "PINMISSING", "CASEINCOMPLETE", "INITIALDLY", "BLKSEQ", "MULTITOP", "LATCH", "COMBDLY")
HEADER = "".join(f"/* verilator lint_off {rule} */\n" for rule in WAIVED)  # of generated text and Yosys' models


def ports(module):
    """(direction, name) of a module's ports in its source, and the names of those that are unpacked arrays."""
    text = re.sub(r"//[^\n]*", "", source(module).read_text(encoding="utf-8"))
    header = re.search(r"\bmodule\s+\w+(.*?)\)\s*;", text, re.S).group(1)
    found = re.findall(r"\b(input|output)\b[^,()]*?((?:\([^()]*\)[^,()]*?)*)(\w+)\s*(\[[^,]*\])?\s*(?:,|$)", plain(header))
    return [(direction, name) for direction, _, name, _ in found], {name for _, _, name, dims in found if dims}


def plain(header):
    """A header without the packed dimensions of its types."""
    return re.sub(r"(logic|signed|\w+_t)((?:\s*\[[^\]]*\])+)", r"\1 ", header)


def source(module):
    """The file of a module."""
    path = next((p for p in design.sources() if pathlib.PurePath(p).stem == module), None)
    if path is None:
        raise design.SynthesisError(f"no module '{module}' in hw/rtl/files.f")
    return design.RTL / path


def shell(module, widths):
    """The module with its own header, around the cells: arrays are joined, element 0 at the top."""
    text = source(module).read_text(encoding="utf-8")
    head = re.search(r"\bmodule\s+\w+.*?\)\s*;", text, re.S).group(0)
    names, arrays = ports(module)
    lines, connections = [HEADER + head], []
    for direction, name in names:
        if name not in arrays:
            connections.append(f".{name}({name})")
            continue
        flat = f"flat_{name}"
        lines.append(f"  wire [{widths[name] - 1}:0] {flat};")
        part = f"{flat}[({widths[name]}/$size({name}))*($size({name})-1-i)+:{widths[name]}/$size({name})]"
        ends = (part, f"{name}[i]") if direction == "input" else (f"{name}[i]", part)
        lines.append(f"  for (genvar i = 0; i < $size({name}); i++) begin : gen_{name}\n    assign {ends[0]} = {ends[1]};\n  end")
        connections.append(f".{name}({flat})")
    lines.append(f"  {module}_cells cells ({', '.join(connections)});\nendmodule\n")
    return "\n".join(lines)


def write(config, modules, folder):
    """Writes the netlists of `modules` at the parameters of `config`."""
    folder.mkdir(parents=True, exist_ok=True)
    elaborated = design.Elaborated(design.TOP, design.configuration(config) | {"TRACE": "0"}, f"netlist-{config}", modules)
    units = {u.module: u for u in reversed(elaborated.units(modules))}
    missing = set(modules) - set(units)
    if missing:
        raise design.SynthesisError(f"{', '.join(sorted(missing))}: not in {config}")
    for module in modules:
        unit = design.Unit(module, module, units[module].type, 1, (), ())
        cells = folder / f"{module}.cells"
        netlist = elaborated.map(unit, WITHOUT_BLOCKS, PLAIN_MEMORIES, (f"rename {unit.type} {module}_cells", f"write_verilog -noattr {cells}"))
        with open(netlist, encoding="utf-8") as text:
            top = json.load(text)["modules"][unit.type]
        widths = {name: len(port["bits"]) for name, port in top["ports"].items()}
        temporary = folder / f"{module}.new"
        temporary.write_text(shell(module, widths) + cells.read_text(encoding="utf-8"), encoding="utf-8")
        temporary.replace(folder / f"{module}.sv")
        cells.unlink()
    models = pathlib.Path(design.yosys().__file__).parent / "share/xilinx/cells_sim.v"
    without_times = re.sub(r"\bspecify\b.*?\bendspecify\b", "", models.read_text(encoding="utf-8"), flags=re.S)
    (folder / "cells.v").write_text(HEADER + without_times, encoding="utf-8")
    return [folder / f"{module}.sv" for module in modules]
