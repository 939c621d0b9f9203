"""Static timing of a mapped netlist without placement.

A unit's result holds its worst path and, port by port, what a netlist around it needs to know: how long after the clock an
output settles, how long before the clock an input must, and what passes through. So the paths of the whole engine are
found unit by unit, also those that cross from one unit into others."""

import json
import math
import re
from collections import defaultdict

import cells


class Graph:
    """Timing arcs between the bits of one netlist."""

    def __init__(self, delays):
        self.net_base = delays["net"]["base"]
        self.net_step = delays["net"]["per_doubling"]
        self.launches = {}  # bit -> (ns, levels, cell)
        self.arcs = defaultdict(list)  # bit -> [(from bit, ns, levels, cell, net)]
        self.captures = []  # (bit, ns, levels, cell)
        self.carries = set()
        self.loads = defaultdict(int)
        self.inside = defaultdict(int)  # loads of a net within the unit that drives it
        self.loops = 0

    def launch(self, bits, ns, cell, levels=0):
        """These bits change `ns` after the clock."""
        for bit in bits:
            if bit not in self.launches or self.launches[bit][0] < ns:
                self.launches[bit] = (ns, levels, cell)

    def arc(self, outs, bit, ns, levels, cell, net=True):
        """These outputs follow `bit`; `net` is false for wires inside a slice or a cascade, "carry" along a chain."""
        for out in outs:
            if isinstance(out, int):
                self.arcs[out].append((bit, ns, levels, cell, net))

    def capture(self, bits, ns, cell, levels=0):
        """These bits must be stable `ns` before the clock."""
        self.captures += [(bit, ns, levels, cell) for bit in bits]

    def wire(self, bit, net=True):
        """Delay of the net that a bit drives."""
        if net is False or (net == "carry" and bit in self.carries):
            return 0.0
        return self.net_base + self.net_step * math.log2(self.loads[bit] + 1)

    def order(self):
        """Bits with arcs, each after those it depends on; combinational loops are cut and counted."""
        state, result = {}, []  # 1: being visited, 2: done
        for root in list(self.arcs):
            stack = [root]
            while stack:
                bit = stack[-1]
                if bit not in state:
                    state[bit] = 1
                    stack += [a[0] for a in self.arcs.get(bit, ()) if a[0] not in state]
                    continue
                stack.pop()
                if state[bit] == 2:
                    continue
                state[bit] = 2
                if bit in self.arcs:
                    result.append(bit)
                    forward = [a for a in self.arcs[bit] if state[a[0]] == 2 and a[0] != bit]
                    if len(forward) < len(self.arcs[bit]):
                        self.loops += 1
                        self.arcs[bit] = forward
        return result


