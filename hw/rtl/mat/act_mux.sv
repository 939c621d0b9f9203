// Activation words for the tiles' multipliers, one calculation for all tiles: word i serves multipliers 2i and 2i+1. With
// 2:4 beats that is group i of 256 columns; with dense ones columns 2i and 2i+1 of one half. Interleaves the lanes of a
// pair and turns them into offset binary (tile_group says how).
module act_mux
  import accllm_mat_pkg::*;
#(
    parameter int LANES = 2,
    localparam int PAIRS = LANES / 2
) (
    input  logic                clk,
    input  logic                valid,                // T1
    input  format_t             format,
    input  logic                half,
    input  logic [        31:0] a      [LANES] [64],
    output logic [64*PAIRS-1:0] x      [64]           // T2
);
  for (genvar i = 0; i < 64; i++) begin : gen_word
    for (genvar p = 0; p < PAIRS; p++) begin : gen_pair
      localparam int S = 16 * (i % 2);
      logic [63:0] q;
      always_ff @(posedge clk)
        if (valid) begin
          if (format == SPARSE)
            q <= {a[2*p+1][i][31:16], a[2*p][i][31:16], a[2*p+1][i][15:0], a[2*p][i][15:0]} ^ 64'h8080808080808080;
          else if (half) q <= {32'd0, a[2*p+1][32+i/2][S+:16], a[2*p][32+i/2][S+:16]} ^ 64'h0000000080808080;
          else q <= {32'd0, a[2*p+1][i/2][S+:16], a[2*p][i/2][S+:16]} ^ 64'h0000000080808080;
        end
      assign x[i][64*p+:64] = q;
    end
  end
endmodule
