// Control of all tiles: queue of operations, the issue and drain walkers, q_sums, and the delay lines that bring their
// commands to the pipeline stages (t1: beat and activation word are there, t5: accumulate; d0: read sums, d5: results),
// and the exponents of MATW's activation words to t5.
// After a fault nothing is issued or drained until `rst` (which is also the engine's clear).
module mat_ctrl
  import accllm_isa_pkg::*;
  import accllm_types_pkg::*;
  import accllm_mat_pkg::*;
#(
    parameter int CHANNELS = 2,
    parameter int LANES = 2,
    parameter int VEC = 8,
    parameter int VMEM = 65536,
    parameter int ACT = 512,
    parameter int SBUF = 4096,
    parameter int SCALARS = 256,
    parameter int LANE_ROWS = 32,
    parameter int ENTRIES = 32,
    localparam int EW = $clog2(ENTRIES),
    localparam int LW = $clog2(LANES),
    localparam int SW = $clog2(LANE_ROWS / LANES)
) (
    input  logic                              clk,
    input  logic                              rst,
    input  logic                              start_valid,
    output logic                              start_ready,
    input  uop_t                              uop,
    input  consts_t                           consts,
    input  logic                              done,
    output fault_t                            fault,
    output logic                              busy,
    input  logic    [           CHANNELS-1:0] s_valid,
    output logic                              s_pop,
    output logic                              act_en,
    output logic    [        $clog2(ACT)-1:0] act_addr,
    input  logic    [                    3:0] act_exp    [LANES],
    output logic                              qs_en,
    output logic    [    $clog2(SCALARS)-1:0] qs_addr,
    input  logic    [                   15:0] qs_data,
    output logic                              t1_param,
    output logic    [                    1:0] t1_bank,
    output logic                              t1_scale,
    output logic    [                    2:0] t1_sidx,
    output logic                              t1_decode,
    output format_t                           t1_format,
    output logic                              t1_half,
    output logic                              t1_unit,
    output logic                              t1_valid,
    output logic                              t2_valid,
    output logic                              t3_valid,
    output logic                              t4_valid,
    output logic                              t5_valid,
    output logic                              t5_first,
    output logic    [                 EW-1:0] t5_entry,
    output logic    [                    3:0] t5_exp     [LANES],
    output logic                              d0_valid,
    output logic    [                 EW-1:0] d0_entry,
    output logic    [                    1:0] d0_bank,
    output logic    [                    2:0] d0_words,
    output logic                              d1_valid,
    output kind_t                             d1_kind,
    output logic    [                 LW-1:0] d1_lane,
    output logic                              d1_second,
    output logic                              d2_valid,
    output kind_t                             d2_kind,
    output logic                              d2_wide,
    output logic                              d2_pair,
    output logic    [                   15:0] d2_qsum    [LANES],
    output logic                              d3_valid,
    output kind_t                             d3_kind,
    output logic                              d4_valid,
    output kind_t                             d4_kind,
    output logic                              d5_valid,
    output kind_t                             d5_kind,
    output logic                              d5_pair,
    output logic    [                    1:0] d5_word,
    output logic    [              LANES-1:0] d5_lanes,
    output logic    [                   31:0] d5_addr,
    output logic    [                   31:0] d5_seq,
    output logic                              d5_done,
    output logic                              stat_begin,
    output logic                              stat_busy,
    output logic                              stat_stream,
    output logic                              stat_out,
    output logic                              stat_idle
);
  mat_op_t ops[SLOTS];
  logic [2:0] accepted, loaded;
  logic halt, entry_free, bank_free, idle, finished;
  fault_t issue_fault, drain_fault, qsum_fault;
  logic [2:0] flight;

  mat_queue #(
      .LANES(LANES),
      .VEC(VEC),
      .LANE_ROWS(LANE_ROWS)
  ) queue (
      .clk,
      .rst,
      .start_valid,
      .start_ready,
      .uop,
      .consts,
      .retire(done),
      .accepted,
      .ops
  );

  logic t1_first, t1_last;
  logic [EW-1:0] t1_entry;
  mat_issue #(
      .ACT(ACT),
      .ENTRIES(ENTRIES)
  ) issue (
      .clk,
      .rst,
      .halt,
      .accepted,
      .ops,
      .beats_valid(&s_valid),
      .s_pop,
      .act_en,
      .act_addr,
      .entry_free,
      .bank_free,
      .t1_param,
      .t1_bank,
      .t1_scale,
      .t1_sidx,
      .t1_decode,
      .t1_format,
      .t1_half,
      .t1_unit,
      .t1_valid,
      .t1_first,
      .t1_last,
      .t1_entry,
      .fault(issue_fault),
      .stat_begin,
      .stat_busy,
      .stat_stream,
      .stat_out,
      .idle
  );

  // From the beat to the accumulators.
  logic t2_first, t3_first, t4_first, t2_last, t3_last, t4_last, t5_last;
  logic [EW-1:0] t2_entry, t3_entry, t4_entry;
  always_ff @(posedge clk) begin
    t2_valid <= t1_valid && !rst;
    t3_valid <= t2_valid && !rst;
    t4_valid <= t3_valid && !rst;
    t5_valid <= t4_valid && !rst;
    {t2_first, t2_last, t2_entry} <= {t1_first, t1_last, t1_entry};
    {t3_first, t3_last, t3_entry} <= {t2_first, t2_last, t2_entry};
    {t4_first, t4_last, t4_entry} <= {t3_first, t3_last, t3_entry};
    {t5_first, t5_last, t5_entry} <= {t4_first, t4_last, t4_entry};
  end
  assign finished = t5_valid && t5_last;
  for (genvar l = 0; l < LANES; l++) begin : gen_exponent
    logic [3:0] t2, t3, t4, t5;
    always_ff @(posedge clk) begin
      t2 <= t1_unit ? '0 : act_exp[l];
      t3 <= t2;
      t4 <= t3;
      t5 <= t4;
    end
    assign t5_exp[l] = t5;
  end

  kind_t d0_kind;
  logic [1:0] d0_slot, d1_slot;
  logic [3:0] d0_param;
  logic [SW-1:0] d0_step, d1_step;
  logic [LW-1:0] d0_lane;
  logic d0_wide, d0_pair, d0_done, d1_wide, d1_pair, d1_done, d2_done, d3_done, d4_done, d3_pair, d4_pair;
  logic [1:0] d0_word, d1_word, d2_word, d3_word, d4_word;
  logic [LANES-1:0] d0_lanes, d1_lanes, d2_lanes, d3_lanes, d4_lanes;
  logic [31:0] d0_addr, d1_addr, d2_addr, d3_addr, d4_addr, d0_seq, d1_seq, d2_seq, d3_seq, d4_seq;
  assign d0_words = d0_param[3:1];
  mat_drain #(
      .CHANNELS(CHANNELS),
      .LANES(LANES),
      .VEC(VEC),
      .VMEM(VMEM),
      .SBUF(SBUF),
      .ENTRIES(ENTRIES)
  ) drain (
      .clk,
      .rst,
      .halt,
      .accepted,
      .ops,
      .loaded,
      .score_row(consts.score_row),
      .finished,
      .entry_free,
      .bank_free,
      .d0_valid,
      .d0_kind,
      .d0_entry,
      .d0_lane,
      .d0_bank,
      .d0_param,
      .d0_slot,
      .d0_step,
      .d0_wide,
      .d0_pair,
      .d0_word,
      .d0_lanes,
      .d0_addr,
      .d0_seq,
      .d0_done,
      .fault(drain_fault)
  );

  always_ff @(posedge clk) begin
    d1_valid <= d0_valid && !rst;
    d2_valid <= d1_valid && !rst;
    d3_valid <= d2_valid && !rst;
    d4_valid <= d3_valid && !rst;
    d5_valid <= d4_valid && !rst;
    d1_done  <= d0_done && !rst;
    d2_done  <= d1_done && !rst;
    d3_done  <= d2_done && !rst;
    d4_done  <= d3_done && !rst;
    d5_done  <= d4_done && !rst;
    {d1_slot, d1_step, d1_lane, d1_second} <= {d0_slot, d0_step, d0_lane, d0_param[0]};
    {d1_kind, d1_pair, d1_word, d1_lanes, d1_wide} <= {d0_kind, d0_pair, d0_word, d0_lanes, d0_wide};
    {d2_kind, d2_pair, d2_word, d2_lanes, d2_wide} <= {d1_kind, d1_pair, d1_word, d1_lanes, d1_wide};
    {d3_kind, d3_pair, d3_word, d3_lanes} <= {d2_kind, d2_pair, d2_word, d2_lanes};
    {d4_kind, d4_pair, d4_word, d4_lanes} <= {d3_kind, d3_pair, d3_word, d3_lanes};
    {d5_kind, d5_pair, d5_word, d5_lanes} <= {d4_kind, d4_pair, d4_word, d4_lanes};
    {d1_addr, d1_seq} <= {d0_addr, d0_seq};
    {d2_addr, d2_seq} <= {d1_addr, d1_seq};
    {d3_addr, d3_seq} <= {d2_addr, d2_seq};
    {d4_addr, d4_seq} <= {d3_addr, d3_seq};
    {d5_addr, d5_seq} <= {d4_addr, d4_seq};
  end

  mat_qsum #(
      .LANES(LANES),
      .LANE_ROWS(LANE_ROWS),
      .SCALARS(SCALARS)
  ) qsum (
      .clk,
      .rst,
      .halt,
      .accepted,
      .ops,
      .loaded,
      .qs_en,
      .qs_addr,
      .qs_data,
      .r_en(d1_valid && d1_kind == KIND_K),
      .r_slot(d1_slot),
      .r_step(d1_step),
      .r_sum(d2_qsum),
      .fault(qsum_fault)
  );

  assign fault = issue_fault.valid ? issue_fault : qsum_fault.valid ? qsum_fault : drain_fault;
  assign busy = flight != 0;
  assign stat_idle = idle;
  always_ff @(posedge clk) begin
    if (rst) begin
      halt <= 1'b0;
      flight <= '0;
    end else begin
      halt <= halt || fault.valid;
      flight <= flight + 3'(start_valid && start_ready) - 3'(done);
    end
  end
endmodule
