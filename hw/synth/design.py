"""Reads the RTL with Yosys and slang, finds the units in its hierarchy, and maps each to the cells of an UltraScale+."""

import contextlib
import dataclasses
import hashlib
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
RTL = ROOT / "hw/rtl"
BUILD = ROOT / "build/synth"
TOOL = ROOT / "tools/yosys"
TOP = "accllm_core"
OPTIONS = "-flatten -noiopad -noclkbuf"
# Registers, pre-adders and cascades are packed into DSP48E1 only, so multipliers are mapped as those of the 7 series: 25 x
# 18 bits instead of the 27 x 18 of UltraScale+, otherwise the same.
STEPS = (("xcup", "prepare:map_dsp"), ("xc7", "map_dsp:coarse"), ("xcup", "coarse:edif"))
REGISTERS = "$dff,$dffe,$sdff,$sdffe,$sdffce"
LIBRARIES = ("read_verilog -lib -specify +/xilinx/cells_sim.v", "read_verilog -lib +/xilinx/cells_xtra.v")


class SynthesisError(Exception):
    """What went wrong, in words for the person at the terminal."""


@dataclasses.dataclass(frozen=True)
class Unit:
    """A module that is synthesized on its own, with its other submodules flattened into it."""

    name: str  # of the record: the module, and the instance where the module occurs with several parameter sets
    module: str  # in hw/rtl
    type: str  # in the elaborated design: the module and the path of its first instance
    count: int  # instances in the engine
    below: tuple[str, ...]  # types of the units inside it
    files: tuple[str, ...]  # sources, of everything below too


def sources():
    """The RTL files in the order of files.f."""
    return [line.strip() for line in (RTL / "files.f").read_text().split() if line.endswith(".sv")]


