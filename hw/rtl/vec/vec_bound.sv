// Rounds and saturates a number that has been shifted: its lowest bit is half a unit. Combinational.
module vec_bound
  import accllm_vec_pkg::*;
#(
    parameter int WIDTH = 59
) (
    input  logic signed [WIDTH-1:0] t,
    input  logic                    modular,  // the lower 32 bits
    input  bounds_t                 bounds,
    output logic signed [     31:0] y
);
  wire signed [31:0] value = t[32:1];
  wire negative = t[WIDTH-1];
  wire fits = modular || t[WIDTH-1:32] == {WIDTH - 32{negative}};
  // A value at the upper bound stays there without its half; one below the lower bound does not come above it.
  wire low = fits ? value < bounds.low : negative;
  wire high = fits ? value >= bounds.high : !negative;
  assign y = low ? bounds.low : high ? bounds.high : value + {31'd0, t[0]};
endmodule
