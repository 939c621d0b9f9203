"""The cells of a mapped netlist: what each one is, and what the delay model knows of it."""

import re

LUTRAM = {
    "RAM32M": 4, "RAM32M16": 8, "RAM64M": 4, "RAM64M8": 8, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1S": 4,
    "RAM32X16DR8": 8, "RAM64X8SW": 8, "RAM512X1S": 8, "RAM128X1S": 2, "RAM64X1S": 1, "RAM32X1S": 1,
}  # fmt: skip
RESOURCES = ("lut", "lutram", "ff", "carry", "dsp", "bram", "uram")
FLIP_FLOPS = ("FDRE", "FDSE", "FDCE", "FDPE")
CONTROL = {"FDRE": ("CE", "R"), "FDSE": ("CE", "S"), "FDCE": ("CE", "CLR"), "FDPE": ("CE", "PRE")}
DSP_OUT = ("P", "PCOUT", "CARRYOUT", "OVERFLOW", "UNDERFLOW", "XOROUT", "CARRYCASCOUT", "MULTSIGNOUT", "ACOUT", "BCOUT")


def resources(cells):
    """Counts of a netlist's cells by the resource of the device; a block RAM counts in halves of 36 Kb."""
    total = dict.fromkeys(RESOURCES, 0)
    for cell in cells.values():
        kind = cell["type"]
        if re.fullmatch(r"LUT[1-6]|INV", kind):
            total["lut"] += 1
        elif kind in LUTRAM:
            total["lutram"] += LUTRAM[kind]
        elif kind.startswith("SRL"):
            total["lutram"] += 1
        elif kind.startswith(("FD", "LD")):
            total["ff"] += 1
        elif kind == "CARRY4":
            total["carry"] += 1
        elif kind in ("DSP48E1", "DSP48E2"):
            total["dsp"] += 1
        elif kind == "RAMB36E2":
            total["bram"] += 1
        elif kind == "RAMB18E2":
            total["bram"] += 0.5
        elif kind == "URAM288":
            total["uram"] += 1
    return total


def wires(cell, port):
    """The bits at a port that are not constant."""
    return [b for b in cell["connections"].get(port, ()) if isinstance(b, int)]


def parameter(cell, name):
    """A numeric parameter; 0 where it is not set."""
    value = cell["parameters"].get(name, 0)
    return int(value[-32:], 2) if isinstance(value, str) else value


