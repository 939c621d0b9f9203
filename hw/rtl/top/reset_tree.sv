// Carries the reset to its places: STAGES registers, of which the last is one a place, so that none drives more than a part
// of the engine and none must cross the chip in a cycle. All places leave reset in the same cycle. Does not hold a reset
// longer than its input does.
module reset_tree #(
    parameter int PLACES = 2,
    parameter int STAGES = 3
) (
    input  logic              clk,
    input  logic              rst_n,
    output logic [PLACES-1:0] rst
);
  logic [STAGES-2:0] trunk;
  (* keep, dont_touch = "yes" *) logic [PLACES-1:0] leaf;
  assign rst = leaf;

  always_ff @(posedge clk) begin
    trunk <= {trunk[STAGES-3:0], !rst_n};
    leaf <= {PLACES{trunk[STAGES-2]}};
  end
endmodule
