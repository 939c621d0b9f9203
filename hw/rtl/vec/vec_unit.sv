// The vector unit: executes the vector operations of docs/isa.md one at a time. Elements run through VEC equal lanes, a word
// (VEC elements) a cycle. Contains the KV write path up to the channel writers; not the buffers, the writers themselves, or
// the auxiliary port. Matrix results have precedence at vector memory: the pipeline stops for them.
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
    input  logic                            vw_ready,
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
    output logic    [                511:0] kw_data       [CHANNELS],
    input  logic    [         CHANNELS-1:0] kw_idle,
    input  logic    [         CHANNELS-1:0] kw_error,
    // ARGMAX.
    output logic                            result_valid,
    output logic    [                 31:0] result_index,
    output logic    [                 31:0] result_value
);
  localparam int LV = $clog2(VEC);
  localparam int AV = $clog2(VMEM / VEC);
  localparam int AS = $clog2(SCALARS);

  uop_t u;
  vop_t op;
  vsetup_t setup;
  logic checking, init, run, halt, empty, bad_late, last_start;
  logic [7:0] setup_bad;
  logic [31:0] factor_a, factor_b, token;
  logic [63:0] product;
  logic [39:0] scalar_1, scalar_2;
  logic step, step_final, first, last, upper, sink, source_bad, peak, ready, top_valid, rows_en;
  logic [31:0] row_word;
  logic [AS-1:0] rows_addr;
  logic signed [31:0] top_sink, top_window;
  logic signed [25:0] zq_window, zq_sink;
  vtop_t top;
  logic [VEC-1:0] mask, seen;
  logic [31:0] a_word, b_word;
  logic [6:1] v, first_q, last_q, upper_q;
  logic [2:1] sink_q;
  logic [5:1] peak_q;
  logic [VEC-1:0] mask_2, mask_4, mask_5, mask_6, o_mask;
  logic [5:0] shift_2, shift_4;
  logic [63:0] half_4;
  logic o_load, o_v, o_first, o_last, o_upper, pipe_active;
  logic dst_want, dst_bad, act_bad, kv_stall, kv_pending, kv_bad, store_stall;
  logic [31:0] kv_bad_beat;
  logic block_v, block_pending;
  logic [3:0] block_e;
  logic [7:0] block_y[VEC];
  logic [31:0] ld[VEC], lane_a[VEC], lane_h[VEC], lane_o[VEC], act_o[VEC], word_a[VEC];
  logic signed [63:0] lane_p[VEC];
  logic signed [31:0] lane_s[VEC], ext[VEC];
  logic signed [31:0] most, least, word_most, word_least;
  logic most_valid, most_word, most_pending, least_valid, least_word, least_pending, sum_valid, sum_pending;
  logic stat_ask, stat_pending, root_valid, inverse_valid;
  logic [4:0] most_lane, least_lane;
  logic [63:0] sq_sum;
  logic [31:0] sum, error_channel;
  logic [15:0] stat_scale, stat_base, ask_scale, root_r, inverse_r;
  logic [5:0] root_e, inverse_k;
  wire red_pending = most_pending || least_pending || sum_pending || stat_pending;

  // Everything moves, or nothing.
  wire load_stall = v[1] && op.from_aux && !aux_rd_valid;
  wire adv = !(load_stall || (dst_want && !vw_ready) || kv_stall || store_stall);
  wire flush = rst || clear || halt || source_bad || dst_bad || act_bad || kv_bad;

  // Control.
  vec_ctrl #(.VEC(VEC)) u_ctrl (
      .clk, .rst, .clear, .start_valid, .start_ready, .start_uop(uop), .done, .busy, .fault, .uop(u), .op,
      .checking, .init, .empty, .bad(setup_bad), .bad_late, .token, .product,
      .rq_valid(aux_rq_valid), .rq_ready(aux_rq_ready), .rq_beat(aux_rq_beat), .rq_beats(aux_rq_beats),
      .run, .step, .step_final, .source_bad, .target_bad(dst_bad || act_bad),
      .write_bad(kv_bad), .write_info(kv_bad_beat), .axi_error(kw_error != 0), .axi_info(error_channel),
      .pipe_busy(pipe_active || red_pending || kv_pending || aux_wq_valid || block_pending),
      .last_start, .last_done(root_valid || inverse_valid),
      .sync(op.store ? aux_w_idle : &kw_idle), .halt
  );
  assign seq = u.seq;
  always_ff @(posedge clk) begin
    if (checking || op.embed) product <= 64'(factor_a) * 64'(factor_b);
    if (init) token <= word_a[u.b[LV-1:0]];
  end
  always_comb begin
    error_channel = '0;
    for (int c = CHANNELS - 1; c >= 0; c--) if (kw_error[c]) error_channel = c;
  end

  vec_setup #(.CHANNELS(CHANNELS), .LANES(LANES), .VEC(VEC), .VMEM(VMEM), .SBUF(SBUF), .SCALARS(SCALARS)) u_setup (
      .op, .uop(u), .consts, .id(token), .factor_a, .factor_b, .product, .setup, .empty, .scalar_1, .scalar_2,
      .bad(setup_bad), .bad_late
  );

  // Sources.
  vsetup_t loop;
  always_ff @(posedge clk) if (init) loop <= setup;
  wire head_scalars = op.statk || op.statq || op.qk || op.qq || op.attq;
  logic head_outside;
  logic [AS-1:0] head_addr, head_w_addr;
  vec_src #(.VEC(VEC), .VMEM(VMEM), .SBUF(SBUF)) u_src (
      .clk, .op, .uop(u), .setup(init ? setup : loop), .init, .run, .adv, .peak,
      .row_word, .ready, .scalar_bad(head_scalars && head_outside), .step, .step_final, .first, .last, .upper, .mask, .a_word, .b_word,
      .bad(source_bad)
  );
  vec_visible #(.VEC(VEC)) u_visible (.clk, .uop(u), .consts, .init, .again(peak), .step, .sink, .mask(seen));
  vec_heads #(.SCALARS(SCALARS)) u_head (
      .clk, .init, .base(setup.scalar), .grouped(op.by_query), .group(consts.gqa[4:0]), .pitch(u.k), .next(step && last),
      .addr(head_addr), .outside(head_outside)
  );
  // SOFTMAX: rows, and the scan ahead of them.
  vec_score_row #(.LANES(LANES)) u_row (
      .clk, .init, .m(u.m), .base(setup.score), .step(consts.score_row >> LV), .next(step && last), .lane(sb_r_lane),
      .word(row_word)
  );
  vec_scan #(.LANES(LANES), .VEC(VEC), .SBUF(SBUF)) u_scan (
      .clk, .flush, .start_valid, .start_ready, .uop, .consts, .r_en(sb_s_en), .r_lane(sb_s_lane), .r_addr(sb_s_addr),
      .r_data(sb_s_data), .top_valid, .top, .take(peak)
  );
  vec_rows #(.SCALARS(SCALARS)) u_rows (
      .clk, .softmax(op.softmax), .checking, .run, .adv, .window(scalar_1[AS-1:0]), .sink(scalar_2[AS-1:0]),
      .row_end(step && last), .top_valid, .peak_1(v[1] && peak_q[1]), .scale(vs_r_f0[15:0]), .zm(u.k), .s_en(rows_en),
      .s_addr(rows_addr), .peak, .ready, .zq_window, .zq_sink
  );
  always_ff @(posedge clk) if (peak) {top_window, top_sink} <= {top.window, top.sink};
  assign vm_r_en = checking || step;
  assign vm_ra_addr = checking ? u.b[LV+:AV] : a_word[AV-1:0];
  assign vm_rb_addr = b_word[AV-1:0];
  assign sb_r_en = step && op.softmax;
  assign sb_r_addr = {a_word[$clog2(SBUF)-LV-1:0], {LV{1'b0}}};
  assign vs_r_en = checking || (op.softmax ? rows_en : step);
  assign vs_r_addr = checking ? scalar_1[AS-1:0] : op.softmax ? rows_addr : head_addr;
  vec_load #(.VEC(VEC)) u_load (
      .clk, .init, .i32(op.i32), .take(adv && v[1] && op.from_aux),
      .last(last_q[1] && (upper_q[1] || !op.halves)), .rd_data(aux_rd_data), .rd_ready(aux_rd_ready), .x(ld)
  );

  // Scalars and constants of the operation.
  logic [15:0] cb_base, cb_scale, cb_r;
  logic [5:0] cb_k;
  logic [5:0] shift_o;
  logic [63:0] half_o;
  logic signed [31:0] low_4, high_4, low_o, high_o;
  wire shifts = op.qv || op.last_stage || op.normq || op.attq || op.silu || op.embed;
  always_ff @(posedge clk) begin
    if (init || (adv && v[1] && first_q[1] && (op.qk || op.qq || op.attq))) begin
      cb_base <= op.qk ? vs_r_f0[31:16] : '0;
      cb_scale <= vs_r_f0[15:0];
      {cb_k, cb_r} <= op.attq ? vs_r_f3 : vs_r_f1;
    end
    if (init) begin
      shift_o <= shifts ? u.sh[5:0] : '0;
      half_o <= shifts ? (64'd1 << u.sh[5:0]) >> 1 : '0;
      low_4 <= op.qk ? -32'sd8 : op.qq ? -32'sd127 : op.attq ? -32'sd32768 : 32'sh8000_0000;
      high_4 <= op.qk ? 32'sd7 : op.qq ? 32'sd127 : op.attq ? 32'sd32767 : 32'sh7fff_ffff;
      low_o <= op.qv ? -32'sd8 : op.last_stage ? -32'sd32768 : op.silu ? -32'sd524288 : op.late ? -32'sd128
             : op.radd ? -32'sd33554432 : 32'sh8000_0000;
      high_o <= op.qv ? 32'sd7 : op.last_stage ? 32'sd32767 : op.silu ? 32'sd522239 : op.late ? 32'sd127
              : op.radd ? 32'sd33554431 : 32'sh7fff_ffff;
    end
  end
  assign shift_2 = op.softmax ? u.sh[5:0] : op.silu ? 6'd15 : op.rope ? 6'd14
                 : op.attq ? cb_k + 6'd3 : op.normq ? cb_k : cb_k + 6'd15;
  wire signed [25:0] factor = op.normq ? {5'd0, cb_r, 5'd0} : {10'd0, cb_r};

  // Lanes.
  vec_pipe #(.VEC(VEC)) u_pipe (.mask(peak ? VEC'({top.window_seen, top.sink_seen}) : op.softmax ? seen : mask), .sink(sink && !peak), .pipe_busy(pipe_active), .*);
  vec_hadamard #(.VEC(VEC)) u_hadamard (.x(lane_a), .y(lane_h));
  for (genvar l = 0; l < VEC; l++) begin : gen_lane
    assign word_a[l] = vm_ra_data[l*32+:32];
    wire sink_factor = sink_q[2] || (l == 0 && peak_q[2]);
    vec_lane u_lane (
        .clk, .adv, .op, .v, .upper(upper_q), .o_load, .ra(vm_ra_data[l*32+:32]), .rb(vm_rb_data[l*32+:32]),
        .sc(l > 1 || !peak_q[1] ? sb_r_data[l*32+:32] : l == 0 ? top_sink : top_window), .ld(ld[l]), .hw(lane_h[l]),
        .factor(op.softmax ? (sink_factor ? zq_sink : zq_window) : factor), .base(cb_base), .gain(u.k), .shift_4, .half_4,
        .low_4, .high_4, .shift_o, .half_o, .low_o, .high_o, .zmax(most), .visible(mask_5[l]),
        .a(lane_a[l]), .p(lane_p[l]), .s(lane_s[l]), .o(lane_o[l])
    );
    assign ext[l] = op.softmax ? lane_s[l] : op.argmax ? lane_a[l] : {{16{lane_a[l][15]}}, lane_a[l][15:0]};
    assign vw_data[l*32+:32] = lane_o[l];
  end

  // Reductions and what is made of them.
  wire stat = op.statk || op.statq;
  wire most_en = adv && (op.softmax ? v[5] && peak_q[5] : v[2] && (stat || op.argmax));
  wire [VEC-1:0] most_mask = op.softmax ? mask_5 : mask_2;
  vec_extreme #(.VEC(VEC)) u_most (
      .clk, .flush, .en(most_en), .first(op.softmax || first_q[2]), .last(op.softmax || last_q[2]),
      .mask(most_mask), .x(ext), .word_valid(most_word), .word(word_most), .word_lane(most_lane),
      .all_valid(most_valid), .all(most), .pending(most_pending)
  );
  vec_extreme #(.VEC(VEC), .LEAST(1)) u_least (
      .clk, .flush, .en(adv && v[2] && stat), .first(first_q[2]), .last(last_q[2]),
      .mask(mask_2), .x(ext), .word_valid(least_word), .word(word_least), .word_lane(least_lane),
      .all_valid(least_valid), .all(least), .pending(least_pending)
  );
  vec_sum #(.VEC(VEC)) u_sum (
      .clk, .flush, .init, .start(u.aux), .sq_en(adv && v[4] && op.sumsq), .sq_mask(mask_4), .sq(lane_p), .sq_sum,
      .en(adv && o_v && (op.softmax || op.qq)), .first(o_first), .last(o_last), .x(lane_o), .sum, .sum_valid,
      .pending(sum_pending)
  );
  vec_stat u_stat (
      .clk, .flush, .in_valid(most_valid && stat), .query(op.statq), .most, .least, .ask(stat_ask), .ask_scale,
      .scale(stat_scale), .base(stat_base), .pending(stat_pending)
  );
  vec_argmax #(.VEC(VEC)) u_argmax (
      .clk, .rst, .init(init && op.argmax), .anew(op.anew), .start(u.aux), .word_valid(most_word && op.argmax),
      .word(word_most), .word_lane(most_lane), .index(result_index), .value(result_value)
  );
  assign result_valid = most_valid && op.argmax;
  vec_rsqrt u_root (.clk, .rst(flush), .in_valid(last_start && op.sumsq), .s(sq_sum), .out_valid(root_valid), .r(root_r), .e(root_e));
  vec_recip u_inverse (
      .clk, .rst(flush), .in_valid(stat_ask || (sum_valid && op.softmax)), .s(op.softmax ? sum : {16'd0, ask_scale}),
      .out_valid(inverse_valid), .r(inverse_r), .k(inverse_k)
  );

  // Scalars written.
  logic head_w_outside;  // as `head_outside` was when the head was read
  wire by_head = stat || op.softmax ? inverse_valid : sum_valid && op.qq;
  vec_heads #(.SCALARS(SCALARS)) u_head_w (
      .clk, .init, .base(setup.scalar), .grouped(op.by_query), .group(consts.gqa[4:0]), .pitch(u.k), .next(by_head),
      .addr(head_w_addr), .outside(head_w_outside)
  );
  assign vs_w_en = {inverse_valid && op.statk, inverse_valid && op.softmax, sum_valid && op.qq,
                    root_valid || (inverse_valid && stat), inverse_valid && stat};
  assign vs_w_addr = op.sumsq ? scalar_1[AS-1:0] : head_w_addr;
  assign vs_w_f0 = {op.statk ? stat_base : 16'd0, stat_scale};
  assign vs_w_f1 = op.sumsq ? {root_e, root_r} : {inverse_k, inverse_r};
  assign vs_w_f2 = sum[15:0];
  assign vs_w_f3 = {inverse_k, inverse_r};

  // Destinations.
  vec_dst #(.VEC(VEC), .VMEM(VMEM)) u_dst (
      .clk, .op, .init, .c(u.c), .distance(loop.distance), .o_v, .o_last, .o_upper, .taken(dst_want && adv),
      .want(dst_want), .addr(vw_addr), .bad(dst_bad)
  );
  assign vw_valid = dst_want && !load_stall;
  assign vw_mask = o_mask;
  vec_block #(.VEC(VEC)) u_block (
      .clk, .flush, .init, .in_valid(adv && o_v && op.silu), .in_last(o_last), .mask(o_mask), .x(lane_o),
      .out_valid(block_v), .y(block_y), .e(block_e), .pending(block_pending)
  );
  for (genvar l = 0; l < VEC; l++) begin : gen_act
    assign act_o[l] = op.silu ? {24'd0, block_y[l]} : lane_o[l];
  end
  assign va_exp = op.silu ? block_e : '0;
  vec_act #(.LANES(LANES), .VEC(VEC), .ACT(ACT)) u_act (
      .clk, .op, .uop(u), .consts, .init, .first_word(setup.word_act), .first_row(op.qq ? product[31:0] : u.m << op.wide),
      .o_v(op.silu ? block_v : o_v), .o_last, .o_mask(op.silu ? '1 : o_mask), .o(act_o), .adv(adv || op.silu),
      .w_valid(va_valid), .w_addr(va_addr), .w_lanes(va_lanes), .w_banks(va_banks), .w_even(va_even),
      .w_odd(va_odd), .bad(act_bad)
  );
  logic [31:0] param_3, param_4, param_5;
  always_ff @(posedge clk) begin
    if (adv && op.qk) begin
      param_3 <= {cb_base, cb_scale};
      param_4 <= param_3;
      param_5 <= param_4;
    end
  end
  vec_kv #(.CHANNELS(CHANNELS), .VEC(VEC)) u_kv (
      .clk, .flush, .adv, .op, .uop(u), .consts, .init, .write_low, .write_high, .param_word(param_5), .o_v, .o_first,
      .o_last, .o(lane_o), .w_valid(kw_valid), .w_ready(kw_ready), .w_beat(kw_beat), .w_strb(kw_strb), .w_data(kw_data),
      .stall(kv_stall), .pending(kv_pending), .bad(kv_bad), .bad_beat(kv_bad_beat)
  );
  vec_store #(.VEC(VEC)) u_store (
      .clk, .flush, .init, .beat(u.c), .put(adv && v[2] && op.store), .upper(upper_q[2]),
      .last(last_q[2] && (upper_q[2] || !op.halves)), .x(lane_a), .wq_valid(aux_wq_valid), .wq_ready(aux_wq_ready),
      .wq_beat(aux_wq_beat), .wq_data(aux_wq_data), .stall(store_stall)
  );

  wire unused = &{1'b0, mask_6, least_valid, least_word, word_least, least_lane, head_w_outside, scalar_1, scalar_2, a_word,
                  b_word, first_q, last_q, upper_q, sink_q, peak_q};
endmodule
