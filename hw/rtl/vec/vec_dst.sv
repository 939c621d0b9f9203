// Writes results to vector memory: takes them from the result queue and waits while the matrix unit writes. A result outside
// is not written and reported.
module vec_dst
  import accllm_vec_pkg::*;
#(
    parameter int VEC = 8,
    parameter int VMEM = 1 << 16
) (
    input  logic                                  clk,
    input  logic                                  flush,
    input  logic                                  init,
    input  logic     [                  31:0]     c,         // first element
    input  vop_t                                  op,
    input  vsetup_t                               setup,
    input  logic                                  valid,
    output logic                                  pop,
    input  vresult_t                              result,
    input  logic     [               VEC-1:0]     mask,
    input  logic     [                  31:0]     x     [VEC],
    output logic                                  vw_valid,
    input  logic                                  vw_ready,
    output logic     [$clog2(VMEM/VEC)-1:0]     vw_addr,
    output logic     [               VEC-1:0]     vw_mask,
    output logic     [            VEC*32-1:0]     vw_data,
    output logic                                  bad
);
  localparam int LV = $clog2(VEC);
  logic [31:0] at;
  wire [31:0] word = op.pairs && result.upper ? at + setup.distance : at;
  wire outside = word >= 32'(VMEM / VEC);
  wire complete = !(op.pairs || op.halves) || result.upper;
  assign pop = valid && op.to_vmem && (!vw_valid || vw_ready);

  always_ff @(posedge clk) begin
    if (init) at <= c >> LV;
    else if (pop && complete) at <= at + (op.pairs && result.last ? setup.jump : 32'd1);
    if (flush) vw_valid <= 1'b0;
    else if (pop) vw_valid <= !outside;
    else if (vw_ready) vw_valid <= 1'b0;
    bad <= pop && outside && !flush;
    if (pop) begin
      vw_addr <= word[$clog2(VMEM/VEC)-1:0];
      vw_mask <= mask;
    end
    assert (!(init && vw_valid)) else $error("vector results: an operation begins before the last word is written");
  end
  for (genvar l = 0; l < VEC; l++) begin : gen_lane
    logic [31:0] q;
    always_ff @(posedge clk) if (pop) q <= x[l];
    assign vw_data[l*32+:32] = q;
  end

  wire unused = &{1'b0, op, setup, result};
endmodule
