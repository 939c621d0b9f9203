// A quarter of one lane's sums in a tile: scales two sums of 16 products, adds them and accumulates them, times 2^exponent,
// in an entry per lane-row step. The quarters of a lane are the four dims of V, a quarter of the columns of everything else.
module tile_acc #(
    parameter int ENTRIES = 32,
    localparam int EW = $clog2(ENTRIES)
) (
    input  logic               clk,
    input  logic               scale_en,  // T4: `a`, `b` and the scales are there
    input  logic signed [15:0] a,
    input  logic signed [15:0] b,
    input  logic        [ 7:0] scale_a,
    input  logic        [ 7:0] scale_b,
    input  logic               add_en,    // T5
    input  logic               first,
    input  logic        [EW-1:0] entry,
    input  logic        [ 3:0] exponent,
    input  logic               r_en,
    input  logic        [EW-1:0] r_entry,
    output logic signed [47:0] r_sum      // one cycle later
);
  logic signed [47:0] mem[ENTRIES];
  logic signed [25:0] part;
  always_ff @(posedge clk)
    if (scale_en) part <= 26'(a) * $signed({18'd0, scale_a}) + 26'(b) * $signed({18'd0, scale_b});
  always_ff @(posedge clk) if (add_en) mem[entry] <= (48'(part) <<< exponent) + (first ? 48'sd0 : mem[entry]);
  always_ff @(posedge clk) if (r_en) r_sum <= mem[r_entry];
endmodule
