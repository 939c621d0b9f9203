// Test bench of the control part: control and auxiliary port with everything else (units, vector unit's memory client,
// traffic) at ports, so that the test plays the units.
module tb_ctrl
  import accllm_isa_pkg::*;
  import accllm_regs_pkg::CONFIG_FIELDS;
  import accllm_types_pkg::*;
  import accllm_ctrl_pkg::*;
#(
    parameter int CHANNELS = 2,
    parameter int LANES = 2,
    parameter int IMEM = 64
) (
    input  logic         clk,
    input  logic         rst,
    input  logic [ 11:0] s_axi_control_awaddr,
    input  logic         s_axi_control_awvalid,
    output logic         s_axi_control_awready,
    input  logic [ 31:0] s_axi_control_wdata,
    input  logic [  3:0] s_axi_control_wstrb,
    input  logic         s_axi_control_wvalid,
    output logic         s_axi_control_wready,
    output logic [  1:0] s_axi_control_bresp,
    output logic         s_axi_control_bvalid,
    input  logic         s_axi_control_bready,
    input  logic [ 11:0] s_axi_control_araddr,
    input  logic         s_axi_control_arvalid,
    output logic         s_axi_control_arready,
    output logic [ 31:0] s_axi_control_rdata,
    output logic [  1:0] s_axi_control_rresp,
    output logic         s_axi_control_rvalid,
    input  logic         s_axi_control_rready,
    output logic         interrupt,
    output logic         clear,
    input  logic         hold_drained,                // traffic of the units that does not end
    output logic [287:0] consts_out,
    output logic [  2:0] start_valid,                 // prefetcher, matrix, vector
    input  logic [  2:0] start_ready,
    input  logic [  2:0] done,
    output logic [$bits(uop_t)-1:0] uops[3],
    input  logic         fault_valid,
    input  logic [  7:0] fault_code,
    input  logic [ 15:0] fault_pc,
    input  logic [ 31:0] fault_info,
    input  logic         result_valid,
    input  logic [ 31:0] result_index,
    input  logic [ 31:0] result_value,
    input  logic         v_rq_valid,
    output logic         v_rq_ready,
    input  logic [ 31:0] v_rq_beat,
    input  logic [ 15:0] v_rq_beats,
    output logic         v_rd_valid,
    input  logic         v_rd_ready,
    output logic [511:0] v_rd_data,
    input  logic         wq_valid,
    output logic         wq_ready,
    input  logic [ 31:0] wq_beat,
    input  logic [511:0] wq_data,
    output logic         w_idle,
    output logic         m_axi_arvalid,
    input  logic         m_axi_arready,
    output logic [ 63:0] m_axi_araddr,
    output logic [  7:0] m_axi_arlen,
    input  logic         m_axi_rvalid,
    output logic         m_axi_rready,
    input  logic [511:0] m_axi_rdata,
    input  logic [  1:0] m_axi_rresp,
    input  logic         m_axi_rlast,
    output logic         m_axi_awvalid,
    input  logic         m_axi_awready,
    output logic [ 63:0] m_axi_awaddr,
    output logic [  7:0] m_axi_awlen,
    output logic         m_axi_wvalid,
    input  logic         m_axi_wready,
    output logic [511:0] m_axi_wdata,
    output logic [ 63:0] m_axi_wstrb,
    output logic         m_axi_wlast,
    input  logic         m_axi_bvalid,
    output logic         m_axi_bready,
    input  logic [  1:0] m_axi_bresp
);
  settings_t settings;
  logic [63:0] channel_base[CHANNELS];
  logic aux_drained, stop;
  logic [31:0] state;
  logic busy, executed;
  logic [15:0] seq_pc;
  logic [2:0] queued;
  logic [1:0] dispatch;
  consts_t consts;
  logic [15:0] vec_pc;
  fault_t unit_faults[2], aux_fault;
  events_t events;
  logic [1:0] rq_valid, rq_ready, rd_valid, rd_ready;
  logic [31:0] rq_beat[2];
  logic [15:0] rq_beats[2];
  logic [511:0] rd_data;
  uop_t pre_uop, mat_uop, vec_uop;

  // Register CONFIG + 4 i reads as 1000 + i.
  logic [31:0] config_values[CONFIG_FIELDS];
  for (genvar i = 0; i < CONFIG_FIELDS; i++) begin : gen_config
    assign config_values[i] = 32'd1000 + 32'(i);
  end
  assign consts_out = consts;
  assign uops = '{pre_uop, mat_uop, vec_uop};
  always_comb begin
    events = '0;
    events.aux_read = m_axi_rvalid && m_axi_rready;
    events.aux_written = m_axi_wvalid && m_axi_wready;
    unit_faults[0] = '{valid: fault_valid, code: fault_code, pc: fault_pc, info: fault_info};
    unit_faults[1] = aux_fault;
    unit_faults[1].pc = vec_pc;
  end
  assign {rq_valid[1], rq_beat[1], rq_beats[1]} = {v_rq_valid, v_rq_beat, v_rq_beats};
  assign {v_rq_ready, v_rd_valid, v_rd_data} = {rq_ready[1], rd_valid[1], rd_data};
  assign rd_ready[1] = v_rd_ready;

  wire drained = aux_drained && !hold_drained;
  wire progress = events.aux_read || events.aux_written;
  control #(.CHANNELS(CHANNELS), .LANES(LANES), .IMEM(IMEM), .FAULTS(2)) u_control (
      .*,
      .pre_start_valid(start_valid[0]), .pre_start_ready(start_ready[0]), .pre_done(done[0]),
      .mat_start_valid(start_valid[1]), .mat_start_ready(start_ready[1]), .mat_done(done[1]),
      .vec_start_valid(start_valid[2]), .vec_start_ready(start_ready[2]), .vec_done(done[2]),
      .rq_valid(rq_valid[0]), .rq_ready(rq_ready[0]), .rq_beat(rq_beat[0]), .rq_beats(rq_beats[0]),
      .rd_valid(rd_valid[0]), .rd_ready(rd_ready[0]),
      .stall_channel(16'd0)
  );
  aux_port u_aux (.*, .drained(aux_drained), .fault(aux_fault));

  wire unused = &{1'b0, channel_base[0], m_axi_rlast, stop, state, dispatch, busy, executed, seq_pc, queued};
endmodule
