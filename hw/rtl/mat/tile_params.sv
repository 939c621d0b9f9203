// Parameter words of a tile: BANKS parameter beats of 16 words, read in pairs (words 2i and 2i+1), one
// cycle later.
module tile_params
  import accllm_mat_pkg::*;
(
    input  logic         clk,
    input  logic         w_en,
    input  logic [  1:0] w_bank,
    input  logic [511:0] w_beat,
    input  logic         r_en,
    input  logic [  1:0] r_bank,
    input  logic [  2:0] r_pair,
    output logic [ 63:0] r_words
);
  logic [511:0] mem[BANKS];
  always_ff @(posedge clk) if (w_en) mem[w_bank] <= w_beat;
  always_ff @(posedge clk) if (r_en) r_words <= mem[r_bank][64*r_pair+:64];
endmodule
