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
  (* keep, shreg_extract = "no" *) logic [STAGES-2:0] trunk;
  always_ff @(posedge clk) trunk <= {trunk[STAGES-3:0], !rst_n};

  // A register each: those of one vector with the same input would be joined.
  for (genvar i = 0; i < PLACES; i++) begin : gen_place
    (* keep, shreg_extract = "no", dont_touch = "yes" *) logic leaf;
    always_ff @(posedge clk) leaf <= trunk[STAGES-2];
    assign rst[i] = leaf;
  end
endmodule
