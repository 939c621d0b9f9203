"""Tests of the timing and of the records, on netlists small enough to add up by hand."""

import json
import pathlib
import tempfile
import unittest

import records
import timing

_, DELAYS = records.settings()
NET = 0.15 + 0.10  # a net with one load
GATE = DELAYS["logic"]["lut"]


def cell(kind, **ports):
    """A cell; outputs are O and Q."""
    directions = {p: "output" if p in "OQ" or p == "y" else "input" for p in ports}
    return {"type": kind, "parameters": {}, "attributes": {}, "connections": ports, "port_directions": directions}


def analyse(cells, ports, models=None):
    """Timing of a netlist given as cells and `name: (direction, bits)`."""
    module = {"cells": cells, "netnames": {}, "ports": {p: {"direction": d, "bits": b} for p, (d, b) in ports.items()}}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "netlist.json"
        path.write_text(json.dumps({"modules": {"top": module}}), encoding="utf-8")
        return timing.Timing(path, "top", DELAYS, models or {})


def flip_flop(d, q):
    """A flip-flop without enable and reset."""
    return cell("FDRE", D=[d], Q=[q], C=[1])


class Paths(unittest.TestCase):
    def test_a_path_is_the_sum_of_its_parts(self):
        cells = {"a": flip_flop(9, 2), "g": cell("LUT2", I0=[2], I1=[3], O=[4]), "h": cell("LUT1", I0=[4], O=[5]), "b": flip_flop(5, 6)}
        summary = analyse(cells, {"x": ("input", [3])}).summary(9, 3.5)
        d = DELAYS["flip_flop"]
        self.assertAlmostEqual(summary["ns"], d["clock_to_out"] + 3 * NET + 2 * GATE + d["setup"], places=2)
        self.assertEqual(summary["levels"], 2)

    def test_a_unit_inside_counts_with_its_ports(self):
        inner = analyse({"g": cell("LUT1", I0=[2], O=[3]), "r": flip_flop(3, 4)}, {"x": ("input", [2]), "y": ("output", [4])})
        through = analyse({"g": cell("LUT1", I0=[2], O=[3])}, {"x": ("input", [2]), "y": ("output", [3])})
        models = {"inner": {"ports": inner.ports()}, "through": {"ports": through.ports()}}
        outer = {"t": cell("through", x=[2], y=[3]), "i": cell("inner", x=[3], y=[4]), "r": flip_flop(8, 2)}
        flat = {"t": cell("LUT1", I0=[2], O=[3]), "g": cell("LUT1", I0=[3], O=[5]), "q": flip_flop(5, 4), "r": flip_flop(8, 2)}
        self.assertAlmostEqual(analyse(outer, {}, models).summary(1, 3.5)["ns"], analyse(flat, {}).summary(1, 3.5)["ns"], places=1)
        self.assertEqual(analyse(outer, {}, models).summary(1, 3.5)["levels"], 2)

    def test_loads_count_on_both_sides_of_a_port(self):
        cells = {"r": flip_flop(9, 2), "g": cell("LUT1", I0=[2], O=[3]), "q": flip_flop(3, 4)}
        inner = analyse(cells, {"y": ("output", [2])})
        self.assertEqual(inner.summary(1, 3.5)["fanout"], 1)
        outer = {"i": cell("inner", y=[2]), "a": flip_flop(2, 3), "b": flip_flop(2, 4)}
        self.assertEqual(analyse(outer, {}, {"inner": {"ports": inner.ports()}}).summary(1, 3.5)["fanout"], 3)

    def test_a_loop_is_cut_and_counted(self):
        cells = {"g": cell("LUT2", I0=[2], I1=[4], O=[3]), "h": cell("LUT1", I0=[3], O=[4]), "r": flip_flop(4, 2)}
        self.assertEqual(analyse(cells, {}).summary(1, 3.5)["loops"], 1)


class Budgets(unittest.TestCase):
    def test_a_unit_over_its_budget_is_named(self):
        unit = {"module": "tile", "lut": 11, "ns": 3.0, "fanout": 5, "fanout_net": "go"}
        self.assertEqual(records.over("tiny", "tile", unit, {"tile": {"tiny": {"lut": 11, "ns": 3.0}}}, 5), [])
        found = records.over("tiny", "tile", unit, {"tile": {"tiny": {"lut": 10, "ns": 2.9}}}, 5)
        self.assertEqual(len(found), 2)
        self.assertIn("lut is 11, more than 10", found[0])

    def test_a_net_with_too_many_loads_is_named(self):
        unit = {"module": "tile", "fanout": 6, "fanout_net": "go"}
        self.assertEqual(records.over("tiny", "tile", unit, {}, 5), ["tiny tile: go drives 6 loads, more than 5"])


if __name__ == "__main__":
    unittest.main()
