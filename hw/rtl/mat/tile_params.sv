// Parameter words of a tile: BANKS parameter beats of 16 words, read in pairs (words 2i and 2i+1).
module tile_params
  import accllm_mat_pkg::*;
(
    input  logic         clk,
    input  logic         w_en,
    input  logic [  1:0] w_bank,
    input  logic [511:0] w_beat,
    input  logic [  1:0] r_bank,
    input  logic [  2:0] r_pair,
    output logic [ 63:0] r_words
);
  logic [63:0] word[8];
  for (genvar i = 0; i < 8; i++) begin : gen_pair
    logic [63:0] mem[BANKS];
    always_ff @(posedge clk) if (w_en) mem[w_bank] <= w_beat[64*i+:64];
    assign word[i] = mem[r_bank];
  end
  assign r_words = word[r_pair];
endmodule
