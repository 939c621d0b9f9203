// Two of a tile's 128 multipliers, for the weights of one group of four columns: decodes their part of the beat, selects
// the columns, multiplies, adds. Two lanes share a multiplier: `x` holds, per lane pair, the bytes
// {a1[3], a1[2], a0[3], a0[2], a1[1], a1[0], a0[1], a0[0]} of columns 0..3 in offset binary, so that a selection is
// a1 * 2^16 + a0; `sum` is such a pair of sums, exact as 32 bits up to 16 products. Does not apply scales.
module tile_group
  import accllm_mat_pkg::*;
#(
    parameter int PAIRS = 1
) (
    input  logic                clk,
    input  logic                decode,  // T1: take this beat's weights
    input  format_t             format,
    input  logic                half,
    input  logic [         6:0] sparse,  // pattern and two values
    input  logic [         3:0] dense0,  // two 2-bit values of either half
    input  logic [         3:0] dense1,
    input  logic [         7:0] four,    // two nibbles
    input  logic                valid,   // T2: multiply
    input  logic [64*PAIRS-1:0] x,
    output logic [32*PAIRS-1:0] sum      // T3
);
  code_t code;
  wire [3:0] two = half ? dense1 : dense0;
  always_ff @(posedge clk) begin
    if (decode) begin
      if (format == SPARSE) code <= SPARSE_CODES[sparse];
      else if (format == DENSE) code <= DENSE_CODES[two];
      else code <= {four ^ 8'h88, 6'd8, 6'd0};
    end
  end
  wire signed [31:0] w0 = $signed({28'd0, code.w0}) - 32'sd8;
  wire signed [31:0] w1 = $signed({28'd0, code.w1}) - 32'sd8;

  for (genvar i = 0; i < PAIRS; i++) begin : gen_pair
    wire [63:0] word = x[64*i+:64];
    wire [31:0] b0 = 32'(word >> code.s0) & 32'h00ff00ff;
    wire [31:0] b1 = 32'(word >> code.s1) & 32'h00ff00ff;
    wire signed [31:0] a0 = b0 - 32'h00800080;
    wire signed [31:0] a1 = b1 - 32'h00800080;
    logic signed [31:0] q;
    always_ff @(posedge clk) if (valid) q <= a0 * w0 + a1 * w1;
    assign sum[32*i+:32] = q;
  end
endmodule
