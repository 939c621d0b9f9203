// sat32(rs(x, shift)): rounding shift right, half up, then saturation, in three stages: two parts of the shift and the
// rounding, one for the limits (outside: the result is `rounded`, or, if `over`, the end of the range on the side of
// `negative`). A value a cycle, two cycles after x.
module requant #(
    parameter bit HOLD = 1'b1
) (
    input  logic               clk,
    input  logic        [ 1:0] valid,     // of x, and one cycle later, for HOLD
    input  logic signed [63:0] x,
    input  logic        [ 5:0] shift,
    output logic        [31:0] rounded,
    output logic               over,
    output logic               negative
);
  // With one bit more below, which decides the rounding. x + 2^(shift-1) itself could overflow.
  logic signed [64:0] coarse;
  (* keep *) logic [1:0] fine;  // not the end of a shift register
  always_ff @(posedge clk) begin
    if (valid[0] || !HOLD) begin
      coarse <= $signed({x, 1'b0}) >>> {shift[5:2], 2'b00};
      fine   <= shift[1:0];
    end
  end
  wire signed [64:0] y = coarse >>> fine;
  wire [31:0] up = y[32:1] + 32'(y[0]);
  always_ff @(posedge clk) begin
    if (valid[1] || !HOLD) begin
      rounded <= up;
      over <= y[64:32] != {33{y[64]}};
      negative <= y[64];
    end
  end
endmodule
