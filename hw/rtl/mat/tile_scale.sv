// Group scales of a tile: keeps the last scale beat and gives the eight scales of the value beat being decoded, one per
// 16 multipliers (per 32 columns of a 2:4 beat, twice the same for 32 dense columns, ones for K and V). In step with
// the sums: `scales` is for the beat whose sums are valid in T4.
module tile_scale
  import accllm_mat_pkg::*;
(
    input  logic         clk,
    input  logic         load,    // T1: a scale beat
    input  logic         decode,  // T1: a value beat
    input  format_t      format,
    input  logic         half,
    input  logic         unit,
    input  logic [  3:0] index,   // of the value beat after the scale beat
    input  logic [511:0] beat,
    input  logic         t2_valid,
    input  logic         t3_valid,
    output logic [ 63:0] scales   // T4
);
  logic [63:0] word[8];
  for (genvar i = 0; i < 8; i++) begin : gen_word
    logic [63:0] q;
    always_ff @(posedge clk) if (load) q <= beat[64*i+:64];
    assign word[i] = q;
  end
  wire [63:0] at = word[format==DENSE?index[2:0] : index[3:1]];
  wire [31:0] four = (format == DENSE ? half : index[0]) ? at[63:32] : at[31:0];
  logic [63:0] t2, t3;
  always_ff @(posedge clk) begin
    if (decode) begin
      if (unit) t2 <= 64'h0101010101010101;
      else if (format == SPARSE) t2 <= beat[511:448];
      else t2 <= {{2{four[31:24]}}, {2{four[23:16]}}, {2{four[15:8]}}, {2{four[7:0]}}};
    end
    if (t2_valid) t3 <= t2;
    if (t3_valid) scales <= t3;
  end
endmodule
