// Sums of a W4 beat's activations, one calculation for all tiles: of every quarter of the columns, for each lane. A word
// a cycle, in three stages. Of other beats the sums mean nothing: their offsets are 0. The loops are kept as loops, see
// tile_decode.
module act_sum #(
    parameter int LANES = 2,
    localparam int PAIRS = LANES / 2
) (
    input  logic        clk,
    input  logic [15:0] x0   [PAIRS*64],
    input  logic [15:0] x1   [PAIRS*64],
    output logic [12:0] sums [ LANES*4]   // three cycles later
);
  for (genvar l = 0; l < LANES; l++) begin : gen_lane
    logic signed [15:0] four[32], eight[8], all[4];
    always_ff @(posedge clk) begin : add
      logic signed [15:0] p[32], q[8], r[4];
      for (int k = 0; k < 4; k++) begin
        // verilator unroll_disable
        for (int j = 0; j < 8; j++) begin
          automatic logic signed [15:0] a, b, c, d;
          a = 16'($signed(x0[64*(l/2)+16*k+j][8*(l%2)+:8]));
          b = 16'($signed(x1[64*(l/2)+16*k+j][8*(l%2)+:8]));
          c = 16'($signed(x0[64*(l/2)+16*k+8+j][8*(l%2)+:8]));
          d = 16'($signed(x1[64*(l/2)+16*k+8+j][8*(l%2)+:8]));
          p[8*k+j] = (a + b) + (c + d);
        end
      end
      for (int j = 0; j < 8; j++) q[j] = (four[j] + four[8+j]) + (four[16+j] + four[24+j]);
      for (int g = 0; g < 4; g++) r[g] = eight[g] + eight[4+g];
      four  <= p;
      eight <= q;
      all   <= r;
    end
    for (genvar g = 0; g < 4; g++) begin : gen_quarter
      assign sums[4*l+g] = 13'(all[g]);
    end
  end
endmodule
