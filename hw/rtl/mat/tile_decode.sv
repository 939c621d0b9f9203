// The weights of a value beat as a tile's 64 pairs of multipliers take them: for either multiplier the column of its
// group of four, and the weight as a number of four bits. Does not multiply.
//
// Pair 8k + 4h + g works on group 16g + 8h + k: sums of eight groups add pairs that are eight apart, and the sums of a
// quarter g are four apart. The loops are kept as loops, which a C++ compiler turns into vector instructions.
module tile_decode
  import accllm_mat_pkg::*;
(
    input  logic         clk,
    input  logic         decode,       // t0: take this beat's weights
    input  format_t      format,
    input  logic         half,
    input  logic [511:0] beat,
    output logic [  1:0] s0    [64],   // t1: 0, 1, 2
    output logic [  1:0] s1    [64],   // 1, 2, 3
    output logic [  3:0] w0    [64],   // two's complement
    output logic [  3:0] w1    [64]
);
  // Eight groups of seven bits; eight of two values, of either half; nibbles of words k and 8 + k.
  wire [55:0] sparse[8];
  wire [31:0] dense[8];
  wire [63:0] four[8];
  for (genvar j = 0; j < 8; j++) begin : gen_part
    localparam int PART = 2 * (j % 4) + j / 4;
    assign sparse[j] = beat[56*PART+:56];
    assign dense[j] = half ? beat[256+32*PART+:32] : beat[32*PART+:32];
    assign four[j] = {beat[256+32*j+:32], beat[32*j+:32]};
  end

  always_ff @(posedge clk) begin
    if (decode) begin : take
      logic [7:0] code[64];
      logic [1:0] c0[64], c1[64];
      logic [3:0] v0[64], v1[64];
      if (format == SPARSE) begin
        for (int k = 0; k < 8; k++) begin
          // verilator unroll_disable
          for (int j = 0; j < 8; j++) code[8*k+j] = 8'(sparse[j] >> 7 * k);
        end
        // verilator unroll_disable
        for (int i = 0; i < 64; i++) begin
          c0[i] = 2'(code[i][2:0] >= 3'd3) + 2'(code[i][2:0] >= 3'd5);
          c1[i] = 2'd1 + 2'(code[i][2:0] != 3'd0) + 2'(code[i][2:0] == 3'd2 || code[i][2:0] > 3'd3);
          v0[i] = 4'd14 + 4'(code[i][4:3]) + 4'(code[i][4]);  // -2, -1, 1, 2
          v1[i] = 4'd14 + 4'(code[i][6:5]) + 4'(code[i][6]);
        end
      end else if (format == DENSE) begin
        for (int k = 0; k < 8; k++) begin
          // verilator unroll_disable
          for (int j = 0; j < 8; j++) code[8*k+j] = 8'(dense[j] >> 4 * k);
        end
        // verilator unroll_disable
        for (int i = 0; i < 64; i++) begin
          c0[i] = 2'd0;
          c1[i] = 2'd1;
          v0[i] = 4'd13 + {1'b0, code[i][1:0], 1'b0};  // -3, -1, 1, 3
          v1[i] = 4'd13 + {1'b0, code[i][3:2], 1'b0};
        end
      end else begin
        for (int k = 0; k < 8; k++) begin
          // verilator unroll_disable
          for (int j = 0; j < 8; j++) begin
            code[8*k+j] = {4'(four[k] >> {j[2], 1'b1, j[1:0], 2'b00}), 4'(four[k] >> {j[2], 1'b0, j[1:0], 2'b00})};
          end
        end
        // verilator unroll_disable
        for (int i = 0; i < 64; i++) begin
          c0[i] = 2'd0;
          c1[i] = 2'd1;
          v0[i] = code[i][3:0];
          v1[i] = code[i][7:4];
        end
      end
      s0 <= c0;
      s1 <= c1;
      w0 <= v0;
      w1 <= v1;
    end
  end
endmodule
