// Everything that makes the steps of an operation: loop addresses, visible slots and rows of SOFTMAX with the scan ahead of
// them, scalars of heads, elements from auxiliary memory. Hands a step's record out in stage 1, and what belongs to its data
// in stage 4.
module vec_source
  import accllm_isa_pkg::*;
  import accllm_types_pkg::*;
  import accllm_vec_pkg::*;
#(
    parameter int LANES = 2,
    parameter int VEC = 8,
    parameter int VMEM = 1 << 16,
    parameter int SBUF = 1 << 12,
    parameter int SCALARS = 256,
    localparam int AV = $clog2(VMEM / VEC),
    localparam int AS = $clog2(SCALARS)
) (
    input  logic                       clk,
    input  logic                       flush,
    // Operations: taken, set up, running.
    input  logic                       take,
    input  uop_t                       start_uop,
    output logic                       scan_idle_next,
    input  vnext_t                     next,
    input  logic                       starts,
    input  logic                       init,
    input  uop_t                       uop,
    input  vop_t                       op,
    input  vsetup_t                    setup,
    input  consts_t                    consts,
    input  logic                       drained,     // no more reads of scalars
    input  logic                       next_valid,
    input  logic                       run,
    input  logic                       run_next,
    input  logic                       room_next,   // there will be room for a result
    input  logic                       token_read,
    input  logic [               31:0] token_word,
    output logic [          STEPS-1:0] step,        // copies
    output logic                       step_final,
    output logic                       bad,
    // Memories.
    output logic                       vm_r_en,
    output logic [             AV-1:0] vm_ra_addr,
    output logic [             AV-1:0] vm_rb_addr,
    output logic                       sb_r_en,
    output logic [  $clog2(LANES)-1:0] sb_r_lane,
    output logic [   $clog2(SBUF)-1:0] sb_r_addr,
    output logic                       sb_s_en,
    output logic [  $clog2(LANES)-1:0] sb_s_lane,
    output logic [   $clog2(SBUF)-1:0] sb_s_addr,
    input  logic [         VEC*32-1:0] sb_s_data,
    output logic                       vs_r_en,
    output logic [             AS-1:0] vs_r_addr,
    input  logic [               31:0] vs_r_f0,
    input  logic [               21:0] vs_r_f1,
    input  logic [               21:0] vs_r_f3,
    input  logic                       aux_rd_valid,
    output logic                       aux_rd_ready,
    input  logic [              511:0] aux_rd_data,
    // Steps.
    output tag_t                       tag_1,
    output logic [            VEC-1:0] mask_1,
    output logic [            VEC-1:0] seen_3,
    input  tag_t                       tag_2,
    input  tag_t                       tag_3,
    output vscalar_t                   scalar,      // stage 4
    output logic [               31:0] param_4,     // QK: base and scale of the head
    output vtop_t                      top_4,
    output logic [               31:0] ld   [VEC]   // stage 4
);
  localparam int LV = $clog2(VEC);
  logic peak, rows_next, top_valid, load_next, upper_next, row_end, head_outside, outside_1, sink_1;
  logic [31:0] row_word, row_start, score_step, a_word, b_word;
  logic [VEC-1:0] mask_src;
  logic [AS-1:0] head_addr, head_1, rows_addr;
  logic [$clog2(LANES)-1:0] row_lane;
  tag_t tag_src;
  wire head_bad = op.by_head && tag_src.first && outside_1;

  // Whether a step is made is decided a cycle before, from what will then be true: the second half of a pair follows the first
  // one at once, because ROPE's lanes count on it; any other step needs a row, and perhaps room or elements. An operation that
  // waits for elements has begun long before its first step.
  (* keep *) logic needs_room, needs_load, in_pairs;
  wire needs_room_next = init ? next.op.queued : needs_room;
  wire go_next = (in_pairs && upper_next) || (rows_next && (room_next || !needs_room_next) && (load_next || !needs_load || init));
  wire step_next = run_next && go_next;
  always_ff @(posedge clk) begin
    needs_room <= needs_room_next;
    if (init) needs_load <= next.op.from_aux;
    if (init) in_pairs <= next.op.pairs;
  end
  for (genvar i = 0; i < STEPS; i++) begin : gen_step
    (* keep *) logic q;
    always_ff @(posedge clk) q <= step_next;
    assign step[i] = q;
  end
  assign row_start = uop.b >> LV;
  vec_src #(.VEC(VEC), .VMEM(VMEM), .SBUF(SBUF)) u_src (.*, .step(step[STEP_WORDS]), .row_step(step[STEP_ROWS]), .final_step(step[STEP_CONTROL]), .scalar_bad(head_bad), .tag(tag_src), .mask(mask_src));

  // Rows of SOFTMAX: visible slots, places in the score buffer, largest scores, factors.
  vtop_t top, top_1;
  vec_visible #(.VEC(VEC)) u_visible (
      .*,
      .position(next.uop.a), .ring_pointer(next.uop.b), .again(peak), .step(step[STEP_ROWS]),
      .sink(sink_1), .mask(seen_3)
  );
  assign score_step = consts.score_row >> LV;
  vec_score_row #(.LANES(LANES)) u_row (
      .*,
      .m(next.uop.m), .base(next.setup.score), .step(score_step), .next(row_end), .lane(row_lane),
      .word(row_word)
  );
  vec_scan #(.LANES(LANES), .VEC(VEC), .SBUF(SBUF)) u_scan (
      .*,
      .start(take), .uop(start_uop), .idle_next(scan_idle_next), .r_en(sb_s_en), .r_lane(sb_s_lane),
      .r_addr(sb_s_addr), .r_data(sb_s_data), .take(peak)
  );
  logic rows_en;
  wire early = next_valid && drained && !op.statk && !op.statq;  // which write such factors
  logic [31:0] f0_q;
  logic [21:0] f1_q, f3_q;
  logic signed [25:0] zq_window, zq_sink;
  wire peak_3 = tag_3.v && tag_3.peak;
  wire [AS-1:0] scalar_1 = next.setup.scalar_1[AS-1:0], scalar_2 = next.setup.scalar_2[AS-1:0];
  vec_rows #(.SCALARS(SCALARS)) u_rows (
      .*,
      .softmax(next.op.softmax), .window(scalar_1), .sink(scalar_2), .scale(f0_q[15:0]), .zm(next.uop.k), .s_en(rows_en),
      .s_addr(rows_addr), .ready_next(rows_next)
  );
  // The largest scores leave the scan with the peak; the data of the peak before may still be on their way.
  always_ff @(posedge clk) begin
    if (peak) top_1 <= top;
    if (peak_3) top_4 <= top_1;
  end

  // The step's record, and the memories' addresses.
  logic token_1;
  logic [$clog2(LANES)-1:0] lane_1;
  always_comb begin
    tag_1 = tag_src;
    tag_1.sink = op.softmax && sink_1 && !tag_src.peak;
    mask_1 = tag_src.peak ? VEC'({top_1.window_seen, top_1.sink_seen}) : mask_src;
  end
  always_ff @(posedge clk) begin
    token_1 <= token_read;
    if (step[STEP_ROWS]) begin
      lane_1 <= row_lane;
      head_1 <= head_addr;
      outside_1 <= head_outside;
    end
  end
  assign vm_r_en = token_1 || (tag_src.v && op.reads_a);
  assign vm_ra_addr = a_word[AV-1:0];
  assign vm_rb_addr = b_word[AV-1:0];
  assign sb_r_en = tag_src.v && op.softmax && !tag_src.peak;
  assign sb_r_lane = lane_1;
  assign sb_r_addr = {a_word[$clog2(SBUF)-LV-1:0], {LV{1'b0}}};

  // Scalars: of NORMQ when it begins, of a head with its first step, of a row ahead of it.
  vec_heads #(.SCALARS(SCALARS)) u_head (
      .*,
      .base(next.setup.scalar), .grouped(op.by_query), .group(consts.gqa[4:0]), .pitch(uop.k),
      .next(row_end), .addr(head_addr), .outside(head_outside)
  );
  logic [1:0] begun;
  wire begin_read = starts && next.op.normq;
  wire head_read = tag_src.v && tag_src.first && op.by_head;
  wire head_known = tag_3.v && tag_3.first && (op.qk || op.qq || op.attq);
  wire [21:0] inverse = op.attq ? f3_q : f1_q;
  // Also read for nothing while an operation waits, so that its beginning does not go to the memory.
  assign vs_r_en = next_valid || rows_en || head_read;
  assign vs_r_addr = rows_en ? rows_addr : head_read ? head_1 : scalar_1;
  vscalar_t held;
  always_ff @(posedge clk) begin
    f0_q <= vs_r_f0;
    f1_q <= vs_r_f1;
    f3_q <= vs_r_f3;
    begun <= {begun[0], init};
    assert ($onehot0({begin_read, rows_en, head_read})) else $error("scalars: two reads at once");
    if (begun[1] || head_known) begin
      param_4 <= f0_q;
      held.base <= op.qk ? f0_q[31:16] : '0;
      held.factor_sink <= '0;
      held.factor <= op.normq ? {5'd0, inverse[15:0], 5'd0} : {10'd0, inverse[15:0]};
      if (op.softmax) held.shift <= uop.sh[5:0];
      else if (op.silu) held.shift <= 6'd15;
      else if (op.rope) held.shift <= 6'd32;  // 14, and 18 bits below the sum
      else if (op.attq) held.shift <= inverse[21:16] + 6'd3;
      else if (op.normq) held.shift <= inverse[21:16];
      else held.shift <= inverse[21:16] + 6'd15;
    end
  end
  always_comb begin
    scalar = held;
    scalar.factor_sink = zq_sink;
    if (op.softmax) scalar.factor = zq_window;
  end

  wire load_step = step[STEP_CONTROL] && needs_load;
  (* keep *) logic load_take, load_pass;  // copies: one loads the elements
  always_ff @(posedge clk) {load_take, load_pass} <= {2{tag_2.v && needs_load && !flush}};
  vec_load #(.VEC(VEC)) u_load (
      .*,
      .i32(op.i32), .step(load_step), .take(load_take), .pass(load_pass), .ready_next(load_next), .rd_valid(aux_rd_valid),
      .rd_ready(aux_rd_ready), .rd_data(aux_rd_data), .x(ld)
  );

  wire unused = &{1'b0, next, uop, op, setup, consts, a_word, b_word, tag_2, tag_3};
endmodule
