// Test top: channel readers, prefetch, matrix unit, activation and score buffers. The test plays the sequencer, the
// vector unit (activation writes, score reads), the scalar file and the memories.
module tb_mat
  import accllm_isa_pkg::*;
  import accllm_types_pkg::*;
#(
    parameter int CHANNELS = 2,
    parameter int LANES = 2,
    parameter int VEC = 8,
    parameter int FIFO = 64,
    parameter int BURST = 16,
    parameter int VMEM = 65536,
    parameter int ACT = 512,
    parameter int SBUF = 4096,
    parameter int SCALARS = 256,
    parameter int LANE_ROWS = 32,
    parameter int LINK = 0,
    parameter bit HOLD = 1'b1,
    localparam int NB = 2 * CHANNELS > VEC ? 2 * CHANNELS : VEC
) (
    input  logic                            clk,
    input  logic                            rst,
    input  logic                            clear,
    input  logic                            stop,
    output logic                            drained,
    input  logic                            pf_valid,
    output logic                            pf_ready,
    output logic                            pf_done,
    input  logic                            mat_valid,
    output logic                            mat_ready,
    output logic                            mat_done,
    output logic                            busy,
    input  logic [          $bits(uop_t)-1:0] pf_uop,
    input  logic [          $bits(uop_t)-1:0] mat_uop,
    input  logic [                    31:0] hdp,
    input  logic [                    31:0] score_row,
    input  logic [                    31:0] channel_limit,
    input  logic [                    63:0] base        [CHANNELS],
    output logic                            fault_valid,
    output logic [                     7:0] fault_code,
    output logic [                    15:0] fault_pc,
    output logic [                    31:0] fault_info,
    output logic [            CHANNELS-1:0] m_axi_arvalid,
    input  logic [            CHANNELS-1:0] m_axi_arready,
    output logic [                    63:0] m_axi_araddr [CHANNELS],
    output logic [                     7:0] m_axi_arlen  [CHANNELS],
    input  logic [            CHANNELS-1:0] m_axi_rvalid,
    output logic [            CHANNELS-1:0] m_axi_rready,
    input  logic [                   511:0] m_axi_rdata  [CHANNELS],
    input  logic [                     1:0] m_axi_rresp  [CHANNELS],
    input  logic [            CHANNELS-1:0] m_axi_rlast,
    input  logic                            w_valid,
    input  logic [         $clog2(ACT)-1:0] w_addr,
    input  logic [               LANES-1:0] w_lanes,
    input  logic [                    63:0] w_banks,
    input  logic [               VEC*8-1:0] w_even,
    input  logic [               VEC*8-1:0] w_odd,
    input  logic [                     3:0] w_exp,
    input  logic                            r_en,
    input  logic [       $clog2(LANES)-1:0] r_lane,
    input  logic [        $clog2(SBUF)-1:0] r_addr,
    output logic [              VEC*32-1:0] r_data,
    output logic                            qs_en,
    output logic [     $clog2(SCALARS)-1:0] qs_addr,
    input  logic [                    15:0] qs_data,
    output logic                            mw_valid,
    output logic [    $clog2(VMEM/VEC)-1:0] mw_addr,
    output logic [                 VEC-1:0] mw_mask,
    output logic [              VEC*32-1:0] mw_data,
    output logic                            ms_valid,
    output logic [      $clog2(SBUF/NB)-1:0] ms_row,
    output logic [               LANES-1:0] ms_lanes,
    output logic [                  NB-1:0] ms_banks,
    output logic [                    31:0] ms_data     [LANES][NB],
    output logic [                    31:0] seq,
    output logic                            stat_begin,
    output logic                            stat_busy,
    output logic                            stat_stream,
    output logic                            stat_out,
    output logic                            stat_idle
);
  consts_t consts;
  always_comb begin
    consts = '0;
    consts.hdp = hdp;
    consts.score_row = score_row;
  end

  logic seg_valid, act_en, pf_busy, mat_busy;
  logic [CHANNELS-1:0] seg_ready, s_push, s_pop, chan_drained, chan_fault;
  logic [31:0] seg_beat, seg_beats;
  logic [15:0] seg_pc;
  logic [511:0] s_data[CHANNELS];
  logic [$clog2(ACT)-1:0] act_addr;
  logic [31:0] act_data[LANES][64];
  logic [3:0] act_exp[LANES];
  fault_t pf_fault, mat_fault, chan_faults[CHANNELS], first_chan;

  prefetch #(
      .CHANNELS(CHANNELS)
  ) u_prefetch (
      .*,
      .start_valid(pf_valid),
      .start_ready(pf_ready),
      .uop(pf_uop),
      .done(pf_done),
      .fault(pf_fault),
      .busy(pf_busy)
  );

  for (genvar c = 0; c < CHANNELS; c++) begin : gen_channel
    // a counter event, and what the watchdog reports:
    // verilator lint_off UNUSEDSIGNAL
    logic beat_read, s_valid;
    // verilator lint_on UNUSEDSIGNAL
    chan_reader #(
        .CHANNEL(c),
        .FIFO(FIFO),
        .BURST(BURST)
    ) u_reader (
        .*,
        .drained(chan_drained[c]),
        .fault(chan_faults[c]),
        .base(base[c]),
        .seg_ready(seg_ready[c]),
        .arvalid(m_axi_arvalid[c]),
        .arready(m_axi_arready[c]),
        .araddr(m_axi_araddr[c]),
        .arlen(m_axi_arlen[c]),
        .rvalid(m_axi_rvalid[c]),
        .rready(m_axi_rready[c]),
        .rdata(m_axi_rdata[c]),
        .rresp(m_axi_rresp[c]),
        .rlast(m_axi_rlast[c]),
        .s_push(s_push[c]),
        .s_pop(s_pop[c]),
        .s_data(s_data[c])
    );
    assign chan_fault[c] = chan_faults[c].valid;
  end

  mat_unit #(
      .CHANNELS(CHANNELS),
      .LANES(LANES),
      .VEC(VEC),
      .FIFO(FIFO),
      .VMEM(VMEM),
      .ACT(ACT),
      .SBUF(SBUF),
      .SCALARS(SCALARS),
      .LANE_ROWS(LANE_ROWS),
      .LINK(LINK),
      .HOLD(HOLD)
  ) u_mat (
      .*,
      .start_valid(mat_valid),
      .start_ready(mat_ready),
      .uop(mat_uop),
      .done(mat_done),
      .fault(mat_fault),
      .busy(mat_busy)
  );

  act_buf #(
      .LANES(LANES),
      .VEC(VEC),
      .ACT(ACT)
  ) u_act (
      .*,
      .r_en(act_en),
      .r_addr(act_addr),
      .r_data(act_data),
      .r_exp(act_exp)
  );

  score_buf #(
      .CHANNELS(CHANNELS),
      .LANES(LANES),
      .VEC(VEC),
      .SBUF(SBUF)
  ) u_score (
      .*,
      .w_valid(ms_valid),
      .w_row(ms_row),
      .w_lanes(ms_lanes),
      .w_banks(ms_banks),
      .w_data(ms_data),
      .s_en(1'b0),
      .s_lane('0),
      .s_addr('0),
      .s_data()
  );

  assign drained = &chan_drained;
  assign busy = pf_busy || mat_busy;
  always_comb begin
    first_chan = '0;
    for (int c = CHANNELS - 1; c >= 0; c--) if (chan_fault[c]) first_chan = chan_faults[c];
  end
  assign {fault_valid, fault_code, fault_pc, fault_info} =
      mat_fault.valid ? mat_fault : pf_fault.valid ? pf_fault : first_chan;
endmodule
