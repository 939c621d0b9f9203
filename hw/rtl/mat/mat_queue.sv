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
  wire take = start_valid && start_ready;
  assign taken = take;
  wire hdp64 = consts.hdp == 32'd64;
  wire hdp128 = consts.hdp == 32'd128;
  wire hdp256 = consts.hdp == 32'd256;
  wire no_hdp = !hdp64 && !hdp128 && !hdp256;
  // In terms of the operands themselves, so that the opcode chooses among results.
  wire is_w = uop.op == OP_MATW, is_k = uop.op == OP_MATK;
  wire n_0 = uop.n == 0, n_1 = uop.n == 32'd1;
  wire k_0 = uop.k == 0, k_1 = uop.k == 16'd1;
  wire sh_0 = uop.sh == 0, sh_1 = uop.sh == 8'd1;
  wire m_0 = uop.m == 0;
  wire unaligned = !is_k && ((uop.c | uop.aux) & 32'(VEC - 1)) != 0;
  wire [16:0] rows_wide = {uop.m[15:0], 1'b0}, rows_narrow = uop.m[16:0];
  wire [15:0] steps_wide = 16'((rows_wide + 17'(LANES - 1)) >> $clog2(LANES));
  wire [15:0] steps_narrow = 16'((rows_narrow + 17'(LANES - 1)) >> $clog2(LANES));
  wire too_many = op.wide ? uop.m > 32'(LANE_ROWS / 2) : uop.m > 32'(LANE_ROWS);
  wire few = op.wide ? uop.m <= 32'(LANES / 2) : uop.m <= 32'(LANES);  // one lane-row step

  always_comb begin
    op.seq = uop.seq;
    op.pc = uop.pc;
    op.kind = uop.op == OP_MATW ? KIND_W : uop.op == OP_MATK ? KIND_K : KIND_V;
    op.format = uop.op != OP_MATW ? FOUR : uop.flags[1:0] == 2'd0 ? SPARSE : uop.flags[1:0] == 2'd1 ? DENSE : FOUR;
    op.wide = uop.flags[FLAG_WIDE] && uop.op == OP_MATV;
    op.pair = uop.op == OP_MATK && hdp64;
    op.steps = uop.op == OP_MATV ? 32'(uop.sh) : uop.n;
    op.beats = uop.op == OP_MATW ? 32'(uop.k) : uop.op == OP_MATK ? 32'd1 + 32'(hdp256) : uop.n;
    op.empty = m_0 || n_0 || (is_w ? k_0 : !is_k && sh_0);
    op.illegal = is_w ? uop.flags[1:0] == 2'd3 : is_k && !op.empty && no_hdp;
    op.fault = (is_w && uop.flags[1:0] == 2'd3)
            || (!op.empty && (too_many || unaligned || (is_k && no_hdp)));
    op.b = uop.b;
    op.c = uop.c;
    op.aux = uop.aux;
    op.x = uop.x;
    op.rows = op.wide ? rows_wide[15:0] : rows_narrow[15:0];  // at most LANE_ROWS, else a fault
    op.lsteps = op.wide ? steps_wide : steps_narrow;
    op.one_step = is_w || is_k ? n_1 : sh_1;
    op.one_beat = is_w ? k_1 : is_k ? !hdp256 : n_1;
    op.one_lstep = !m_0 && few;
  end

  for (genvar i = 0; i < SLOTS; i++) begin : gen_slot
    mat_op_t slot;
    always_ff @(posedge clk) if (take && accepted[1:0] == 2'(i)) slot <= op;
    assign ops[i] = slot;
  end

  always_ff @(posedge clk) begin
    // A register, since control looks at it: there will be a free slot.
    start_ready <= rst || (count[2] ? retire : !(count == 3'(SLOTS - 1) && take && !retire));
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
