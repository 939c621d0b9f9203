// AXI4 write master of one channel: single beats with byte strobes, several on their way. A request comes in pieces of 8
// bytes, in any place of the beat; the last one sends it. `w_ready` is a register: once high it stays so up to the last
// piece. `idle` when every response is in; `error` is a pulse for an error response. Finishes what it has taken, so it needs
// no clear. Does not check ranges.
module chan_writer #(
    parameter int WRITES = 32  // without an answer, at most; a power of two
) (
    input  logic         clk,
    input  logic         rst,
    input  logic [ 63:0] base,     // byte address of the channel's memory
    input  logic         w_valid,
    output logic         w_ready,
    input  logic [ 31:0] w_beat,
    input  logic [ 63:0] w_strb,
    input  logic [  2:0] w_part,
    input  logic         w_last,
    input  logic [ 63:0] w_data,
    output logic         idle,
    output logic         error,
    output logic         awvalid,
    input  logic         awready,
    output logic [ 63:0] awaddr,
    output logic [  7:0] awlen,
    output logic         wvalid,
    input  logic         wready,
    output logic [511:0] wdata,
    output logic [ 63:0] wstrb,
    output logic         wlast,
    input  logic         bvalid,
    output logic         bready,
    input  logic [  1:0] bresp
);
  localparam int OW = $clog2(WRITES);
  logic [OW:0] open;  // taken, not answered
  wire take = w_valid && w_ready && w_last;
  wire answered = bvalid && bready;

  assign idle = open == 0;
  assign bready = 1'b1;
  assign awlen = '0;
  assign wlast = 1'b1;

  always_ff @(posedge clk) begin
    error <= 1'b0;
    if (rst) begin
      {awvalid, wvalid, w_ready} <= '0;
      open <= '0;
    end else begin
      if (awready) awvalid <= 1'b0;
      if (wready) wvalid <= 1'b0;
      if (take) {awvalid, wvalid} <= '1;
      w_ready <= !take && (!awvalid || awready) && (!wvalid || wready) && !open[OW];
      if (take != answered) open <= take ? open + (OW + 1)'(1) : open - (OW + 1)'(1);
      error <= answered && bresp != 0;
      assert (!(answered && open == 0)) else $error("channel writer: a response that nobody waits for");
    end
    if (take) begin
      awaddr <= {base[63:6], 6'd0} + {26'd0, w_beat, 6'd0};
      wstrb <= w_strb;
    end
  end
  for (genvar i = 0; i < 8; i++) begin : gen_piece
    logic [63:0] q;
    always_ff @(posedge clk) if (w_valid && w_ready && w_part == 3'(i)) q <= w_data;
    assign wdata[64*i+:64] = q;
  end

  wire unused = &{1'b0, base[5:0]};  // whole beats
endmodule
