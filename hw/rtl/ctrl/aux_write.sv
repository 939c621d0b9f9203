// Write side of the auxiliary port: whole beats, one per burst, several outstanding. A beat outside AUX_WRITE_LOW/HIGH is
// a fault and is not written; an error response is a fault. A beat is held and examined before it goes to the bus, so
// `wq_ready` is a register, and a beat every two cycles is the most. Does not merge beats into bursts.
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
  typedef struct packed {
    logic [31:0]  beat;
    logic [511:0] data;
  } write_t;
  write_t held;
  logic held_valid;
  logic [5:0] open;  // writes begun, not answered
  wire answered = m_axi_bvalid && m_axi_bready;
  wire take = wq_valid && wq_ready;
  wire inside_range = held.beat >= low && held.beat < high;
  wire vacant = (!m_axi_awvalid || m_axi_awready) && (!m_axi_wvalid || m_axi_wready) && !open[5];
  wire move = held_valid && (vacant || !inside_range);
  wire write = move && inside_range && !clear;

  assign wq_ready = !held_valid;
  assign w_idle = open == 0 && !held_valid;
  assign m_axi_bready = 1'b1;

  wire unused = &{1'b0, base[5:0]};  // whole beats

  always_ff @(posedge clk) begin
    if (take) held <= '{beat: wq_beat, data: wq_data};
    if (write) begin
      m_axi_awaddr <= {base[63:6] + 58'(held.beat), 6'd0};
      m_axi_wdata <= held.data;
    end
  end

  always_ff @(posedge clk) begin
    fault <= '0;
    if (rst) begin
      {held_valid, m_axi_awvalid, m_axi_wvalid} <= '0;
      open <= '0;
    end else begin
      held_valid <= !clear && (take || (held_valid && !move));
      m_axi_awvalid <= write || (m_axi_awvalid && !m_axi_awready);
      m_axi_wvalid <= write || (m_axi_wvalid && !m_axi_wready);
      open <= open + 6'(write) - 6'(answered);
      if (move && !inside_range) fault <= '{valid: 1'b1, code: FAULT_AUX_RANGE, pc: '0, info: held.beat};
      if (answered && m_axi_bresp != 0) fault <= '{valid: 1'b1, code: FAULT_AXI_AUX, pc: '0, info: 32'd2};
      assert (!(answered && open == 0)) else $error("auxiliary port: a response that nobody waits for");
      assert (!(take && held_valid)) else $error("auxiliary port: a beat without room");
    end
  end
endmodule
