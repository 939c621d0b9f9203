// The vector unit: executes the vector operations of docs/isa.md one at a time, and prepares the next one meanwhile.
// Elements run through VEC equal lanes, a word (VEC elements) a cycle. A step that has begun never waits: results that may
// have to (for vector memory, where matrix results have precedence, for channel writers or the auxiliary port) go through a
// queue in which the step claims a place. Contains the KV write path up to the channel writers; not the buffers, the writers
// themselves, or the auxiliary port.
module vec_unit
  import accllm_isa_pkg::*;
  import accllm_types_pkg::*;
  import accllm_vec_pkg::*;
#(
    parameter int CHANNELS = 2,
    parameter int LANES = 2,
    parameter int VEC = 8,
    parameter int VMEM = 1 << 16,
    parameter int ACT = 512,
    parameter int SBUF = 1 << 12,
    parameter int SCALARS = 256
) (
    input  logic                            clk,
    input  logic                            rst,
    input  logic                            clear,
    // Operations.
    input  logic                            start_valid,
    output logic                            start_ready,
    input  uop_t                            uop,
    output logic                            done,
    output logic                            busy,
    output fault_t                          fault,
    output logic    [                 31:0] seq,           // of the operation that runs
    input  consts_t                         consts,
    input  logic    [                 31:0] write_low,
    input  logic    [                 31:0] write_high,
    // Vector memory.
    output logic                            vm_r_en,
    output logic    [$clog2(VMEM/VEC)-1:0] vm_ra_addr,
    output logic    [$clog2(VMEM/VEC)-1:0] vm_rb_addr,
    input  logic    [           VEC*32-1:0] vm_ra_data,
    input  logic    [           VEC*32-1:0] vm_rb_data,
    output logic                            vw_valid,
    input  logic                            vw_ready_next, // a cycle before it is written
    output logic    [$clog2(VMEM/VEC)-1:0] vw_addr,
    output logic    [              VEC-1:0] vw_mask,
    output logic    [           VEC*32-1:0] vw_data,
    // Activation buffer.
    output logic                            va_valid,
    output logic    [      $clog2(ACT)-1:0] va_addr,
    output logic    [            LANES-1:0] va_lanes,
    output logic    [                 63:0] va_banks,
    output logic    [            VEC*8-1:0] va_even,
    output logic    [            VEC*8-1:0] va_odd,
    output logic    [                  3:0] va_exp,        // of the word; written with bank 0
    // Score buffer.
    output logic                            sb_r_en,
    output logic    [    $clog2(LANES)-1:0] sb_r_lane,
    output logic    [     $clog2(SBUF)-1:0] sb_r_addr,
    input  logic    [           VEC*32-1:0] sb_r_data,
    output logic                            sb_s_en,
    output logic    [    $clog2(LANES)-1:0] sb_s_lane,
    output logic    [     $clog2(SBUF)-1:0] sb_s_addr,
    input  logic    [           VEC*32-1:0] sb_s_data,
    // Scalar file.
    output logic                            vs_r_en,
    output logic    [  $clog2(SCALARS)-1:0] vs_r_addr,
    input  logic    [                 31:0] vs_r_f0,
    input  logic    [                 21:0] vs_r_f1,
    input  logic    [                 21:0] vs_r_f3,
    output logic    [                  4:0] vs_w_en,       // scale of f0, f1, f2, f3, base of f0
    output logic    [  $clog2(SCALARS)-1:0] vs_w_addr,
    output logic    [                 31:0] vs_w_f0,
    output logic    [                 21:0] vs_w_f1,
    output logic    [                 15:0] vs_w_f2,
    output logic    [                 21:0] vs_w_f3,
    // Auxiliary memory.
    output logic                            aux_rq_valid,
    input  logic                            aux_rq_ready,
    output logic    [                 31:0] aux_rq_beat,
    output logic    [                 15:0] aux_rq_beats,
    input  logic                            aux_rd_valid,
    output logic                            aux_rd_ready,
    input  logic    [                511:0] aux_rd_data,
    output logic                            aux_wq_valid,
    input  logic                            aux_wq_ready,
    output logic    [                 31:0] aux_wq_beat,
    output logic    [                511:0] aux_wq_data,
    input  logic                            aux_w_idle,
    // Channel writers.
    output logic    [         CHANNELS-1:0] kw_valid,
    input  logic    [         CHANNELS-1:0] kw_ready,
    output logic    [                 31:0] kw_beat,
    output logic    [                 63:0] kw_strb,
    output logic    [                  2:0] kw_part,
    output logic                            kw_last,
    output logic    [                 63:0] kw_data       [CHANNELS],
    input  logic    [         CHANNELS-1:0] kw_idle,
    input  logic    [         CHANNELS-1:0] kw_error,
    // ARGMAX.
    output logic                            result_valid,
    output logic    [                 31:0] result_index,
    output logic    [                 31:0] result_value
);
  // Operations: the next one, and the one that runs.
  logic reset, held_bad, tail, drained, flush, take, scan_idle_next, idle, front_busy, next_valid, valid_next, next_ready, token_read, starts, run, run_next, halt;
  logic [INITS-1:0] init;
  logic [STEPS-1:0] step;
  logic step_final, source_bad, dst_bad, act_bad, kv_bad, bad, onchip_bad, pipe_stays, root, root_valid, sync;
  logic axi_error, lanes_stay, reduce_busy, block_stays, kv_pending, queue_valid, valid_copy, queue_more, room_next, block_in;
  logic vw_stays, act_turns_bad, push, dst_pop, kv_pop, store_pop;
  logic [31:0] token_word, kv_bad_beat, axi_channel;
  logic [31:0] word[VEC];
  vnext_t next;
  uop_t u;
  vop_t op, ending, op_reduce, op_source, op_lanes, op_act, op_results;
  vsetup_t setup;
  vconst_t constants;
  // Copies of the record of the operation that runs, which all load when `op` does.
  for (genvar i = 1; i < INITS; i++) begin : gen_op
    (* keep *) vop_t q;
    always_ff @(posedge clk) if (init[i]) q <= next.op;
  end
  assign op_source = gen_op[INIT_SOURCE].q;
  assign op_lanes = gen_op[INIT_LANES].q;
  assign op_act = gen_op[INIT_ACT].q;
  assign op_results = gen_op[INIT_RESULTS].q;
  assign busy = front_busy || !(idle || halt);
  for (genvar l = 0; l < VEC; l++) begin : gen_word
    assign word[l] = vm_ra_data[l*32+:32];
  end
  vec_front #(
      .CHANNELS(CHANNELS), .LANES(LANES), .VEC(VEC), .VMEM(VMEM), .SBUF(SBUF), .SCALARS(SCALARS)
  ) u_front (
      .*, .rst(flush), .start_uop(uop), .run_idle(idle), .valid(next_valid), .ready(next_ready), .busy(front_busy)
  );
  vec_ctrl u_ctrl (
      .*,
      .rst(reset), .uop(u), .rq_valid(aux_rq_valid), .rq_ready(aux_rq_ready), .rq_beat(aux_rq_beat),
      .rq_beats(aux_rq_beats), .write_bad(kv_bad), .write_info(kv_bad_beat), .axi_info(axi_channel), .last_start(root),
      .last_done(root_valid), .group(consts.gqa[4:0]), .step(step[STEP_CONTROL])
  );
  vec_consts u_consts (.*, .init(init[INIT_LANES]), .uop(next.uop), .op(next.op));

  // A fault, reset or clear empties everything in the next cycles; a fault of an operation that began before the end of the
  // one before waits for that.
  always_ff @(posedge clk) begin
    held_bad <= (held_bad || source_bad) && tail && !reset;
    reset <= rst || clear;
    flush <= rst || clear || halt || bad || onchip_bad;
    op_reduce <= ending;  // looked at long before there is anything to reduce
    onchip_bad <= bad && !kv_bad;
    axi_error <= kw_error != 0;
    for (int c = CHANNELS - 1; c >= 0; c--) if (kw_error[c]) axi_channel <= c;
    sync <= op.store ? aux_w_idle && !aux_wq_valid : &kw_idle && !kv_pending;
    assert (!(tail && va_valid)) else $error("vector unit: results before the end of the operation before");
  end
  assign bad = ((source_bad || held_bad) && !tail) || dst_bad || act_bad || kv_bad;
  // Steps and their way through the lanes.
  tag_t tag_1, tag_2, tag_3, tag_4, tag_5, tag_11, tag_13, tag_o;
  logic [VEC-1:0] mask_1, seen_3, mask_5, mask_11, mask_12, mask_13, mask_o;
  logic [31:0] param_4, param_o;
  vscalar_t scalar;
  vtop_t top_4;
  logic signed [31:0] zmax, s[VEC], s_first[2];
  logic [31:0] ld[VEC], a[VEC], o[VEC];
  logic signed [57:0] p[VEC];
  assign s_first = '{s[0], s[1]};
  vec_source #(.LANES(LANES), .VEC(VEC), .VMEM(VMEM), .SBUF(SBUF), .SCALARS(SCALARS)) u_source (
      .*, .start_uop(uop), .uop(u), .op(op_source), .init(init[INIT_SOURCE]), .bad(source_bad)
  );
  vec_pipe #(.VEC(VEC)) u_pipe (.*, .op(op_lanes), .stays(lanes_stay));
  vec_lanes #(.VEC(VEC)) u_lanes (.*, .op(op_lanes), .ra_data(vm_ra_data), .rb_data(vm_rb_data), .sc_data(sb_r_data));
  vec_reduce #(.VEC(VEC), .SCALARS(SCALARS)) u_reduce (.*, .init(init[INIT_RESULTS]), .op(op_reduce), .pitch(u.k), .s(s_first), .busy(reduce_busy));

  // Results for the activation buffer.
  logic block_v, act_v;
  logic [3:0] block_e, act_e;
  logic [7:0] block_y[VEC];
  logic [31:0] act_o[VEC];
  logic [VEC-1:0] act_mask;
  // Copies of what decides whether results go through the block; looked at long before they come.
  (* keep *) logic silu_in, silu_place, silu_data, silu_stays;
  always_ff @(posedge clk) {silu_in, silu_place, silu_data, silu_stays} <= {4{op_act.silu}};
  assign block_in = tag_o.v && silu_in;
  wire act_place = silu_place ? block_v : tag_o.v;
  logic wide_head;
  always_ff @(posedge clk) wide_head <= consts.hdp != 64;
  assign act_v = silu_data ? block_v : tag_o.v;
  assign act_e = silu_data ? block_e : '0;
  assign act_mask = silu_data ? '1 : mask_o;
  for (genvar l = 0; l < VEC; l++) begin : gen_act
    assign act_o[l] = {o[l][31:8], silu_data ? block_y[l] : o[l][7:0]};
  end
  vec_block #(.VEC(VEC)) u_block (
      .*,
      .init(init[INIT_ACT]), .in_valid(block_in), .in_last(tag_o.last), .mask(mask_o), .x(o), .out_valid(block_v),
      .y(block_y), .e(block_e), .stays(block_stays)
  );
  vec_act #(.LANES(LANES), .VEC(VEC), .ACT(ACT)) u_act (
      .*,
      .init(init[INIT_ACT]), .op(op_act), .aux(u.aux), .x(u.x), .group(consts.gqa[4:0]), .v(act_v), .v_place(act_place), .last(tag_o.last),
      .mask(act_mask), .o(act_o), .exponent(act_e), .w_valid(va_valid), .w_addr(va_addr), .w_lanes(va_lanes),
      .w_banks(va_banks), .w_even(va_even), .w_odd(va_odd), .w_exp(va_exp), .turns_bad(act_turns_bad), .bad(act_bad)
  );

  // Writes that are made in this cycle are visible in the next one. A register, so that what ends an operation and begins the
  // next is known when the cycle begins; a cycle late for what goes to a channel, to auxiliary or to vector memory.
  assign pipe_stays = !flush && (run || lanes_stay || (tag_o.v && silu_stays) || block_stays || queue_more || push || queue_valid || vw_stays || kv_pending
                   || aux_wq_valid || bad || source_bad || held_bad || act_turns_bad);

  // Results that may have to wait.
  vresult_t result_in, result;
  logic [VEC-1:0] result_mask;
  logic [31:0] x[VEC];
  wire claim = step[STEP_CONTROL] && op_results.queued;
  assign push = tag_o.v && op_results.queued;
  wire pop = dst_pop || kv_pop || store_pop;
  assign result_in = '{first: tag_o.first, last: tag_o.last, upper: tag_o.upper, param: param_o};
  vec_queue #(.VEC(VEC)) u_queue (
      .*,
      .step(claim), .in(result_in), .in_mask(mask_o), .in_x(o), .valid(queue_valid), .more(queue_more),
      .out(result), .out_mask(result_mask), .out_x(x)
  );
  vec_dst #(.VEC(VEC), .VMEM(VMEM)) u_dst (
      .*,
      .init(init[INIT_RESULTS]), .op(op_results), .c(next.uop.c), .valid(queue_valid), .pop(dst_pop), .mask(result_mask),
      .ready_next(vw_ready_next), .stays(vw_stays), .bad(dst_bad)
  );
  vec_kv #(.CHANNELS(CHANNELS), .VEC(VEC)) u_kv (
      .*,
      .init(init[INIT_RESULTS]), .op(op_results), .uop(u), .valid(queue_valid), .pop(kv_pop), .w_valid(kw_valid), .w_ready(kw_ready), .w_beat(kw_beat),
      .w_strb(kw_strb), .w_part(kw_part), .w_last(kw_last), .w_data(kw_data), .pending(kv_pending), .bad(kv_bad),
      .bad_beat(kv_bad_beat)
  );
  vec_store #(.VEC(VEC)) u_store (
      .*,
      .init(init[INIT_RESULTS]), .beat(next.uop.c), .store(op_results.store), .halves(op_results.halves), .valid(queue_valid), .pop(store_pop),
      .wq_valid(aux_wq_valid), .wq_ready(aux_wq_ready), .wq_beat(aux_wq_beat), .wq_data(aux_wq_data)
  );
  always_ff @(posedge clk) begin
    if (!flush) assert ($onehot0({dst_pop, kv_pop, store_pop})) else $error("vector unit: a result for two destinations");
  end

  wire unused = &{1'b0, tag_2, tag_4, next, u, op, setup, ending};
endmodule
