// Write side of the auxiliary port: whole beats, one per burst, several outstanding. A beat outside AUX_WRITE_LOW/HIGH is
// a fault and is not written; an error response is a fault. Does not merge beats into bursts.
module aux_write
  import accllm_regs_pkg::*;
  import accllm_types_pkg::*;
(
    input  logic           clk,
    input  logic           rst,
    input  logic           clear,
    input  logic   [ 63:0] base,
    input  logic   [ 31:0] low,
    input  logic   [ 31:0] high,
    input  logic           wq_valid,
    output logic           wq_ready,
    input  logic   [ 31:0] wq_beat,
    input  logic   [511:0] wq_data,
    output logic           w_idle,
    output fault_t         fault,
    output logic           m_axi_awvalid,
    input  logic           m_axi_awready,
    output logic   [ 63:0] m_axi_awaddr,
    output logic           m_axi_wvalid,
    input  logic           m_axi_wready,
    output logic   [511:0] m_axi_wdata,
    input  logic           m_axi_bvalid,
    output logic           m_axi_bready,
    input  logic   [  1:0] m_axi_bresp
);
  logic [5:0] open;  // writes begun, not answered
  wire answered = m_axi_bvalid && m_axi_bready;
  wire take = wq_valid && wq_ready;
  wire inside_range = wq_beat >= low && wq_beat < high;
  wire write = take && inside_range;

  assign wq_ready = (!m_axi_awvalid || m_axi_awready) && (!m_axi_wvalid || m_axi_wready) && !open[5] && !clear;
  assign w_idle = open == 0;
  assign m_axi_bready = 1'b1;

  wire unused = &{1'b0, base[5:0]};  // whole beats

  always_ff @(posedge clk) begin
    fault <= '0;
    if (rst) begin
      {m_axi_awvalid, m_axi_wvalid} <= '0;
      open <= '0;
    end else begin
      if (m_axi_awready) m_axi_awvalid <= 1'b0;
      if (m_axi_wready) m_axi_wvalid <= 1'b0;
      if (write) begin
        m_axi_awvalid <= 1'b1;
        m_axi_wvalid <= 1'b1;
        m_axi_awaddr <= {base[63:6], 6'd0} + {26'd0, wq_beat, 6'd0};
        m_axi_wdata <= wq_data;
      end
      open <= open + 6'(write) - 6'(answered);
      if (take && !inside_range) fault <= '{valid: 1'b1, code: FAULT_AUX_RANGE, pc: '0, info: wq_beat};
      if (answered && m_axi_bresp != 0) fault <= '{valid: 1'b1, code: FAULT_AXI_AUX, pc: '0, info: 32'd2};
      assert (!(answered && open == 0)) else $error("auxiliary port: a response that nobody waits for");
    end
  end
endmodule
