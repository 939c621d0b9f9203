// One lane's sums in a tile: scales the eight sums of 16 products, adds them and the offsets' part (four times offset
// times sum of the activations) to quarters and accumulates these, times 2^exponent, in an entry per lane-row step. The quarters are the four dims of V, a quarter of the columns of everything else. Sums g and 4 + g
// are those of quarter g; their scales are 2g and 2g + 1. The loops are kept as loops, see tile_decode.
module tile_acc #(
    parameter int ENTRIES = 32,
    parameter bit ODD = 1'b0,  // the lane in the high half of the sums
    localparam int EW = $clog2(ENTRIES)
) (
    input  logic               clk,
    input  logic               scale_en,    // T4: sums and scales are there
    input  logic        [31:0] sum     [8],
    input  logic        [63:0] scales,
    input  logic        [31:0] all     [4], // activations of a quarter of the columns, added
    input  logic        [31:0] offsets,
    input  logic               add_en,      // T5
    input  logic               first,
    input  logic        [EW-1:0] entry,
    input  logic        [ 3:0] exponent,
    input  logic               r_en,
    input  logic        [EW-1:0] r_entry,
    output logic signed [47:0] r_sum   [4]  // one cycle later
);
  logic signed [47:0] mem[ENTRIES][4];
  logic signed [25:0] part[4];
  always_ff @(posedge clk) begin
    if (scale_en) begin : scale
      logic signed [25:0] q[4];
      // verilator unroll_disable
      for (int g = 0; g < 4; g++) begin
        automatic logic signed [15:0] a, b, x;
        automatic logic [15:0] by;
        automatic logic [7:0] offset;
        // What the low lane borrowed goes back.
        a = ODD ? sum[g][31:16] + {15'd0, sum[g][15]} : sum[g][15:0];
        b = ODD ? sum[4+g][31:16] + {15'd0, sum[4+g][15]} : sum[4+g][15:0];
        x = ODD ? all[g][31:16] + {15'd0, all[g][15]} : all[g][15:0];
        by = 16'(scales >> 16 * g);
        offset = 8'(offsets >> 8 * g);
        q[g] = 26'(a) * $signed({18'd0, by[7:0]}) + 26'(b) * $signed({18'd0, by[15:8]})
             + ((26'(x) * 26'($signed(offset))) <<< 2);
      end
      part <= q;
    end
  end
  always_ff @(posedge clk) begin
    if (add_en) begin : add
      logic signed [47:0] q[4];
      // verilator unroll_disable
      for (int g = 0; g < 4; g++) q[g] = (48'(part[g]) <<< exponent) + (first ? 48'sd0 : mem[entry][g]);
      mem[entry] <= q;
    end
  end
  always_ff @(posedge clk) if (r_en) r_sum <= mem[r_entry];
endmodule
