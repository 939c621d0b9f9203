"""Tests of what stands around a unit that is placed, and of its page."""

import unittest

import place


class Wrapper(unittest.TestCase):
    def test_every_bit_has_a_flip_flop_of_a_chain(self):
        text = place.wrapper("unit$top.u", {"clk": ("input", 1), "a": ("input", 3), "y": ("output", 2), "b": ("input", 2)})
        self.assertIn("reg [4:0] reads;", text)
        self.assertIn("reg [1:0] written;", text)
        self.assertIn("\\unit$top.u u (.clk(clk), .a(reads[0+:3]), .y(result[0+:2]), .b(reads[3+:2]));", text)


class Page(unittest.TestCase):
    def test_the_page_has_what_was_placed(self):
        self.assertIn(place.table(place.load()), place.PAGE.read_text(encoding="utf-8"))
        self.assertTrue(place.load()["units"])
        self.assertLessEqual(set(place.load()["units"]), set(place.UNITS))


if __name__ == "__main__":
    unittest.main()
