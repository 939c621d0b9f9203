// 32639 * 2^(-d/4096) for d >= 0 by table, rounded: looked up on `en`, result after that edge; 0 where `visible` is low.
// Without `wide` the result is rounded to its upper 8 bits.
module vec_exp2
  import accllm_tables_pkg::*;
(
    input  logic        clk,
    input  logic        en,
    input  logic        visible,
    input  logic [32:0] d,
    input  logic        wide,
    output logic [15:0] p
);
  logic [15:0] value;
  logic [11:0] delta;
  logic [5:0] low;
  logic [3:0] places;
  logic zero;

  always_ff @(posedge clk) begin
    if (en) begin
      value <= EXP2_VALUE[d[11:6]];
      delta <= EXP2_DELTA[d[11:6]];
      low <= d[5:0];
      places <= d[15:12];
      zero <= !visible || d[32:16] != 0;
    end
  end

  wire [17:0] slope = {6'd0, delta} * {12'd0, low};
  wire [15:0] power = value - {4'd0, slope[17:6]};
  wire [15:0] half = (16'd1 << places) >> 1;
  wire [15:0] rounded = (power + half) >> places;
  wire [15:0] narrow = (rounded + 16'd128) >> 8;
  assign p = zero ? '0 : wide ? rounded : narrow;

  wire unused = &{1'b0, slope[5:0]};
endmodule