class Timing:
    """The analysis of one unit; `models` are the ports of the units inside it, by type."""

    def __init__(self, netlist, top, delays, models):
        with open(netlist, encoding="utf-8") as text:
            self.module = json.load(text)["modules"][top]
        self.delays = delays
        self.graph = Graph(delays)
        self.unknown = set()
        self._build(models)
        self._propagate()

    def _build(self, models):
        graph, arcs = self.graph, cells.Arcs(self.graph, self.delays)
        for name, cell in self.module["cells"].items():
            model = models.get(cell["type"])
            for port, direction in cell["port_directions"].items():
                if direction == "input":
                    load = model["ports"].get(port, {}).get("load", 1) if model else 1
                    for bit in cells.wires(cell, port):
                        graph.loads[bit] += load
                elif model:
                    for bit in cells.wires(cell, port):
                        graph.inside[bit] += model["ports"].get(port, {}).get("load", 0)
            if model:
                self._box(name, cell, model)
            elif not arcs.add(name, cell):
                self.unknown.add(cell["type"])
        self.inputs = {p: x["bits"] for p, x in self.module["ports"].items() if x["direction"] == "input"}
        self.outputs = {p: x["bits"] for p, x in self.module["ports"].items() if x["direction"] == "output"}

    def _box(self, name, cell, model):
        """A unit inside: what its record says of its ports."""
        for port, facts in model["ports"].items():
            bits = cells.wires(cell, port)
            if "setup" in facts:
                self.graph.capture(bits, facts["setup"][0], name, facts["setup"][1])
            if "out" in facts:
                self.graph.launch(bits, facts["out"][0], name, facts["out"][1])
            for source, (ns, levels) in facts.get("through", {}).items():
                # Any bit of the input may reach any bit of the output: one node stands for all of them.
                node = ("through", name, port, source)
                for bit in cells.wires(cell, source):
                    self.graph.arcs[node].append((bit, 0.0, 0, name, True))
                for bit in bits:
                    self.graph.arcs[bit].append((node, ns, levels, name, False))

    def _propagate(self):
        graph = self.graph
        self.at = {bit: (ns, levels, None) for bit, (ns, levels, _) in graph.launches.items()}
        # The net to an input is the surrounding netlist's: it is taken off where the first arc will add it.
        inputs = [(b, p) for p, bits in self.inputs.items() for b in bits if isinstance(b, int)]
        self.of_port = {b: {p: (-graph.wire(b), 0, None)} for b, p in inputs}
        for out in graph.order():
            best, ports = self.at.get(out), dict(self.of_port.get(out, {}))
            for bit, ns, levels, cell, net in graph.arcs[out]:
                step = ns + (graph.wire(bit, net) if isinstance(bit, int) else 0.0)
                before = self.at.get(bit)
                if before and (best is None or before[0] + step > best[0]):
                    best = (before[0] + step, before[1] + levels, (bit, cell))
                for port, (t, n, _) in self.of_port.get(bit, {}).items():
                    if port not in ports or t + step > ports[port][0]:
                        ports[port] = (t + step, n + levels, (bit, cell))
            if best:
                self.at[out] = best
            if ports:
                self.of_port[out] = ports

    def endpoints(self):
        """(ns, levels, bit, port or None, end) of every way into a register or out of the unit."""
        for bit, setup, levels, cell in self.graph.captures:
            wire = self.graph.wire(bit)
            if bit in self.at:
                ns, n, _ = self.at[bit]
                yield ns + wire + setup, n + levels, bit, None, cell
            for port, (ns, n, _) in self.of_port.get(bit, {}).items():
                yield ns + wire + setup, n + levels, bit, port, cell
        for name, bits in self.outputs.items():
            for bit in bits:
                if bit in self.at:
                    ns, n, _ = self.at[bit]
                    yield ns + self.graph.wire(bit), n, bit, None, f"port {name}"
                for port, (ns, n, _) in self.of_port.get(bit, {}).items() if isinstance(bit, int) else ():
                    yield ns + self.graph.wire(bit), n, bit, port, f"port {name}"

    def ports(self):
        """What a netlist around this unit needs to know, by port; nanoseconds and levels."""
        result = {p: {"load": max((self.graph.loads[b] for b in bits), default=0)} for p, bits in self.inputs.items()}
        for bit, setup, levels, _ in self.graph.captures:
            for port, (ns, n, _) in self.of_port.get(bit, {}).items():
                worse(result[port], "setup", ns + self.graph.wire(bit) + setup, n + levels)
        for name, bits in self.outputs.items():
            facts = result.setdefault(name, {})
            facts["load"] = max((self._fan_out(b) for b in bits if isinstance(b, int)), default=0)
            for bit in (b for b in bits if isinstance(b, int)):
                if bit in self.at:
                    worse(facts, "out", *self.at[bit][:2])
                for port, (ns, n, _) in self.of_port.get(bit, {}).items():
                    worse(facts.setdefault("through", {}), port, max(ns, 0.0), n)
        return result

    def _fan_out(self, bit):
        """Loads of a net, those inside the unit that drives it included."""
        return self.graph.loads[bit] + self.graph.inside[bit]

    def most_loads(self):
        """The net with the most loads among those that something in here drives; clocks come from outside."""
        driven = [b for b in self.graph.launches.keys() | self.graph.arcs.keys() if isinstance(b, int)]
        return max(driven, key=lambda b: (self._fan_out(b), -b), default=None)

    def summary(self, limit, target):
        """Worst figures, and the `limit` worst paths between different registers (numbers in their names make no difference)."""
        ends = sorted(self.endpoints(), key=lambda e: -e[0])
        paths, seen = [], set()
        for ns, levels, bit, port, end in ends:
            path = self._path(bit, port)
            start = f"port {port}" if port else self._name(path[0][0])
            stop = end if end.startswith("port ") else self._cell(end)
            key = tuple(re.sub(r"\d+", "0", x) for x in (start, stop))
            if key not in seen:
                seen.add(key)
                paths.append({"ns": round(ns, 2), "levels": levels, "from": start, "to": stop, "lines": self._lines(path, end)})
            if len(paths) == limit:
                break
        most = self.most_loads()
        return {
            "fanout": 0 if most is None else self._fan_out(most),
            "fanout_net": "" if most is None else self._name(most),
            "ns": round(ends[0][0], 2) if ends else 0.0,
            "levels": max((e[1] for e in ends), default=0),
            "inside_ns": round(max((e[0] for e in ends if not e[3] and not e[4].startswith("port ")), default=0.0), 2),
            "endpoints": len(ends),
            "late": sum(e[0] > target for e in ends),
            "loops": self.graph.loops,
            "paths": paths,
        }

    def _path(self, bit, port):
        """Bits from the start to `bit`, each with the cell that drives it."""
        path = []
        while True:
            step = (self.of_port[bit][port] if port else self.at[bit])[2]
            if not step:
                return [(bit, None), *path[::-1]]
            path.append((bit, step[1]))
            bit = step[0]

    def _names(self):
        if not hasattr(self, "names"):
            self.names = {}
            for name, net in self.module["netnames"].items():
                cost = (net.get("hide_name", 0), name.count("$"), len(name))
                for i, bit in enumerate(net["bits"]):
                    if isinstance(bit, int) and (bit not in self.names or cost < self.names[bit][0]):
                        full = f"{name}[{i}]" if len(net["bits"]) > 1 else name
                        self.names[bit] = (cost, full, net.get("attributes", {}).get("src", ""))
        return self.names

    def _name(self, bit):
        if not isinstance(bit, int):
            return f"{bit[1]}.{bit[2]}"
        launch = self.graph.launches.get(bit)
        cell = self.module["cells"].get(launch[2]) if launch else None
        name = self._names().get(bit, (0, str(bit)))[1]
        if cell and cell["type"] not in cells.FLIP_FLOPS:
            return f"{name} of {clean(cell['type'])}"
        return name

    def _cell(self, name):
        cell = self.module["cells"][name]
        if cell["type"] in cells.FLIP_FLOPS:
            return self._names().get(cells.wires(cell, "Q")[0], (0, name))[1]
        return f"{clean(cell['type'])} {clean(name)}"

    def _lines(self, path, end):
        """The source lines that the path's nets and cells name, in its order."""
        found = []
        for bit, cell in [*path, (None, end)]:
            found += places(self._names().get(bit, (0, "", ""))[2])
            found += places(self.module["cells"].get(cell, {}).get("attributes", {}).get("src", ""))
        return list(dict.fromkeys(found))


def worse(facts, key, ns, levels):
    """Keeps the longer of two."""
    if key not in facts or ns > facts[key][0]:
        facts[key] = [round(ns, 2), levels]


def places(src):
    """`file.sv:line` of a source attribute."""
    return re.findall(r"(\w+\.sv:\d+)", src)[:1]


def clean(name):
    """A cell's name without what Yosys adds."""
    return re.sub(r"\$[\w.$]*\.sv:\d+\$\d+|^\$\w+\$", "", name).strip(".") or name
