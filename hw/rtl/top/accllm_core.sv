// The engine: control, prefetcher and channel readers, matrix unit, buffers, vector unit, channel writers, auxiliary port.
// Only wiring: joins what every unit reports (drained, faults, events) and fans the AXI ports out; port CHANNELS is the
// auxiliary memory's. The trace outputs show every change of on-chip state with the operation that made it (docs/rtl.md);
// synthesis leaves them open.
module accllm_core
  import accllm_isa_pkg::*;
  import accllm_regs_pkg::CONFIG_FIELDS;
  import accllm_types_pkg::*;
  import accllm_ctrl_pkg::*;
#(
    parameter int CHANNELS = 2,
    parameter int LANES = 2,
    parameter int VEC = 8,
    parameter int FIFO = 64,
    parameter int BURST = 16,
    parameter int WRITES = 32,
    parameter int VMEM = 65536,
    parameter int ACT = 512,
    parameter int SBUF = 4096,
    parameter int SCALARS = 256,
    parameter int IMEM = 512,
    parameter int LANE_ROWS = 32,
    parameter int LINK = 0,
    parameter int MAT_QUEUE = 128,
    parameter int VEC_QUEUE = 128,
    parameter bit TRACE = 1'b1,
    localparam int P = CHANNELS + 1,
    localparam int NB = 2 * CHANNELS > VEC ? 2 * CHANNELS : VEC
) (
    input  logic                            ap_clk,
    input  logic                            ap_rst_n,
    output logic                            interrupt,
    input  logic [                    11:0] s_axi_control_awaddr,
    input  logic                            s_axi_control_awvalid,
    output logic                            s_axi_control_awready,
    input  logic [                    31:0] s_axi_control_wdata,
    input  logic [                     3:0] s_axi_control_wstrb,
    input  logic                            s_axi_control_wvalid,
    output logic                            s_axi_control_wready,
    output logic [                     1:0] s_axi_control_bresp,
    output logic                            s_axi_control_bvalid,
    input  logic                            s_axi_control_bready,
    input  logic [                    11:0] s_axi_control_araddr,
    input  logic                            s_axi_control_arvalid,
    output logic                            s_axi_control_arready,
    output logic [                    31:0] s_axi_control_rdata,
    output logic [                     1:0] s_axi_control_rresp,
    output logic                            s_axi_control_rvalid,
    input  logic                            s_axi_control_rready,
    output logic [                   P-1:0] m_axi_arvalid,
    input  logic [                   P-1:0] m_axi_arready,
    output logic [                    63:0] m_axi_araddr         [P],
    output logic [                     7:0] m_axi_arlen          [P],
    input  logic [                   P-1:0] m_axi_rvalid,
    output logic [                   P-1:0] m_axi_rready,
    input  logic [                   511:0] m_axi_rdata          [P],
    input  logic [                     1:0] m_axi_rresp          [P],
    input  logic [                   P-1:0] m_axi_rlast,
    output logic [                   P-1:0] m_axi_awvalid,
    input  logic [                   P-1:0] m_axi_awready,
    output logic [                    63:0] m_axi_awaddr         [P],
    output logic [                     7:0] m_axi_awlen          [P],
    output logic [                   P-1:0] m_axi_wvalid,
    input  logic [                   P-1:0] m_axi_wready,
    output logic [                   511:0] m_axi_wdata          [P],
    output logic [                    63:0] m_axi_wstrb          [P],
    output logic [                   P-1:0] m_axi_wlast,
    input  logic [                   P-1:0] m_axi_bvalid,
    output logic [                   P-1:0] m_axi_bready,
    input  logic [                     1:0] m_axi_bresp          [P],
    // Trace: bits of `trace_valid` from 0: mv ms vv va vs vr mdone vdone, dispatch to the matrix, to the vector unit.
    output logic [                     9:0] trace_valid,
    output logic [                    31:0] trace_mv_seq,
    output logic [    $clog2(VMEM/VEC)-1:0] trace_mv_addr,
    output logic [                 VEC-1:0] trace_mv_mask,
    output logic [              VEC*32-1:0] trace_mv_data,
    output logic [                    31:0] trace_ms_seq,
    output logic [     $clog2(SBUF/NB)-1:0] trace_ms_row,
    output logic [               LANES-1:0] trace_ms_lanes,
    output logic [                  NB-1:0] trace_ms_banks,
    output logic [         LANES*NB*32-1:0] trace_ms_data,
    output logic [                    31:0] trace_vv_seq,
    output logic [    $clog2(VMEM/VEC)-1:0] trace_vv_addr,
    output logic [                 VEC-1:0] trace_vv_mask,
    output logic [              VEC*32-1:0] trace_vv_data,
    output logic [                    31:0] trace_va_seq,
    output logic [         $clog2(ACT)-1:0] trace_va_addr,
    output logic [               LANES-1:0] trace_va_lanes,
    output logic [                    63:0] trace_va_banks,
    output logic [               VEC*8-1:0] trace_va_even,
    output logic [               VEC*8-1:0] trace_va_odd,
    output logic [                     3:0] trace_va_exp,    // exponent of the word, written with bank 0
    output logic [                    31:0] trace_vs_seq,
    output logic [     $clog2(SCALARS)-1:0] trace_vs_addr,
    output logic [                     4:0] trace_vs_fields,  // f0 (scale), f1, f2, f3, base of f0
    output logic [                    31:0] trace_vs_f0,
    output logic [                    21:0] trace_vs_f1,
    output logic [                    15:0] trace_vs_f2,
    output logic [                    21:0] trace_vs_f3,
    output logic [                    31:0] trace_vr_seq,
    output logic [                    31:0] trace_vr_index,
    output logic [                    31:0] trace_vr_value,
    output logic [                    31:0] trace_mdone_seq,
    output logic [                    31:0] trace_vdone_seq,
    output logic [                    31:0] trace_state,         // who waits, as in FAULT_INFO of STALL; instruction
    output logic [                    23:0] trace_units,         // what every unit does in this cycle (docs/rtl.md)
    output logic [                    15:0] trace_pc             // instruction that the sequencer is at
);
  localparam int AV = $clog2(VMEM / VEC);
  logic clk, rst;
  assign clk = ap_clk;
  // Places of the reset: control with buffers and ports, matrix unit, vector unit, and eight channels each.
  localparam int GROUP = 8;
  localparam int PLACES = 3 + (CHANNELS + GROUP - 1) / GROUP;
  logic [PLACES-1:0] resets;
  reset_tree #(.PLACES(PLACES)) u_reset (.*, .rst_n(ap_rst_n), .rst(resets));
  assign rst = resets[0];

  // Rules of the parameters.
  logic [31:0] config_values[CONFIG_FIELDS];
  config_check #(
      .CHANNELS(CHANNELS), .LANES(LANES), .VEC(VEC), .FIFO(FIFO), .BURST(BURST), .WRITES(WRITES), .VMEM(VMEM), .ACT(ACT),
      .SBUF(SBUF), .SCALARS(SCALARS), .IMEM(IMEM), .LANE_ROWS(LANE_ROWS), .LINK(LINK), .MAT_QUEUE(MAT_QUEUE),
      .VEC_QUEUE(VEC_QUEUE)
  ) u_config (.*);

  // Control.
  localparam int FAULTS = 5;
  settings_t settings;
  consts_t consts;
  logic [63:0] channel_base[CHANNELS];
  logic clear, stop, drained, progress;
  logic [1:0] dispatch;
  logic [2:0] queued;
  logic [31:0] state;
  logic [15:0] seq_pc;
  logic run_busy, executed;
  logic pre_start_valid, pre_start_ready, pre_done, mat_start_valid, mat_start_ready, mat_done;
  logic vec_start_valid, vec_start_ready, vec_done;
  uop_t pre_uop, mat_uop, vec_uop;
  logic [15:0] vec_pc, stall_channel;
  logic [1:0] rq_valid, rq_ready, rd_valid, rd_ready;
  logic [31:0] rq_beat[2];
  logic [15:0] rq_beats[2];
  logic [511:0] rd_data;
  fault_t unit_faults[FAULTS];
  events_t events;
  logic result_valid;
  logic [31:0] result_index, result_value;
  control #(
      .CHANNELS(CHANNELS), .LANES(LANES), .IMEM(IMEM), .MAT_QUEUE(MAT_QUEUE), .VEC_QUEUE(VEC_QUEUE), .FAULTS(FAULTS)
  ) u_control (
      .*,
      .rq_valid(rq_valid[0]), .rq_ready(rq_ready[0]), .rq_beat(rq_beat[0]), .rq_beats(rq_beats[0]),
      .rd_valid(rd_valid[0]), .rd_ready(rd_ready[0]), .busy(run_busy)
  );

  // Copies of what many wait for: `clear`, and the constants, which are set while no unit works.
  (* keep *) logic pre_clear, mat_clear, vec_clear, aux_clear;
  (* keep *) consts_t pre_consts, mat_consts, vec_consts;
  always_ff @(posedge clk) begin
    {pre_clear, mat_clear, vec_clear, aux_clear} <= {4{clear}};
    {pre_consts, mat_consts, vec_consts} <= {3{consts}};
  end

  // Prefetcher and channels.
  logic seg_valid;
  logic [31:0] seg_beat, seg_beats;
  logic [15:0] seg_pc;
  logic [CHANNELS-1:0] seg_ready, s_valid, s_push, s_pop, reader_drained, beat_read;
  logic [511:0] s_data[CHANNELS];
  localparam int QUADS = (CHANNELS + 3) / 4;
  fault_t pre_fault, reader_faults[CHANNELS], reader_late[QUADS];
  logic [CHANNELS-1:0] late_valid;
  logic pre_busy, mat_busy, vec_busy;
  prefetch #(.CHANNELS(CHANNELS)) u_prefetch (
      .*,
      .start_valid(pre_start_valid), .start_ready(pre_start_ready), .uop(pre_uop), .done(pre_done), .fault(pre_fault),
      .busy(pre_busy), .channel_limit(settings.channel_limit), .clear(pre_clear), .consts(pre_consts)
  );

  logic [CHANNELS-1:0] kw_valid, kw_ready, kw_idle, kw_error;
  logic [31:0] kw_beat;
  logic [63:0] kw_strb;
  logic [2:0] kw_part;
  logic kw_last;
  logic [63:0] kw_data[CHANNELS];
  for (genvar c = 0; c < CHANNELS; c++) begin : gen_channel
    (* keep *) logic clear_q;
    always_ff @(posedge clk) clear_q <= clear;
    chan_reader #(.CHANNEL(c), .FIFO(FIFO), .BURST(BURST)) u_reader (
        .*,
        .rst(resets[3+c/GROUP]), .clear(clear_q), .drained(reader_drained[c]),
        .fault(reader_faults[c]), .beat_read(beat_read[c]),
        .base(channel_base[c]), .seg_ready(seg_ready[c]),
        .arvalid(m_axi_arvalid[c]), .arready(m_axi_arready[c]), .araddr(m_axi_araddr[c]), .arlen(m_axi_arlen[c]),
        .rvalid(m_axi_rvalid[c]), .rready(m_axi_rready[c]), .rdata(m_axi_rdata[c]), .rresp(m_axi_rresp[c]),
        .rlast(m_axi_rlast[c]), .s_valid(s_valid[c]), .s_push(s_push[c]), .s_pop(s_pop[c]),
        .s_data(s_data[c])
    );
    chan_writer #(.WRITES(WRITES)) u_writer (
        .*,
        .rst(resets[3+c/GROUP]), .base(channel_base[c]), .w_valid(kw_valid[c]), .w_ready(kw_ready[c]), .w_beat(kw_beat),
        .w_strb(kw_strb), .w_part(kw_part), .w_last(kw_last), .w_data(kw_data[c]), .idle(kw_idle[c]), .error(kw_error[c]),
        .awvalid(m_axi_awvalid[c]), .awready(m_axi_awready[c]), .awaddr(m_axi_awaddr[c]), .awlen(m_axi_awlen[c]),
        .wvalid(m_axi_wvalid[c]), .wready(m_axi_wready[c]), .wdata(m_axi_wdata[c]), .wstrb(m_axi_wstrb[c]),
        .wlast(m_axi_wlast[c]), .bvalid(m_axi_bvalid[c]), .bready(m_axi_bready[c]), .bresp(m_axi_bresp[c])
    );
  end

  // Matrix unit and its buffers.
  logic act_en, qs_en, mw_valid, ms_valid, stat_begin, stat_busy, stat_stream, stat_out, stat_idle;
  logic [$clog2(ACT)-1:0] act_addr;
  logic [31:0] act_data[LANES][64];
  logic [3:0] act_exp[LANES];
  logic [$clog2(SCALARS)-1:0] qs_addr;
  logic [15:0] qs_data;
  logic [AV-1:0] mw_addr;
  logic [VEC-1:0] mw_mask;
  logic [VEC*32-1:0] mw_data;
  logic [$clog2(SBUF/NB)-1:0] ms_row;
  logic [LANES-1:0] ms_lanes;
  logic [NB-1:0] ms_banks;
  logic [31:0] ms_data[LANES][NB];
  logic [31:0] mat_seq;
  fault_t mat_fault;
  mat_unit #(
      .CHANNELS(CHANNELS), .LANES(LANES), .VEC(VEC), .FIFO(FIFO), .VMEM(VMEM), .ACT(ACT), .SBUF(SBUF), .SCALARS(SCALARS),
      .LANE_ROWS(LANE_ROWS), .LINK(LINK), .HOLD(TRACE)
  ) u_mat (
      .*,
      .rst(resets[1]), .clear(mat_clear), .consts(mat_consts),
      .start_valid(mat_start_valid), .start_ready(mat_start_ready), .uop(mat_uop), .done(mat_done), .fault(mat_fault),
      .busy(mat_busy), .seq(mat_seq)
  );

  logic va_valid, sb_r_en, sb_s_en;
  logic [$clog2(ACT)-1:0] va_addr;
  logic [LANES-1:0] va_lanes;
  logic [63:0] va_banks;
  logic [VEC*8-1:0] va_even, va_odd;
  logic [3:0] va_exp;
  logic [$clog2(LANES)-1:0] sb_r_lane, sb_s_lane;
  logic [$clog2(SBUF)-1:0] sb_r_addr, sb_s_addr;
  logic [VEC*32-1:0] sb_r_data, sb_s_data;
  act_buf #(.LANES(LANES), .VEC(VEC), .ACT(ACT)) u_act (
      .*,
      .w_valid(va_valid), .w_addr(va_addr), .w_lanes(va_lanes), .w_banks(va_banks), .w_even(va_even), .w_odd(va_odd),
      .w_exp(va_exp), .r_en(act_en), .r_addr(act_addr), .r_data(act_data), .r_exp(act_exp)
  );
  score_buf #(.CHANNELS(CHANNELS), .LANES(LANES), .VEC(VEC), .SBUF(SBUF)) u_score (
      .*,
      .w_valid(ms_valid), .w_row(ms_row), .w_lanes(ms_lanes), .w_banks(ms_banks), .w_data(ms_data),
      .r_en(sb_r_en), .r_lane(sb_r_lane), .r_addr(sb_r_addr), .r_data(sb_r_data),
      .s_en(sb_s_en), .s_lane(sb_s_lane), .s_addr(sb_s_addr), .s_data(sb_s_data)
  );

  // Vector unit and its buffers.
  logic vm_r_en, vw_valid, vw_ready, vs_r_en;
  logic [AV-1:0] vm_ra_addr, vm_rb_addr, vw_addr;
  logic [VEC*32-1:0] vm_ra_data, vm_rb_data, vw_data;
  logic [VEC-1:0] vw_mask;
  logic [$clog2(SCALARS)-1:0] vs_r_addr, vs_w_addr;
  logic [31:0] vs_r_f0, vs_w_f0, vec_seq;
  logic [21:0] vs_r_f1, vs_r_f3, vs_w_f1, vs_w_f3;
  logic [15:0] vs_r_f2, vs_w_f2;
  logic [4:0] vs_w_en;
  logic wq_valid, wq_ready, w_idle;
  logic [31:0] wq_beat;
  logic [511:0] wq_data;
  fault_t vec_fault;
  wire vw_ready_next = !mw_valid;
  vec_unit #(
      .CHANNELS(CHANNELS), .LANES(LANES), .VEC(VEC), .VMEM(VMEM), .ACT(ACT), .SBUF(SBUF), .SCALARS(SCALARS)
  ) u_vec (
      .*,
      .rst(resets[2]), .clear(vec_clear), .consts(vec_consts),
      .start_valid(vec_start_valid), .start_ready(vec_start_ready), .uop(vec_uop), .done(vec_done), .busy(vec_busy),
      .fault(vec_fault), .seq(vec_seq), .write_low(settings.write_low), .write_high(settings.write_high),
      .aux_rq_valid(rq_valid[1]), .aux_rq_ready(rq_ready[1]), .aux_rq_beat(rq_beat[1]), .aux_rq_beats(rq_beats[1]),
      .aux_rd_valid(rd_valid[1]), .aux_rd_ready(rd_ready[1]), .aux_rd_data(rd_data),
      .aux_wq_valid(wq_valid), .aux_wq_ready(wq_ready), .aux_wq_beat(wq_beat), .aux_wq_data(wq_data),
      .aux_w_idle(w_idle)
  );
  vmem #(.VEC(VEC), .VMEM(VMEM)) u_vmem (
      .*, .r_en(vm_r_en), .ra_addr(vm_ra_addr), .rb_addr(vm_rb_addr), .ra_data(vm_ra_data), .rb_data(vm_rb_data)
  );
  scalar_file #(.SCALARS(SCALARS)) u_scalars (
      .*,
      .w_en(vs_w_en), .w_addr(vs_w_addr), .w_f0(vs_w_f0), .w_f1(vs_w_f1), .w_f2(vs_w_f2), .w_f3(vs_w_f3),
      .r_en(vs_r_en), .r_addr(vs_r_addr), .r_f0(vs_r_f0), .r_f1(vs_r_f1), .r_f2(vs_r_f2), .r_f3(vs_r_f3),
      .m_addr(qs_addr), .m_q_sum(qs_data)
  );

  // Auxiliary port.
  logic aux_drained;
  fault_t aux_fault;
  aux_port u_aux (
      .*,
      .drained(aux_drained), .fault(aux_fault), .clear(aux_clear),
      .m_axi_arvalid(m_axi_arvalid[CHANNELS]), .m_axi_arready(m_axi_arready[CHANNELS]),
      .m_axi_araddr(m_axi_araddr[CHANNELS]), .m_axi_arlen(m_axi_arlen[CHANNELS]),
      .m_axi_rvalid(m_axi_rvalid[CHANNELS]), .m_axi_rready(m_axi_rready[CHANNELS]),
      .m_axi_rdata(m_axi_rdata[CHANNELS]), .m_axi_rresp(m_axi_rresp[CHANNELS]),
      .m_axi_awvalid(m_axi_awvalid[CHANNELS]), .m_axi_awready(m_axi_awready[CHANNELS]),
      .m_axi_awaddr(m_axi_awaddr[CHANNELS]), .m_axi_awlen(m_axi_awlen[CHANNELS]),
      .m_axi_wvalid(m_axi_wvalid[CHANNELS]), .m_axi_wready(m_axi_wready[CHANNELS]),
      .m_axi_wdata(m_axi_wdata[CHANNELS]), .m_axi_wstrb(m_axi_wstrb[CHANNELS]), .m_axi_wlast(m_axi_wlast[CHANNELS]),
      .m_axi_bvalid(m_axi_bvalid[CHANNELS]), .m_axi_bready(m_axi_bready[CHANNELS]),
      .m_axi_bresp(m_axi_bresp[CHANNELS])
  );

  // What all report.
  wire [P-1:0] r_moved = m_axi_rvalid & m_axi_rready;
  wire [P-1:0] w_moved = m_axi_wvalid & m_axi_wready;
  logic [AV-1:0] last_addr;  // a word that is only read is progress too
  always_ff @(posedge clk) last_addr <= vm_ra_addr;
  always_ff @(posedge clk) drained <= &reader_drained && &kw_idle && aux_drained;
  // What moved, in registers first: watched two cycles later, and counted, by eight channels, three.
  logic [P-1:0] r_late, w_late;
  logic [CHANNELS-1:0] beat_late;
  localparam int EIGHTS = (CHANNELS + 7) / 8;
  logic [3:0] read_by[EIGHTS], written_by[EIGHTS];  // beats of eight channels
  logic [8*EIGHTS-1:0] beats_late, writes_late;
  assign beats_late = (8 * EIGHTS)'(beat_late);
  assign writes_late = (8 * EIGHTS)'(w_late[CHANNELS-1:0]);
  logic [5:0] read_sum, written_sum;
  always_comb begin
    {read_sum, written_sum} = '0;
    for (int g = 0; g < EIGHTS; g++) begin
      read_sum += 6'(read_by[g]);
      written_sum += 6'(written_by[g]);
    end
  end
  logic [4:0] moves;
  logic [5:0] beats_read, beats_written;
  logic aux_read, aux_written;
  always_ff @(posedge clk) begin
    {r_late, w_late, beat_late} <= {r_moved, w_moved, beat_read};
    for (int g = 0; g < EIGHTS; g++) begin
      read_by[g] <= 4'($countones(beats_late[8*g+:8]));
      written_by[g] <= 4'($countones(writes_late[8*g+:8]));
    end
    {beats_read, beats_written} <= {read_sum, written_sum};
    {aux_read, aux_written} <= {r_late[CHANNELS], w_late[CHANNELS]};
    moves <= {r_late != 0 || w_late != 0, s_pop[0] || mw_valid || ms_valid, (vw_valid && vw_ready) || va_valid, vs_w_en != 0,
              vm_ra_addr != last_addr};
    progress <= moves != 0;
  end
  always_comb begin
    events = '{
        mat_busy: stat_busy,
        mat_stall_stream: stat_stream,
        mat_stall_out: stat_out,
        beats_read: beats_read,
        beats_written: beats_written,
        aux_read: aux_read,
        aux_written: aux_written
    };
    unit_faults = '{mat_fault, vec_fault, pre_fault, aux_fault, '0};
    unit_faults[3].pc = vec_busy ? vec_pc : '0;
    for (int g = QUADS - 1; g >= 0; g--) if (reader_late[g].valid) unit_faults[4] = reader_late[g];
  end
  // Priority among the channels: among four of them before a register, among those after it.
  fault_t first_of_four[QUADS];
  always_comb begin
    for (int g = 0; g < QUADS; g++) begin
      first_of_four[g] = '0;
      for (int c = 3; c >= 0; c--) if (4 * g + c < CHANNELS && reader_faults[(4*g+c)%CHANNELS].valid) first_of_four[g] = reader_faults[(4*g+c)%CHANNELS];
    end
  end
  always_ff @(posedge clk) begin
    reader_late <= first_of_four;
    late_valid <= s_valid;
    stall_channel <= '0;
    for (int c = CHANNELS - 1; c >= 0; c--) if (!late_valid[c]) stall_channel <= 16'(c);
  end

  // Trace.
  if (TRACE) begin : gen_trace
    assign trace_valid = {dispatch, vec_done, mat_done, result_valid, vs_w_en != 0, va_valid, vw_valid && vw_ready,
                          ms_valid, mw_valid};
    assign trace_mv_seq = mat_seq;
    assign trace_mv_addr = mw_addr;
    assign trace_mv_mask = mw_mask;
    assign trace_mv_data = mw_data;
    assign trace_ms_seq = mat_seq;
    assign trace_ms_row = ms_row;
    assign trace_ms_lanes = ms_lanes;
    assign trace_ms_banks = ms_banks;
    assign trace_vv_seq = vec_seq;
    assign trace_vv_addr = vw_addr;
    assign trace_vv_mask = vw_mask;
    assign trace_vv_data = vw_data;
    assign trace_va_seq = vec_seq;
    assign trace_va_addr = va_addr;
    assign trace_va_lanes = va_lanes;
    assign trace_va_banks = va_banks;
    assign trace_va_even = va_even;
    assign trace_va_odd = va_odd;
    assign trace_va_exp = va_exp;
    assign trace_vs_seq = vec_seq;
    assign trace_vs_addr = vs_w_addr;
    assign trace_vs_fields = vs_w_en;
    assign trace_vs_f0 = vs_w_f0;
    assign trace_vs_f1 = vs_w_f1;
    assign trace_vs_f2 = vs_w_f2;
    assign trace_vs_f3 = vs_w_f3;
    assign trace_vr_seq = vec_seq;
    assign trace_vr_index = result_index;
    assign trace_vr_value = result_value;
    assign trace_mdone_seq = mat_seq;
    assign trace_vdone_seq = vec_seq;
    assign trace_state = state;
    assign trace_units = {run_busy, executed, s_pop[0], stat_out, stat_busy, stat_begin, vec_done, mat_done, pre_done,
                          vec_start_valid && vec_start_ready, mat_start_valid && mat_start_ready,
                          pre_start_valid && pre_start_ready, queued, state[8:0]};
    assign trace_pc = seq_pc;
    for (genvar l = 0; l < LANES; l++) begin : gen_lane
      for (genvar b = 0; b < NB; b++) begin : gen_bank
        assign trace_ms_data[(l*NB+b)*32+:32] = ms_data[l][b];
      end
    end
  end else begin : gen_no_trace
    assign {trace_valid, trace_mv_seq, trace_mv_addr, trace_mv_mask, trace_mv_data} = '0;
    assign {trace_ms_seq, trace_ms_row, trace_ms_lanes, trace_ms_banks, trace_ms_data} = '0;
    assign {trace_vv_seq, trace_vv_addr, trace_vv_mask, trace_vv_data} = '0;
    assign {trace_va_seq, trace_va_addr, trace_va_lanes, trace_va_banks, trace_va_even, trace_va_odd, trace_va_exp} = '0;
    assign {trace_vs_seq, trace_vs_addr, trace_vs_fields, trace_vs_f0, trace_vs_f1, trace_vs_f2, trace_vs_f3} = '0;
    assign {trace_vr_seq, trace_vr_index, trace_vr_value, trace_mdone_seq, trace_vdone_seq} = '0;
    assign {trace_state, trace_units, trace_pc} = '0;
    wire unused_trace = &{1'b0, dispatch, state, mat_seq, vec_seq, run_busy, executed, seq_pc, queued, stat_begin};
  end

  wire unused = &{1'b0, pre_busy, mat_busy, qs_en, stat_idle, vs_r_f2, m_axi_rlast[CHANNELS]};
endmodule
