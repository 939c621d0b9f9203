// 2^15 * sigmoid(x / 4096) of a signed number by table: looked up on `en`, result after that edge. 0..32768.
module vec_sigmoid
  import accllm_tables_pkg::*;
(
    input  logic        clk,
    input  logic        en,
    input  logic [31:0] x,
    output logic [15:0] y
);
  logic [15:0] value;
  logic [11:0] delta;
  logic [6:0] low;
  logic negative, saturated;
  wire [31:0] mag = x[31] ? -x : x;

  always_ff @(posedge clk) begin
    if (en) begin
      value <= SIGMOID_VALUE[mag[15:7]];
      delta <= SIGMOID_DELTA[mag[15:7]];
      low <= mag[6:0];
      negative <= x[31];
      saturated <= mag[31:16] != 0;
    end
  end

  wire [18:0] slope = {7'd0, delta} * {12'd0, low};
  wire [15:0] positive = saturated ? 16'd32768 : value + {4'd0, slope[18:7]};
  assign y = negative ? 16'd32768 - positive : positive;

  wire unused = &{1'b0, slope[6:0]};
endmodule
