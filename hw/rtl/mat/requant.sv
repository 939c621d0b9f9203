// sat32(rs(x, shift)): rounding shift right, half up, then saturation. Combinational.
module requant (
    input  logic signed [63:0] x,
    input  logic        [ 5:0] shift,
    output logic signed [31:0] y
);
  // The bit below the result decides the rounding; x + 2^(shift-1) itself could overflow.
  wire signed [63:0] below = x >>> (shift - 6'd1);
  wire signed [63:0] r = shift == 0 ? x : $signed({below[63], below[63:1]}) + $signed({63'd0, below[0]});
  wire over = r[63:31] != {33{r[63]}};
  assign y = over ? {r[63], {31{~r[63]}}} : r[31:0];
endmodule