def configuration(name):
    """Parameters of `accllm_core` for a configuration, from the table in hw/src."""
    command = ["cargo", "run", "--quiet", "-p", "accllm-hw", "--bin", "accllm-gen", "--", "--params", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SynthesisError(f"no parameters for configuration '{name}': {done.stderr.strip()}")
    return dict(word.removeprefix("-G").split("=") for word in done.stdout.split())


def yosys():
    """The Yosys library, from the pinned wheel or from the Python environment."""
    if str(TOOL) not in sys.path:
        sys.path.insert(0, str(TOOL))
    try:
        from pyosys import libyosys
    except ImportError as e:
        raise SynthesisError(f"Yosys cannot be loaded ({e}); run `make yosys` (wheels for CPython 3.11 to 3.13)") from e
    return libyosys


@contextlib.contextmanager
def output_to(path):
    """Sends what Yosys prints to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    with open(path, "w", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            yield
        finally:
            for fd, old in zip((1, 2), saved, strict=True):
                os.dup2(old, fd)
                os.close(old)


class Elaborated:
    """A design read by slang, hierarchy kept, one module for all instances that a loop makes of a unit."""

    def __init__(self, top, parameters, label, units=(), keep=True):
        self.ys = yosys()
        self.label = label
        self.top = top
        self.design = self.ys.Design()
        log = BUILD / label / "read.log"
        options = [f"-G {name}={value}" for name, value in parameters.items()]
        files = [f"hw/rtl/{path}" for path in sources()]
        hierarchy = "--keep-hierarchy" if keep else ""
        os.chdir(ROOT)
        with output_to(log):
            try:
                self.run(f"read_slang {hierarchy} --top {top} {' '.join(options)} {' '.join(files)}")
            except RuntimeError as e:
                raise SynthesisError(f"slang refuses {top} of {label}: {errors(log) or e}") from e
            self.run("chformal -remove")
            self.run("delete */t:$print */t:$check")
            self._keep()
            self._merge_loops(units)
        self.modules = self._hierarchy()
        self.saved = False

    def run(self, command):
        """Runs one Yosys command."""
        self.ys.run_pass(command, self.design)

    def listed(self, command):
        path = BUILD / self.label / "list"
        self.run(f"tee -q -o {path} {command}")
        return path.read_text(encoding="utf-8")

    def _keep(self):
        """Registers that the RTL keeps as copies: Yosys looks for the attribute at the cell, slang leaves it at the wire."""
        kept = "*/w:* */a:keep %i"
        self.run(f"setattr -set keep 1 {kept} %ci1:+{REGISTERS}[Q] {kept} %d")

    def _merge_loops(self, units):
        """Instances of a unit in a generate loop differ at most in an index that they report: the first stands for all.
        Other modules stay as they are, since they may choose by their index (the lanes of a tile do)."""
        names = re.findall(r"^  (\S+\$\S*\[\d+\]\S*)", self.listed("ls"), re.M)
        groups = {}
        for name in (n for n in names if n.split("$")[0] in units):
            groups.setdefault(re.sub(r"\[\d+\]", "[]", name), []).append(name)
        for pattern, same in groups.items():
            if len(same) > 1:
                first = min(same, key=lambda n: [int(i) for i in re.findall(r"\[(\d+)\]", n)])
                self.run(f"chtype -set {first} t:{pattern.replace('[]', '*')}")
        self.run(f"hierarchy -top {self.top}")

    def _hierarchy(self):
        """Module type -> {submodule type: instances}."""
        path = BUILD / self.label / "hierarchy.il"
        with output_to(BUILD / self.label / "hierarchy.log"):
            self.run(f"write_rtlil {path}")
        modules, cells = {}, None
        with open(path, encoding="utf-8") as text:
            for line in text:
                if line.startswith("module "):
                    cells = modules.setdefault(line.split()[1].lstrip("\\"), {})
                elif line.startswith("  cell \\"):
                    kind = line.split()[1].lstrip("\\")
                    cells[kind] = cells.get(kind, 0) + 1
        path.unlink()
        return {m: {k: n for k, n in cells.items() if k in modules} for m, cells in modules.items()}

    def units(self, names):
        """The units among the modules, lowest first; `names` are those of the modules to be kept apart."""
        kept = {t for t in self.modules if t.split("$")[0] in names or t == self.top}
        count = {self.top: 1}
        for parent in self._from_top():
            for child, n in self.modules[parent].items():
                count[child] = count.get(child, 0) + n * count[parent]
        named = {}
        for kind in sorted(kept):
            named.setdefault(kind.split("$")[0], []).append(kind)
        result = []
        for kind in reversed(self._from_top()):
            if kind in kept:
                module = kind.split("$")[0]
                name = module if len(named[module]) == 1 else f"{module}@{short(kind, named[module])}"
                result.append(Unit(name, module, kind, count[kind], *self._inside(kind, kept)))
        return result

    def _from_top(self):
        """Types, each after all that contain it."""
        order, seen = [], set()

        def visit(kind):
            if kind not in seen:
                seen.add(kind)
                for child in self.modules[kind]:
                    visit(child)
                order.append(kind)

        visit(self.top)
        return order[::-1]

    def _inside(self, kind, kept):
        """Units directly inside, and source files of everything inside."""
        below, files, todo, seen = set(), set(), [(kind, True)], set()
        while todo:
            at, own = todo.pop()
            if (at, own) in seen:
                continue
            seen.add((at, own))
            files.add(at.split("$")[0])
            for child in self.modules[at]:
                if own and child in kept:
                    below.add(child)
                todo.append((child, own and child not in kept))
        return tuple(sorted(below)), tuple(sorted(files))

    def save(self):
        """Keeps the design for `map`, with the device's cells, so that they are read once for all units."""
        if not self.saved:
            with output_to(BUILD / self.label / "cells.log"):
                for command in LIBRARIES:
                    self.run(command)
                self.run("design -save elaborated")
            self.saved = True

    def map(self, unit, options="", before=(), then=()):
        """Maps one unit to device cells, with the commands in `before` and `then`; returns the file with its netlist."""
        folder = BUILD / self.label
        netlist = folder / f"{unit.name}.json"
        self.save()
        with output_to(folder / f"{unit.name}.log"):
            try:
                self.run("design -load elaborated")
                for kind in unit.below:
                    self.run(f"blackbox {escape(kind)}")
                self.run(f"hierarchy -check -top {unit.type}")
                for command in before:
                    self.run(command)
                for family, steps in STEPS:
                    self.run(f"synth_xilinx -family {family} {OPTIONS} {options} -top {unit.type} -run {steps}")
                self.run(f"write_json {netlist}")
                for command in then:
                    self.run(command)
            except RuntimeError as e:
                raise SynthesisError(f"{unit.name} of {self.label}: Yosys fails: {e}; see {folder / unit.name}.log") from e
        return netlist


def last_words():
    """What Yosys said last, after an error that ended its process."""
    logs = sorted(BUILD.rglob("*.log"), key=lambda path: path.stat().st_mtime)
    lines = logs[-1].read_text(encoding="utf-8").splitlines() if logs else []
    said = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
    return f"Yosys ended: {' '.join(said) or 'without a word'} (see {logs[-1] if logs else BUILD})"


def short(kind, same):
    """The end of an instance's path by which it differs from the others in `same`."""
    path = kind.split(".")
    for length in range(1, len(path) + 1):
        if sum(other.split(".")[-length:] == path[-length:] for other in same) == 1:
            break
    return ".".join(path[-length:])


def escape(name):
    """A selection pattern that means exactly this name."""
    return re.sub(r"[\[\]]", "?", name)


def errors(log):
    """The first error lines of a log of slang, with file and line."""
    text = log.read_text(encoding="utf-8")
    return "; ".join(line for line in text.splitlines() if "error:" in line)[:2000]


def written(text):
    """A source without what says nothing about the design: comments, spaces, whether an instance names a port whose signal
    has the port's name or leaves it to `.*`, and the `u_` of instances."""
    text = re.sub(r"\s+", " ", re.sub(r"//[^\n]*", "", text))
    text = re.sub(r" ?([(),;]) ?", r"\1", text)
    text = re.sub(r"([(,])\.(?:\*|\w+)(?=[,)])", r"\1", text)
    text = re.sub(r",+\)", ")", re.sub(r"\(,+", "(", re.sub(r",+", ",", text)))
    return re.sub(r"\bu_(?=\w)", "", text)


def fingerprint(modules):
    """Hash of the sources of these modules, as `written` reads them, and of the packages that they import."""
    paths = {pathlib.PurePath(path).stem: path for path in sources()}
    todo, seen = list(modules), {}
    while todo:
        name = todo.pop()
        if name in seen or name not in paths:
            continue
        text = seen[name] = written((RTL / paths[name]).read_text(encoding="utf-8"))
        todo += re.findall(r"\b(\w+_pkg)\b", text)
    whole = "".join(f"{name}\n{seen[name]}\n" for name in sorted(seen))
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def lint(config, parameters, units):
    """Warnings and errors of slang, and latches, in one configuration."""
    log = BUILD / config / "read.log"
    try:
        elaborated = Elaborated(TOP, parameters | {"TRACE": "0"}, config, units)
    except SynthesisError as e:
        return [str(e)]
    found = [line for line in log.read_text(encoding="utf-8").splitlines() if re.search(r"\b(warning|error):", line)]
    with output_to(BUILD / config / "latches.log"):
        latches = elaborated.listed("select -list */t:$dlatch */t:$adlatch */t:$dlatchsr */t:$sr")
    return found + [f"{config}: a latch is inferred: {line}" for line in latches.split()]
