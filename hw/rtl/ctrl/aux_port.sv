// The auxiliary memory port: AXI4 master with two read clients (0: program loader, 1: vector unit) and one write client.
// Adds AUX_BASE, splits at 4 KB, checks ranges. The faults carry no instruction index; who knows the client adds it.
// Does not order reads after writes; the vector unit waits for `w_idle`.
module aux_port
  import accllm_types_pkg::*;
  import accllm_ctrl_pkg::settings_t;
(
    input  logic              clk,
    input  logic              rst,
    input  logic              clear,
    output logic              drained,
    input  settings_t         settings,
    input  logic      [  1:0] rq_valid,
    output logic      [  1:0] rq_ready,
    input  logic      [ 31:0] rq_beat      [2],
    input  logic      [ 15:0] rq_beats     [2],
    output logic      [  1:0] rd_valid,
    input  logic      [  1:0] rd_ready,
    output logic      [511:0] rd_data,
    input  logic              wq_valid,
    output logic              wq_ready,
    input  logic      [ 31:0] wq_beat,
    input  logic      [511:0] wq_data,
    output logic              w_idle,
    output fault_t            fault,
    output logic              m_axi_arvalid,
    input  logic              m_axi_arready,
    output logic      [ 63:0] m_axi_araddr,
    output logic      [  7:0] m_axi_arlen,
    input  logic              m_axi_rvalid,
    output logic              m_axi_rready,
    input  logic      [511:0] m_axi_rdata,
    input  logic      [  1:0] m_axi_rresp,
    output logic              m_axi_awvalid,
    input  logic              m_axi_awready,
    output logic      [ 63:0] m_axi_awaddr,
    output logic      [  7:0] m_axi_awlen,
    output logic              m_axi_wvalid,
    input  logic              m_axi_wready,
    output logic      [511:0] m_axi_wdata,
    output logic      [ 63:0] m_axi_wstrb,
    output logic              m_axi_wlast,
    input  logic              m_axi_bvalid,
    output logic              m_axi_bready,
    input  logic      [  1:0] m_axi_bresp
);
  fault_t read_fault, write_fault;
  logic read_drained;

  aux_read u_read (
      .*,
      .base(settings.aux_base),
      .limit(settings.aux_limit),
      .fault(read_fault),
      .drained(read_drained)
  );
  aux_write u_write (
      .*,
      .base(settings.aux_base),
      .low(settings.aux_write_low),
      .high(settings.aux_write_high),
      .fault(write_fault)
  );

  assign m_axi_awlen = '0;
  assign m_axi_wstrb = '1;
  assign m_axi_wlast = 1'b1;
  assign drained = read_drained && w_idle;
  assign fault = read_fault.valid ? read_fault : write_fault;

  wire unused = &{1'b0, settings.watchdog, settings.write_high, settings.write_low, settings.channel_limit,
                  settings.program_len, settings.program_addr};
endmodule
