// Sums of a W4 beat's activations, one calculation for all tiles: of every quarter of the columns, for each pair of lanes
// in one word as act_mux has them. In step with tile_mul's sums. Of other beats the sums mean nothing: their offsets
// are 0. The loops are kept as loops, see tile_decode.
module act_sum #(
    parameter int PAIRS = 1
) (
    input  logic        clk,
    input  logic        t2_valid,
    input  logic [31:0] x0      [PAIRS*64],  // T2
    input  logic [31:0] x1      [PAIRS*64],
    input  logic        t3_valid,
    output logic [31:0] x_sum   [ PAIRS*4]   // T4
);
  logic [31:0] eight[PAIRS*8];
  always_ff @(posedge clk) begin
    if (t2_valid) begin : first
      logic [31:0] q[PAIRS*8];
      for (int p = 0; p < PAIRS; p++) begin
        // verilator unroll_disable
        for (int j = 0; j < 8; j++) begin
          q[8*p+j] = '0;
          for (int k = 0; k < 8; k++) q[8*p+j] = q[8*p+j] + x0[64*p+8*k+j] + x1[64*p+8*k+j];
        end
      end
      eight <= q;
    end
    if (t3_valid) begin : second
      logic [31:0] q[PAIRS*4];
      for (int p = 0; p < PAIRS; p++) begin
        for (int g = 0; g < 4; g++) q[4*p+g] = eight[8*p+g] + eight[8*p+4+g];
      end
      x_sum <= q;
    end
  end
endmodule
