// The 128 multipliers of a tile for two lanes: select a column each, multiply, add. `x` holds the columns of every group,
// for each pair of lanes, as a1 * 2^16 + a0, so that one multiplication serves both; `sum` are such pairs of sums of 16
// products, exact as 32 bits. Does not apply scales. The loops are kept as loops, see tile_decode.
module tile_mul #(
    parameter int PAIRS = 1,
    parameter int PAIR = 0  // of the lanes
) (
    input  logic        clk,
    input  logic        t2_valid,
    input  logic [ 1:0] s0      [64],
    input  logic [ 1:0] s1      [64],
    input  logic [ 3:0] w0      [64],
    input  logic [ 3:0] w1      [64],
    input  logic [31:0] x0      [PAIRS*64],
    input  logic [31:0] x1      [PAIRS*64],
    input  logic [31:0] x2      [PAIRS*64],
    input  logic [31:0] x3      [PAIRS*64],
    input  logic        t3_valid,
    output logic [31:0] sum     [ 8]   // T4
);
  logic signed [31:0] product[64];
  always_ff @(posedge clk) begin
    if (t2_valid) begin : multiply
      logic signed [31:0] q[64];
      // verilator unroll_disable
      for (int i = 0; i < 64; i++) begin
        automatic logic signed [31:0] a, b;
        a = ({32{s0[i] == 2'd0}} & x0[64*PAIR+i]) | ({32{s0[i] == 2'd1}} & x1[64*PAIR+i]) | ({32{s0[i] == 2'd2}} & x2[64*PAIR+i]);
        b = ({32{s1[i] == 2'd1}} & x1[64*PAIR+i]) | ({32{s1[i] == 2'd2}} & x2[64*PAIR+i]) | ({32{s1[i] == 2'd3}} & x3[64*PAIR+i]);
        q[i] = a * ($signed({28'd0, w0[i]}) - 32'sd8) + b * ($signed({28'd0, w1[i]}) - 32'sd8);
      end
      product <= q;
    end
  end

  always_ff @(posedge clk) begin
    if (t3_valid) begin : add
      logic [31:0] q[8];
      // verilator unroll_disable
      for (int j = 0; j < 8; j++) begin
        q[j] = ((product[j] + product[8+j]) + (product[16+j] + product[24+j]))
             + ((product[32+j] + product[40+j]) + (product[48+j] + product[56+j]));
      end
      sum <= q;
    end
  end
endmodule
