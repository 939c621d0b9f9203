// Activations for the tiles' multipliers, one calculation for all tiles: columns 0 to 3 of the group of every pair of
// multipliers (tile_decode says which). With 2:4 beats those are 256 columns; with others columns 2i and 2i + 1 of one
// half for group i. A pair of lanes shares a word, a1 * 2^16 + a0 as tile_mul wants it.
module act_mux
  import accllm_mat_pkg::*;
#(
    parameter int LANES = 2,
    localparam int PAIRS = LANES / 2
) (
    input  logic        clk,
    input  logic        valid,               // T1
    input  format_t     format,
    input  logic        half,
    input  logic [31:0] a     [LANES] [64],
    output logic [31:0] x0    [PAIRS*64],  // T2
    output logic [31:0] x1    [PAIRS*64],
    output logic [31:0] x2    [PAIRS*64],
    output logic [31:0] x3    [PAIRS*64]
);
  for (genvar p = 0; p < PAIRS; p++) begin : gen_pair
    for (genvar e = 0; e < 64; e++) begin : gen_word
      localparam int I = 16 * (e % 4) + 8 * (e / 4 % 2) + e / 8;
      localparam int S = 16 * (I % 2);
      wire [31:0] high = a[2*p+1][I];
      wire [31:0] low = a[2*p][I];
      wire [15:0] high_half = half ? a[2*p+1][32+I/2][S+:16] : a[2*p+1][I/2][S+:16];
      wire [15:0] low_half = half ? a[2*p][32+I/2][S+:16] : a[2*p][I/2][S+:16];
      wire [31:0] h = format == SPARSE ? high : {16'd0, high_half};
      wire [31:0] l = format == SPARSE ? low : {16'd0, low_half};
      always_ff @(posedge clk) begin
        if (valid) begin
          x0[64*p+e] <= {{8{h[7]}}, h[7:0], 16'd0} + {{24{l[7]}}, l[7:0]};
          x1[64*p+e] <= {{8{h[15]}}, h[15:8], 16'd0} + {{24{l[15]}}, l[15:8]};
          x2[64*p+e] <= {{8{h[23]}}, h[23:16], 16'd0} + {{24{l[23]}}, l[23:16]};
          x3[64*p+e] <= {{8{h[31]}}, h[31:24], 16'd0} + {{24{l[31]}}, l[31:24]};
        end
      end
    end
  end
endmodule
