// Addresses of results in vector memory. A result outside is not written and reported.
module vec_dst
  import accllm_vec_pkg::*;
#(
    parameter int VEC = 8,
    parameter int VMEM = 1 << 16
) (
    input  logic                          clk,
    input  vop_t                          op,
    input  logic                          init,
    input  logic [                  31:0] c,
    input  logic [                  31:0] distance,
    input  logic                          o_v,
    input  logic                          o_last,
    input  logic                          o_upper,
    input  logic                          taken,     // the result was written
    output logic                          want,
    output logic [$clog2(VMEM/VEC)-1:0] addr,
    output logic                          bad
);
  localparam int LV = $clog2(VEC);
  logic [31:0] at;
  wire [31:0] word = op.pairs && o_upper ? at + distance : at;
  wire here = o_v && op.to_vmem;
  assign bad = here && word >= 32'(VMEM / VEC);
  assign want = here && !bad;
  assign addr = word[$clog2(VMEM/VEC)-1:0];

  always_ff @(posedge clk) begin
    if (init) at <= c >> LV;
    else if (taken && !((op.pairs || op.halves) && !o_upper)) at <= at + 32'd1 + (op.pairs && o_last ? distance : 32'd0);
  end

  wire unused = &{1'b0, op};
endmodule
