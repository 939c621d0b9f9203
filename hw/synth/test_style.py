"""The style of the RTL (docs/rtl.md), and that the reader sees what is against it."""

import unittest

import design
import style

GOOD = """// An example.
module a #(parameter int N = 1) ();
  typedef enum logic {X, Y} state_t;
  for (genvar i = 0; i < N; i++) begin : gen_b
    b #(.N(N)) u_b (.*, .x(y[i]), .z({c, d.e[3:0]}), .w(1'b0), .v(word_t'(raw)), .u());
  end
endmodule
"""


class Style(unittest.TestCase):
    def test_the_sources_keep_the_rules(self):
        found, read = style.check()
        self.assertEqual(found, [], "\n" + "\n".join(found))
        self.assertGreater(read, 100, "the reader does not see the instances")

    def test_an_example_keeps_them(self):
        self.assertEqual(style.faults("ctrl/a.sv", GOOD, {"b"}), [])

    def test_each_rule_is_seen(self):
        edits = {
            "a file holds one module": ("module a", "module c"),
            "no comment above": ("// An example.\n", ""),
            "'b_all' is not gen_NAME": ("gen_b", "b_all"),
            "'state' is not NAME_t": ("state_t", "state"),
            "parameter 'n' is not in capitals": ("int N", "int n"),
            "instance 'b0' of b is not u_NAME": ("u_b", "b0"),
            "`.*` is not first": (".*, .x(y[i])", ".x(y[i]), .*"),
            "`.x` is neither": (".x(y[i])", ".x"),
            "`.*` connects 'x'": (".x(y[i])", ".x(x)"),
            "the expression at 'x' needs a name": (".x(y[i])", ".x(y && i)"),
            "the expression at 'z' needs a name": ("{c, d.e[3:0]}", "{c, !d}"),
        }
        for what, (old, new) in edits.items():
            self.assertIn(old, GOOD)
            found = style.faults("ctrl/a.sv", GOOD.replace(old, new), {"b"})
            self.assertTrue(any(what in fault for fault in found), f"{what}: {found}")


class Written(unittest.TestCase):
    """Records stay current when a source is only written in another way."""

    def test_the_same_instance_written_in_two_ways(self):
        long = design.written("b #(.N(2)) queue (\n    .clk,  // the clock\n    .rst,\n    .x(y)\n);")
        self.assertEqual(long, design.written("b #(.N(2)) u_queue (.*, .x(y));"))

    def test_another_signal_is_another_source(self):
        one = design.written("b u_queue (.*, .x(y));")
        for other in ("b u_queue (.*, .x(z));", "b u_queue (.*);", "c u_queue (.*, .x(y));", "b u_queue (.*, .w(y));"):
            self.assertNotEqual(one, design.written(other))
