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
  logic [5:0] s0, s1;  // shift that brings a column down: 0, 8, 32, 40
  logic signed [3:0] w0, w1;
  logic [1:0] c0, c1;
  wire [2:0] p = sparse[2:0];
  wire [3:0] two = half ? dense1 : dense0;

  assign c0 = p < 3'd3 ? 2'd0 : p < 3'd5 ? 2'd1 : 2'd2;
  assign c1 = p == 3'd0 ? 2'd1 : p == 3'd1 || p == 3'd3 ? 2'd2 : 2'd3;

  always_ff @(posedge clk) begin
    if (decode) begin
      case (format)
        SPARSE: begin
          s0 <= {c0[1], 1'b0, c0[0], 3'd0};
          s1 <= {c1[1], 1'b0, c1[0], 3'd0};
          // -2, -1, 1, 2
          w0 <= {~sparse[4], ~sparse[4], ~sparse[4] | sparse[3], sparse[4] ^ sparse[3]};
          w1 <= {~sparse[6], ~sparse[6], ~sparse[6] | sparse[5], sparse[6] ^ sparse[5]};
        end
        DENSE: begin
          s0 <= 6'd0;
          s1 <= 6'd8;
          // -3, -1, 1, 3
          w0 <= {~two[1], ~two[1], two[0], 1'b1};
          w1 <= {~two[3], ~two[3], two[2], 1'b1};
        end
        default: begin
          s0 <= 6'd0;
          s1 <= 6'd8;
          w0 <= four[3:0];
          w1 <= four[7:4];
        end
      endcase
    end
  end

  for (genvar i = 0; i < PAIRS; i++) begin : gen_pair
    wire [63:0] word = x[64*i+:64];
    wire [31:0] b0 = 32'(word >> s0) & 32'h00ff00ff;
    wire [31:0] b1 = 32'(word >> s1) & 32'h00ff00ff;
    wire signed [31:0] a0 = b0 - 32'h00800080;
    wire signed [31:0] a1 = b1 - 32'h00800080;
    logic signed [31:0] q;
    always_ff @(posedge clk) if (valid) q <= a0 * 32'(w0) + a1 * 32'(w1);
    assign sum[32*i+:32] = q;
  end
endmodule
