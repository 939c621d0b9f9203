// Read side of the auxiliary port: two clients, one request at a time each, bursts that never cross 4 KB.
// A request's beats arrive in order on `rd_data`; the client that does not own the transfer sees no valid. A request outside
// AUX_LIMIT or an error response is a fault, and its beats are not delivered. Two beats are buffered, so that `rready` is a
// register. A request is examined for two cycles before its first burst.
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
  // The request taken last: its beats are counted from `beat`, and those in `left` are in no burst yet.
  typedef struct packed {
    logic [31:0] beat;
    logic [15:0] beats;
  } request_t;
  request_t request;
  logic owner, flush, examine, judge, outside;
  logic [32:0] past;   // end of the request
  logic [57:0] at;     // next beat, from address 0
  logic [15:0] left;
  logic [17:0] open;   // beats in bursts, not received
  logic quiet;         // none of them, and none buffered
  logic [6:0] burst;   // length of the next burst, when `sized`
  logic sized;
  // Buffered beats, the older one in front.
  logic [511:0] front, back;
  logic front_valid, back_valid;

  wire idle = left == 0 && !flush && !examine && !judge && !clear;
  wire pick = !rq_valid[0];
  wire take = |(rq_valid & rq_ready);
  wire [6:0] to_edge = 7'd64 - {1'b0, at[5:0]};
  wire make = sized && (!m_axi_arvalid || m_axi_arready) && !clear;
  wire received = m_axi_rvalid && m_axi_rready;
  wire good = received && m_axi_rresp == 0 && !flush && !clear;
  wire pop = front_valid && rd_ready[owner];

  // A client may ask again while its own beats are still coming, the other one only when all have arrived.
  assign rq_ready[0] = idle && (quiet || (!owner && !open[17])) && rq_valid[0];
  assign rq_ready[1] = idle && (quiet || (owner && !open[17])) && !rq_valid[0];
  assign rd_valid = {front_valid && owner, front_valid && !owner};
  assign rd_data = front;
  assign drained = quiet && left == 0 && !m_axi_arvalid;

  wire unused = &{1'b0, base[5:0]};  // whole beats

  // Bursts: examine the request, then size and make one burst after the other.
  always_ff @(posedge clk) begin
    if (take) request <= '{beat: rq_beat[pick], beats: rq_beats[pick]};
    past <= {1'b0, request.beat} + 33'(request.beats);
    if (judge) at <= base[63:6] + 58'(request.beat);
    else if (make) at <= at + 58'(burst);
    burst <= left < 16'(to_edge) ? left[6:0] : to_edge;
    if (make) begin
      m_axi_araddr <= {at, 6'd0};
      m_axi_arlen <= 8'(burst - 7'd1);
    end
    if (rst || clear) {examine, judge, sized} <= '0;
    else begin
      examine <= take;
      judge <= examine;
      sized <= left != 0 && !sized;
    end
    if (rst) begin
      {owner, m_axi_arvalid} <= '0;
      left <= '0;
    end else begin
      if (take) owner <= pick;
      m_axi_arvalid <= make || (m_axi_arvalid && !m_axi_arready);
      if (clear) left <= '0;
      else if (judge && !outside) left <= request.beats;
      else if (make) left <= left - 16'(burst);
    end
  end
  assign outside = past > {1'b0, limit};

  // Beats: `rready` falls while two are buffered, so that one more finds room.
  always_ff @(posedge clk) begin
    if (pop || !front_valid) front <= back_valid ? back : m_axi_rdata;
    if (good) back <= m_axi_rdata;
    if (rst || clear) {front_valid, back_valid} <= '0;
    else begin
      front_valid <= back_valid || good || (front_valid && !pop);
      back_valid <= front_valid && !pop && (back_valid || good);
    end
    if (rst) begin
      flush <= 1'b0;
      open <= '0;
      quiet <= 1'b1;
      m_axi_rready <= 1'b0;
    end else begin
      open <= open + (make ? 18'(burst) : 18'd0) - 18'(received);
      quiet <= open == 0 && !make && !front_valid && !back_valid && left == 0;
      if (clear) flush <= 1'b1;
      else if (open == 0 && !m_axi_arvalid) flush <= 1'b0;
      m_axi_rready <= flush || clear || !(front_valid && !pop && (back_valid || good));
      assert (!(received && open == 0)) else $error("auxiliary port: a beat that was not asked for");
      assert (!(good && back_valid)) else $error("auxiliary port: a beat without room");
    end
  end

  always_ff @(posedge clk) begin
    fault <= '0;
    if (!rst) begin
      if (judge && outside && !clear) fault <= '{valid: 1'b1, code: FAULT_AUX_RANGE, pc: '0, info: request.beat};
      if (received && m_axi_rresp != 0 && !flush) fault <= '{valid: 1'b1, code: FAULT_AXI_AUX, pc: '0, info: 32'(owner)};
    end
  end
endmodule
