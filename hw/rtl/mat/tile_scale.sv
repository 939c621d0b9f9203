// Group scales and offsets of a tile: keeps the last scale beat and gives, for the value beat being decoded, eight scales,
// one per 16 multipliers (per 32 columns of a 2:4 beat, twice the same for 32 dense columns, ones for K and V), and the
// offsets of four quarters (of W4; 0 for everything else). In step with the sums: both are for the beat whose sums are
// valid in T4.
module tile_scale
  import accllm_mat_pkg::*;
(
    input  logic         clk,
    input  logic         load,    // T1: a scale beat
    input  logic         decode,  // T1: a value beat
    input  format_t      format,
    input  logic         half,
    input  logic         unit,
    input  logic [  2:0] index,   // of the value beat after the scale beat
    input  logic [511:0] beat,
    input  logic         t2_valid,
    input  logic         t3_valid,
    output logic [ 63:0] scales,  // T4
    output logic [ 31:0] offsets
);
  logic [63:0] word[8];
  for (genvar i = 0; i < 8; i++) begin : gen_word
    logic [63:0] q;
    always_ff @(posedge clk) if (load) q <= beat[64*i+:64];
    assign word[i] = q;
  end
  wire [63:0] at = word[index];
  wire [31:0] four = format == DENSE && half ? at[63:32] : at[31:0];
  logic [63:0] t2, t3;
  logic [31:0] t2_offsets, t3_offsets;
  always_ff @(posedge clk) begin
    if (decode) begin
      if (unit) t2 <= 64'h0101010101010101;
      else if (format == SPARSE) t2 <= beat[511:448];
      else t2 <= {{2{four[31:24]}}, {2{four[23:16]}}, {2{four[15:8]}}, {2{four[7:0]}}};
      t2_offsets <= format == FOUR && !unit ? at[63:32] : '0;
    end
    if (t2_valid) {t3, t3_offsets} <= {t2, t2_offsets};
    if (t3_valid) {scales, offsets} <= {t3, t3_offsets};
  end
endmodule
