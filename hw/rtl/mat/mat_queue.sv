// Operations in flight in the matrix unit: takes a uop when one of four slots is free, and shows each slot to the
// walkers, which go through the slots in order. Does not start or end anything by itself.
module mat_queue
  import accllm_isa_pkg::*;
  import accllm_types_pkg::*;
  import accllm_mat_pkg::*;
#(
    parameter int LANES = 2,
    parameter int VEC = 8,
    parameter int LANE_ROWS = 32
) (
    input  logic                       clk,
    input  logic                       rst,
    input  logic                       start_valid,
    output logic                       start_ready,
    // the records are common to all units:
    // verilator lint_off UNUSEDSIGNAL
    input  uop_t                       uop,
    input  consts_t                    consts,
    // verilator lint_on UNUSEDSIGNAL
    input  logic                       retire,       // the oldest operation is done
    output logic    [             2:0] accepted,     // operations taken, modulo 8
    output logic                       taken,        // one more next cycle
    output mat_op_t                    ops[SLOTS]
);
  logic [2:0] count;
  mat_op_t    op;
  assign start_ready = !count[2];
  wire take = start_valid && start_ready;
  assign taken = take;
  wire hdp64 = consts.hdp == 32'd64;
  wire hdp128 = consts.hdp == 32'd128;
  wire unaligned = uop.op != OP_MATK && ((uop.c | uop.aux) & 32'(VEC - 1)) != 0;
  wire [32:0] rows = op.wide ? {uop.m, 1'b0} : {1'b0, uop.m};
  localparam int RW = $clog2(LANE_ROWS);
  wire too_many = rows[32:RW+1] != 0 || (rows[RW] && rows[RW-1:0] != 0);

  always_comb begin
    op.seq = uop.seq;
    op.pc = uop.pc;
    op.kind = uop.op == OP_MATW ? KIND_W : uop.op == OP_MATK ? KIND_K : KIND_V;
    op.format = uop.op != OP_MATW ? FOUR : uop.flags[1:0] == 2'd0 ? SPARSE : uop.flags[1:0] == 2'd1 ? DENSE : FOUR;
    op.wide = uop.flags[FLAG_WIDE] && uop.op == OP_MATV;
    op.pair = uop.op == OP_MATK && hdp64;
    op.steps = uop.op == OP_MATV ? 32'(uop.sh) : uop.n;
    op.beats = uop.op == OP_MATW ? 32'(uop.k) : uop.op == OP_MATK ? 32'd1 : uop.n;
    op.empty = op.steps == 0 || op.beats == 0 || uop.m == 0;
    op.illegal = uop.op == OP_MATW ? uop.flags[1:0] == 2'd3
               : uop.op == OP_MATK && !op.empty && !hdp64 && !hdp128;
    op.fault = op.illegal || (!op.empty && (too_many || unaligned));
    op.b = uop.b;
    op.c = uop.c;
    op.aux = uop.aux;
    op.x = uop.x;
    op.rows = rows[15:0];  // at most LANE_ROWS, else a fault
    op.lsteps = 16'((rows[16:0] + 17'(LANES - 1)) >> $clog2(LANES));
    op.one_step = op.steps == 32'd1;
    op.one_beat = op.beats == 32'd1;
    op.one_lstep = op.lsteps == 16'd1;
  end

  for (genvar i = 0; i < SLOTS; i++) begin : gen_slot
    mat_op_t slot;
    always_ff @(posedge clk) if (take && accepted[1:0] == 2'(i)) slot <= op;
    assign ops[i] = slot;
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      accepted <= '0;
      count <= '0;
    end else begin
      accepted <= accepted + 3'(take);
      count <= count + 3'(take) - 3'(retire);
      assert (!retire || count != 0)
      else $error("mat_queue: an operation ended that was not taken");
    end
  end
endmodule
