// Constants of the lanes' arithmetic: saturation limits and the shift of the results. Loaded when an operation begins.
module vec_consts
  import accllm_isa_pkg::*;
  import accllm_vec_pkg::*;
(
    input  logic    clk,
    input  logic    init,
    input  uop_t    uop,
    input  vop_t    op,
    output vconst_t constants
);
  vconst_t made;
  always_comb begin
    made.gain = uop.k;
    made.modular = op.embed && !uop.sh[5];
    made.bounds = op.qk ? BOUNDS_INT4 : op.qq ? BOUNDS_QUERY : op.attq ? BOUNDS_INT16 : BOUNDS_INT32;
    if (op.qv) made.bounds_2 = BOUNDS_INT4;
    else if (op.last_stage || op.to_vmem && op.normq) made.bounds_2 = BOUNDS_INT16;
    else if (op.silu) made.bounds_2 = BOUNDS_SILU;
    else if (op.late) made.bounds_2 = BOUNDS_INT8;
    else if (op.radd) made.bounds_2 = BOUNDS_RESIDUAL;
    else if (op.embed && uop.sh[5]) made.bounds_2 = BOUNDS_ZERO;  // shifted out
    else made.bounds_2 = BOUNDS_INT32;
    made.shift_2 = '0;
    if (op.embed) made.shift_2 = {1'b0, ~uop.sh[4:0]};
    else if (op.qv || op.last_stage || op.normq || op.attq || op.silu) made.shift_2 = uop.sh[5:0];
  end
  always_ff @(posedge clk) if (init) constants <= made;

  wire unused = &{1'b0, uop, op};
endmodule