class Arcs:
    """Collects the timing arcs of cells into `graph` (see timing.Graph)."""

    def __init__(self, graph, delays):
        self.graph = graph
        self.d = delays

    def add(self, name, cell):
        """Adds a cell; false when its type is unknown."""
        kind = cell["type"]
        if re.fullmatch(r"LUT[1-6]|INV", kind):
            self._gate(name, cell, {p: self.d["logic"]["lut"] for p in cell["connections"] if p != "O"}, 1)
        elif kind.startswith("MUXF"):
            logic = self.d["logic"]
            self._gate(name, cell, {"S": logic["muxf_select"]}, 0)
            for port in ("I0", "I1"):
                for bit in wires(cell, port):
                    self.graph.arc(wires(cell, "O"), bit, logic["muxf_data"], 0, name, net=False)
        elif kind == "CARRY4":
            self._carry(name, cell)
        elif kind in FLIP_FLOPS:
            self._flip_flop(name, cell)
        elif kind in ("RAMB36E2", "RAMB18E2", "URAM288"):
            self._memory(name, cell)
        elif kind in LUTRAM or kind.startswith("SRL"):
            self._lutram(name, cell)
        elif kind in ("DSP48E1", "DSP48E2"):
            self._dsp(name, cell)
        else:
            return kind in ("GND", "VCC", "BUFG", "$scopeinfo")
        return True

    def _gate(self, name, cell, ports, levels):
        for port, ns in ports.items():
            for bit in wires(cell, port):
                self.graph.arc(wires(cell, "O"), bit, ns, levels, name)

    def _carry(self, name, cell):
        logic, con = self.d["logic"], cell["connections"]
        chain = wires(cell, "CI") + wires(cell, "CYINIT")
        for k in range(4):
            for port, ns in (("O", logic["carry_out"]), ("CO", logic["carry_step"])):
                out = con.get(port, [])[k : k + 1]
                if not out or not isinstance(out[0], int):
                    continue
                self.graph.carries.add(out[0])
                for bit in chain:
                    self.graph.arc(out, bit, ns, 0, name, net="carry")
                for entry in [b for p in ("S", "DI") for b in con.get(p, [])[: k + 1] if isinstance(b, int)]:
                    self.graph.arc(out, entry, logic["carry_in"] + ns, 1, name)

    def _flip_flop(self, name, cell):
        d = self.d["flip_flop"]
        self.graph.launch(wires(cell, "Q"), d["clock_to_out"], name)
        self.graph.capture(wires(cell, "D"), d["setup"], name)
        for port in CONTROL[cell["type"]]:
            self.graph.capture(wires(cell, port), d["control_setup"], name)

    def _memory(self, name, cell):
        ultra = cell["type"] == "URAM288"
        d = self.d["ultra_ram" if ultra else "block_ram"]
        registers = ("OREG_A", "OREG_B") if ultra else ("DOA_REG", "DOB_REG")
        for port, direction in cell["port_directions"].items():
            if direction == "output":
                side = registers[1] if "_B" in port or "OUTB" in port else registers[0]
                text = str(cell["parameters"].get(side, ""))
                held = parameter(cell, side) == 1 if set(text) <= {"0", "1"} else text.strip() == "TRUE"
                self.graph.launch(wires(cell, port), d["clock_to_out_registered" if held else "clock_to_out"], name)
            elif "CLK" not in port:
                self.graph.capture(wires(cell, port), d["setup"], name)

    def _lutram(self, name, cell):
        d, kind = self.d["lutram"], cell["type"]
        outs = [p for p, x in cell["port_directions"].items() if x == "output"]
        write_address = {"RAM32M": "ADDRD", "RAM32M16": "ADDRH", "RAM64M": "ADDRD", "RAM64M8": "ADDRH"}.get(kind)
        for port, direction in cell["port_directions"].items():
            if direction != "input" or "CLK" in port:
                continue
            read = re.fullmatch(r"ADDR[A-H]|A[0-9]?|DPRA[0-9]?", port) and port != write_address
            if not read:
                self.graph.capture(wires(cell, port), d["setup"], name)
                continue
            mine = [p for p in outs if not port.startswith("ADDR") or p == "DO" + port[-1]]
            for bit in wires(cell, port):
                self.graph.arc([b for p in mine for b in wires(cell, p)], bit, d["read"], 1, name)
        for port in outs:
            self.graph.launch(wires(cell, port), d["clock_to_out"], name)

    def _dsp(self, name, cell):
        d = self.d["dsp"]
        a, b, c, dd, m, p = (parameter(cell, f"{x}REG") for x in "ABCDMP")
        out = [bit for port in DSP_OUT for bit in wires(cell, port)]
        if p:
            self.graph.launch(out, d["clock_to_out"], name)
        elif m:
            self.graph.launch(out, d["clock_to_stage"] + d["add"] + d["out"], name)
        elif a or b:
            self.graph.launch(out, d["clock_to_stage"] + d["multiply"] + d["add"] + d["out"], name)
        for port, held in (("A", a), ("B", b), ("D", dd), ("ACIN", a), ("BCIN", b)):
            self._dsp_input(name, wires(cell, port), held, m, p, out, port.endswith("CIN"))
        for port in ("C", "PCIN", "CARRYIN", "CARRYCASCIN"):
            bits = wires(cell, port)
            if port == "C" and c:
                self.graph.capture(bits, d["input_setup"], name)
            elif p:
                self.graph.capture(bits, d["add"], name)
            else:
                for bit in bits:
                    self.graph.arc(out, bit, d["add"] + d["combinational_out"], 1, name, net=port != "PCIN")
        for port in cell["connections"]:
            if port.startswith(("CE", "RST")):
                self.graph.capture(wires(cell, port), d["control_setup"], name)

    def _dsp_input(self, name, bits, held, m, p, out, cascade):
        d = self.d["dsp"]
        if held:
            self.graph.capture(bits, d["input_setup"], name)
        elif m:
            self.graph.capture(bits, d["multiply"], name)
        elif p:
            self.graph.capture(bits, d["multiply"] + d["add"] - d["out"], name)
        else:
            through = d["multiply"] + d["add"] + d["combinational_out"]
            for bit in bits:
                self.graph.arc(out, bit, through, 1, name, net=not cascade)
