// Activations for the tiles' multipliers, one calculation for all tiles: columns 0 to 3 of the group of every pair of
// multipliers (tile_decode says which). With 2:4 beats those are 256 columns; with others columns 2i and 2i + 1 of one
// half for group i. A pair of lanes shares a word, {a1, a0}. The choice is registered in copies, one for 256 bits.
module act_mux
  import accllm_mat_pkg::*;
#(
    parameter int LANES = 2,
    localparam int PAIRS = LANES / 2
) (
    input  logic        clk,
    input  format_t     format,               // one cycle before the word
    input  logic        half,
    input  logic [31:0] a     [LANES] [64],
    output logic [15:0] x0    [PAIRS*64],     // one cycle after the word
    output logic [15:0] x1    [PAIRS*64],
    output logic [15:0] x2    [PAIRS*64],
    output logic [15:0] x3    [PAIRS*64]
);
  for (genvar p = 0; p < PAIRS; p++) begin : gen_pair
    for (genvar e = 0; e < 64; e++) begin : gen_word
      localparam int I = 16 * (e % 4) + 8 * (e / 4 % 2) + e / 8;
      localparam int S = 16 * (I % 2);
      if (e % 4 == 0) begin : gen_choice
        (* keep *) logic sparse, second;
        always_ff @(posedge clk) begin
          sparse <= format == SPARSE;
          second <= half;
        end
      end
      wire sparse = gen_word[e/4*4].gen_choice.sparse;
      wire second = gen_word[e/4*4].gen_choice.second;
      wire [31:0] high = a[2*p+1][I];
      wire [31:0] low = a[2*p][I];
      wire [15:0] high_half = second ? a[2*p+1][32+I/2][S+:16] : a[2*p+1][I/2][S+:16];
      wire [15:0] low_half = second ? a[2*p][32+I/2][S+:16] : a[2*p][I/2][S+:16];
      always_ff @(posedge clk) begin
        x0[64*p+e] <= sparse ? {high[7:0], low[7:0]} : {high_half[7:0], low_half[7:0]};
        x1[64*p+e] <= sparse ? {high[15:8], low[15:8]} : {high_half[15:8], low_half[15:8]};
        x2[64*p+e] <= sparse ? {high[23:16], low[23:16]} : '0;
        x3[64*p+e] <= sparse ? {high[31:24], low[31:24]} : '0;
      end
    end
  end
endmodule
