import unittest

import design
import fit
import formulas
import points

RESOURCES = dict.fromkeys(("lut", "lutram", "ff", "carry", "dsp", "bram", "uram"), 0)


def point(parameters, **resources):
    """A point of synthesis."""
    return {"unit": "u", "parameters": parameters, "sources": "s", "files": []} | RESOURCES | resources


class Formulas(unittest.TestCase):
    def test_memories_are_those_that_yosys_takes(self):
        self.assertEqual([formulas.bram(256, depth) for depth in (512, 1024, 8192)], [4, 7.5, 58])
        self.assertEqual(formulas.bram(4, 4096), 0.5)
        self.assertEqual([formulas.uram(512, depth) for depth in (64, 4096, 8192, 16384)], [8, 8, 15, 29])

    def test_a_name_without_value_is_an_error(self):
        with self.assertRaisesRegex(design.SynthesisError, "LANES \\+ 1.*LANES"):
            formulas.evaluate("LANES + 1", {})


class Fits(unittest.TestCase):
    FORM = {"lut": ["1", "N", "N * log2(N)"], "dsp": "2 * N"}

    def samples(self, wrong=0):
        """Points on a line, and one that is held out."""
        lut = {2: 10 + 6 + 4, 4: 10 + 12 + 16, 8: 10 + 24 + 48, 16: 10 + 48 + 128 + wrong}
        return [(point({"N": n}, lut=value, dsp=2 * n), n == 16) for n, value in lut.items()]

    def test_coefficients_are_found(self):
        found, lines = fit.fit_unit("u", self.FORM, self.samples())
        self.assertEqual((found["lut"], found["dsp"]), ("10 + 3 * (N) + 2 * (N * log2(N))", "2 * N"))
        self.assertEqual([line["wrong"] for line in lines], [[]] * 7)

    def test_a_held_out_point_that_is_off_is_named(self):
        _, lines = fit.fit_unit("u", self.FORM, self.samples(wrong=30))
        self.assertIn("u N=16 (held out): lut 216, estimate 186.0", lines[0]["wrong"])
        self.assertAlmostEqual(lines[0]["held"], 30 / 216)

    def test_memories_and_multipliers_have_to_be_exact(self):
        samples = [(p | {"dsp": p["dsp"] + 1}, held) for p, held in self.samples()]
        _, lines = fit.fit_unit("u", self.FORM, samples)
        self.assertEqual(len(next(x for x in lines if x["resource"] == "dsp")["wrong"]), 4)

    def test_too_few_points_for_the_terms_are_an_error(self):
        with self.assertRaisesRegex(design.SynthesisError, "do not tell the terms"):
            fit.fit_unit("u", self.FORM, self.samples()[:2])


class Points(unittest.TestCase):
    SETTINGS = {
        "configurations": {"points": ["tiny"], "held": ["edge"]},
        "units": {"u": {"with": {"E": "2 * lane_rows / lanes"}, "fixed": {"HOLD": 0}, "points": [{"E": [8, 16]}], "held": [{"E": 64}]}},
    }

    def test_points_are_of_configurations_and_of_lists(self):
        found = {name: held for name, (_, _, held) in points.wanted(self.SETTINGS).items()}
        # tiny and edge have the same: one point, which is fitted.
        self.assertEqual(found, {"u E=32 HOLD=0": False, "u E=8 HOLD=0": False, "u E=16 HOLD=0": False, "u E=64 HOLD=0": True})

    def test_a_point_cannot_be_both(self):
        unit = self.SETTINGS["units"]["u"] | {"held": [{"E": 8}]}
        with self.assertRaisesRegex(design.SynthesisError, "both fitted and held out"):
            points.wanted(self.SETTINGS | {"units": {"u": unit}})

    def test_a_point_of_other_sources_is_stale(self):
        self.assertFalse(points.current({"files": ["tile"], "sources": "of another time"}))
        self.assertTrue(points.current({"files": ["tile"], "sources": design.fingerprint(["tile"])}))


if __name__ == "__main__":
    unittest.main()
