// Read side of the auxiliary port: two clients, one request at a time each, bursts that never cross 4 KB.
// A request's beats arrive in order on `rd_data`; the client that does not own the transfer sees no valid. A request outside
// AUX_LIMIT or an error response is a fault, and its beats are not delivered. Does not buffer data.
module aux_read
  import accllm_regs_pkg::*;
  import accllm_types_pkg::*;
(
    input  logic           clk,
    input  logic           rst,
    input  logic           clear,
    output logic           drained,
    input  logic   [ 63:0] base,
    input  logic   [ 31:0] limit,
    input  logic   [  1:0] rq_valid,
    output logic   [  1:0] rq_ready,
    input  logic   [ 31:0] rq_beat      [2],
    input  logic   [ 15:0] rq_beats     [2],
    output logic   [  1:0] rd_valid,
    input  logic   [  1:0] rd_ready,
    output logic   [511:0] rd_data,
    output fault_t         fault,
    output logic           m_axi_arvalid,
    input  logic           m_axi_arready,
    output logic   [ 63:0] m_axi_araddr,
    output logic   [  7:0] m_axi_arlen,
    input  logic           m_axi_rvalid,
    output logic           m_axi_rready,
    input  logic   [511:0] m_axi_rdata,
    input  logic   [  1:0] m_axi_rresp
);
  logic owner, flush;
  logic [63:0] addr;
  logic [15:0] left;  // beats for which no burst was made yet
  logic [17:0] open;  // beats in bursts, not received
  wire free = left == 0 && !flush && !clear;
  wire quiet = open == 0;
  wire pick = !rq_valid[0];
  wire take = |(rq_valid & rq_ready);
  wire [31:0] beat = rq_beat[pick];
  wire [15:0] beats = rq_beats[pick];
  wire outside = {1'b0, beat} + 33'(beats) > {1'b0, limit};
  wire [6:0] to_edge = 7'd64 - {1'b0, addr[11:6]};
  wire [6:0] burst = left < 16'(to_edge) ? left[6:0] : to_edge;
  wire make = left != 0 && (!m_axi_arvalid || m_axi_arready) && !clear;
  wire received = m_axi_rvalid && m_axi_rready;
  wire bad = m_axi_rresp != 0;

  // A client may ask again while its own beats are still coming, the other one only when all have arrived.
  assign rq_ready[0] = free && (quiet || (!owner && !open[17])) && rq_valid[0];
  assign rq_ready[1] = free && (quiet || (owner && !open[17])) && !rq_valid[0];
  // A bad beat is taken at once: no client will see it.
  assign m_axi_rready = flush || rd_ready[owner] || (m_axi_rvalid && bad);
  assign rd_valid[0] = m_axi_rvalid && !flush && !bad && !owner;
  assign rd_valid[1] = m_axi_rvalid && !flush && !bad && owner;
  assign rd_data = m_axi_rdata;
  assign drained = quiet && left == 0 && !m_axi_arvalid;

  wire unused = &{1'b0, base[5:0]};  // whole beats

  always_ff @(posedge clk) begin
    fault <= '0;
    if (rst) begin
      {owner, flush, m_axi_arvalid} <= '0;
      left <= '0;
      open <= '0;
    end else begin
      if (m_axi_arready) m_axi_arvalid <= 1'b0;
      if (make) begin
        m_axi_arvalid <= 1'b1;
        m_axi_araddr <= addr;
        m_axi_arlen <= 8'(burst - 7'd1);
        addr <= addr + {51'd0, burst, 6'd0};
        left <= left - 16'(burst);
      end
      open <= open + (make ? 18'(burst) : 18'd0) - 18'(received);
      if (take) begin
        owner <= pick;
        addr <= {base[63:6], 6'd0} + {26'd0, beat, 6'd0};
        if (outside) fault <= '{valid: 1'b1, code: FAULT_AUX_RANGE, pc: '0, info: beat};
        else left <= beats;
      end
      if (received && bad && !flush) fault <= '{valid: 1'b1, code: FAULT_AXI_AUX, pc: '0, info: 32'(owner)};
      if (clear) left <= '0;
      if (clear) flush <= open != 18'(received);
      else if (open == 0) flush <= 1'b0;
      assert (!(received && quiet)) else $error("auxiliary port: a beat that was not asked for");
    end
  end
endmodule
