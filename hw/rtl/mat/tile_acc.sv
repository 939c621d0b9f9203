// One lane's sums in a tile: scales the eight sums of 16 products, adds them and the offsets' part (four times offset
// times sum of the activations) to quarters and accumulates these, times 2^exponent, in an entry per lane-row step. The
// quarters are the four dims of V, a quarter of the columns of everything else. Sums g and 4 + g are those of quarter g;
// their scales are 2g and 2g + 1. Three DSPs a quarter, on a cascade; a memory a quarter.
module tile_acc #(
    parameter int ENTRIES = 32,
    parameter bit ODD = 1'b0,   // the lane in the high half of the sums
    parameter bit HOLD = 1'b1,
    localparam int EW = $clog2(ENTRIES)
) (
    input  logic               clk,
    input  logic        [ 8:5] valid,           // in stages t5 to t8, for HOLD
    input  logic        [12:0] all     [4],     // t5: activations of a quarter of the columns, added
    input  logic        [31:0] offsets,         // t5
    input  logic        [31:0] sum     [8],     // t6
    input  logic        [63:0] scales,          // t6
    input  logic        [ 3:0] exponent,        // t8
    input  logic               add_en,          // t9
    input  logic               first,
    input  logic        [EW-1:0] entry,
    input  logic               r_en,
    input  logic        [EW-1:0] r_entry,
    output logic signed [47:0] r_sum   [4]      // one cycle later
);
  for (genvar g = 0; g < 4; g++) begin : gen_quarter
    wire signed [15:0] a = ODD ? sum[g][31:16] : sum[g][15:0];
    wire signed [15:0] b = ODD ? sum[4+g][31:16] : sum[4+g][15:0];
    wire signed [8:0] by_a = {1'b0, scales[16*g+:8]};
    wire signed [8:0] by_b = {1'b0, scales[16*g+8+:8]};
    wire signed [12:0] x = all[g];
    wire signed [7:0] offset = offsets[8*g+:8];
    logic signed [25:0] mx, px, ma, mb, part;
    logic signed [47:0] shifted;
    always_ff @(posedge clk) begin
      if (valid[5] || !HOLD) mx <= (26'(x) * 26'(offset)) <<< 2;  // t6
      if (valid[6] || !HOLD) begin  // t7
        px <= mx;
        ma <= 26'(a) * 26'(by_a);
        mb <= 26'(b) * 26'(by_b);
      end
      if (valid[7] || !HOLD) part <= (px + ma) + mb;  // t8
      if (valid[8] || !HOLD) shifted <= 48'(part) <<< exponent;  // t9
    end

    logic signed [47:0] mem[ENTRIES];
    logic signed [47:0] q;
    always_ff @(posedge clk) if (add_en) mem[entry] <= shifted + (first ? 48'sd0 : mem[entry]);
    always_ff @(posedge clk) if (r_en) q <= mem[r_entry];
    assign r_sum[g] = q;
  end
endmodule
