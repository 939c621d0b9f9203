// Group scales and offsets of a tile: keeps the last scale beat and gives, for the value beat being decoded, eight scales,
// one per 16 multipliers (per 32 columns of a 2:4 beat, twice the same for 32 dense columns, ones for K and V), and the
// offsets of four quarters (of W4; 0 for everything else). In step with the sums: scales are for the beat whose sums are
// valid in t6, offsets, whose products are added to the first of these, for t5.
module tile_scale
  import accllm_mat_pkg::*;
(
    input  logic         clk,
    input  logic         load,    // t0: a scale beat
    input  logic         decode,  // t0: a value beat
    input  format_t      format,
    input  logic         half,
    input  logic         unit,
    input  logic [  2:0] index,   // of the value beat after the scale beat
    input  logic [511:0] beat,
    output logic [ 63:0] scales,  // t6
    output logic [ 31:0] offsets  // t5
);
  logic [63:0] word[8];
  for (genvar i = 0; i < 8; i++) begin : gen_word
    logic [63:0] q;
    always_ff @(posedge clk) if (load) q <= beat[64*i+:64];
    assign word[i] = q;
  end
  wire [63:0] at = word[index];
  wire [31:0] four = format == DENSE && half ? at[63:32] : at[31:0];
  logic [63:0] t1;
  logic [31:0] t1_offsets;
  always_ff @(posedge clk) begin
    if (decode) begin
      if (unit) t1 <= 64'h0101010101010101;
      else if (format == SPARSE) t1 <= beat[511:448];
      else t1 <= {{2{four[31:24]}}, {2{four[23:16]}}, {2{four[15:8]}}, {2{four[7:0]}}};
      t1_offsets <= format == FOUR && !unit ? at[63:32] : '0;
    end
  end
  delay_line #(
      .WIDTH (64),
      .STAGES(5)
  ) u_to_sums (
      .*,
      .d(t1),
      .q(scales)
  );
  delay_line #(
      .WIDTH (32),
      .STAGES(4)
  ) u_to_offsets (
      .*,
      .d(t1_offsets),
      .q(offsets)
  );
endmodule
