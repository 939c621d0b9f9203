// AXI4 read master of one channel: takes segments (beat offset, number of beats), reads them in bursts and hands the
// beats out in order, `s_data` one cycle after `s_pop`; `s_push` says that one more beat can be popped. A burst is begun
// only when the FIFO has room for all of it, so read data are always taken; they are registered as they come. A burst
// takes three cycles: its length at most, whether there is room, the request. `stop` holds back new bursts; `clear` forgets
// everything, and `drained` is low until the bursts on their way have come in. An error response is reported with the
// instruction of its segment. Does not check ranges.
module chan_reader
  import accllm_types_pkg::*;
  import accllm_regs_pkg::*;
#(
    parameter int CHANNEL = 0,
    parameter int FIFO = 64,
    parameter int BURST = 16  // longest, beats
) (
    input  logic         clk,
    input  logic         rst,
    input  logic         clear,
    input  logic         stop,
    output logic         drained,
    output fault_t       fault,
    output logic         beat_read,  // counter event: a beat came in
    // Multiples of a beat; no exclusive accesses:
    // verilator lint_off UNUSEDSIGNAL
    input  logic [ 63:0] base,       // byte address of the channel's memory
    input  logic [  1:0] rresp,
    // verilator lint_on UNUSEDSIGNAL
    input  logic         seg_valid,
    output logic         seg_ready,
    input  logic [ 31:0] seg_beat,
    input  logic [ 31:0] seg_beats,
    input  logic [ 15:0] seg_pc,
    output logic         arvalid,
    input  logic         arready,
    output logic [ 63:0] araddr,
    output logic [  7:0] arlen,
    input  logic         rvalid,
    output logic         rready,
    input  logic [511:0] rdata,
    input  logic         rlast,
    output logic         s_valid,    // the FIFO holds a beat
    output logic         s_push,
    input  logic         s_pop,
    output logic [511:0] s_data
);
  localparam int AW = $clog2(FIFO);

  // Segments that wait.
  logic [31:0] q_beat[4], q_beats[4];
  logic [15:0] q_pc[4];
  logic [1:0] q_in, q_out;
  logic [2:0] q_count;
  logic q_some;  // q_count is not 0
  // The segment that is being read, and the next burst of it.
  typedef enum logic [1:0] {NONE, MEASURE, FIT, ASK} state_t;
  state_t state;
  logic [57:0] at;
  logic [31:0] left;
  logic [6:0] to_page, part, len;
  logic fits, last, small_left, may;
  // Segments of which beats are still to come: the one whose beats come now, and those after it.
  localparam int OPEN = 16;
  logic [31:0] o_beats[OPEN], c_left;
  logic [15:0] o_pc[OPEN], c_pc;
  logic [3:0] o_in, o_out;
  logic [4:0] o_count;
  logic c_valid, c_last;
  // Beats of room not promised to a burst; beats on their way.
  logic [AW:0] room, pending;
  logic flushing;
  // A beat as it came.
  logic take, bad;
  logic [511:0] data;

  assign seg_ready = !q_count[2];
  wire push = seg_valid && seg_ready;
  wire issue = state == ASK && fits && !arvalid && may && !clear;
  wire load = q_some && !o_count[4] && (state == NONE || (issue && last));
  assign to_page = 7'd64 - {1'b0, at[5:0]};
  assign small_left = left[31:7] == 0;
  assign rready = 1'b1;
  assign beat_read = take;
  assign drained = !flushing && pending == 0;

  always_ff @(posedge clk) begin
    if (rst || clear) state <= NONE;
    else
      case (state)
        NONE: if (load) state <= MEASURE;
        MEASURE: state <= FIT;
        FIT: state <= ASK;
        default: if (issue) state <= !last || load ? MEASURE : NONE;
      endcase
  end

  always_ff @(posedge clk) begin
    if (push) begin
      q_beat[q_in]  <= seg_beat;
      q_beats[q_in] <= seg_beats;
      q_pc[q_in] <= seg_pc;
    end
    if (load) begin
      at <= base[63:6] + 58'(q_beat[q_out]);
      left <= q_beats[q_out];
    end else if (issue) begin
      at <= at + 58'(len);
      left <= left - 32'(len);
    end
    if (state == MEASURE) part <= to_page < 7'(BURST) ? to_page : 7'(BURST);
    if (state == FIT) begin
      len  <= small_left && left[6:0] < part ? left[6:0] : part;
      last <= small_left && left[6:0] <= part;
    end
    fits <= state != MEASURE && room >= (AW + 1)'(part);
    may  <= !stop && !flushing;
    if (issue) begin
      araddr <= {at, 6'd0};
      arlen  <= 8'(len - 7'd1);
    end
  end

  always_ff @(posedge clk) begin
    if (rst || clear) begin
      q_in <= '0;
      q_out <= '0;
      q_count <= '0;
      q_some <= 1'b0;
      room <= (AW + 1)'(FIFO);
    end else begin
      q_in <= q_in + 2'(push);
      q_out <= q_out + 2'(load);
      if (push != load) q_count <= q_count + (load ? 3'd7 : 3'd1);
      q_some <= push || (load ? q_count > 3'd1 : q_some);
      room <= room + (AW + 1)'(s_pop) - (issue ? (AW + 1)'(len) : '0);
      assert (q_some == (q_count != 0)) else $error("chan_reader: flag of %0d segments", q_count);
      assert (!issue || room >= (AW + 1)'(len))
      else $error("chan_reader: a burst without room");
      assert (room <= (AW + 1)'(FIFO))
      else $error("chan_reader: more room than there is");
    end
  end

  // Whose beats come: the next segment is at hand when the last beat of one is taken.
  wire came = take && !flushing;
  wire next = o_count != 0 && (!c_valid || (came && c_last));
  always_ff @(posedge clk) begin
    if (load) begin
      o_beats[o_in] <= q_beats[q_out];
      o_pc[o_in] <= q_pc[q_out];
    end
    if (next) begin
      c_left <= o_beats[o_out];
      c_last <= o_beats[o_out] == 32'd1;
      c_pc   <= o_pc[o_out];
    end else if (came) begin
      c_left <= c_left - 32'd1;
      c_last <= c_left == 32'd2;
    end
    if (rst || clear) begin
      o_in <= '0;
      o_out <= '0;
      o_count <= '0;
      c_valid <= 1'b0;
    end else begin
      o_in <= o_in + 4'(load);
      o_out <= o_out + 4'(next);
      if (load != next) o_count <= o_count + (next ? 5'd31 : 5'd1);
      c_valid <= next || (c_valid && !(came && c_last));
      assert (!came || c_valid)
      else $error("chan_reader: a beat of no segment");
    end
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      arvalid  <= 1'b0;
      pending  <= '0;
      flushing <= 1'b0;
    end else begin
      arvalid <= issue || (arvalid && !arready);
      pending <= pending - (AW + 1)'(take) + (issue ? (AW + 1)'(len) : '0);
      flushing <= (clear || flushing) && pending != (AW + 1)'(take);
      assert (!take || pending != 0)
      else $error("chan_reader: a beat that was not asked for");
      assert (!rlast || !rvalid || pending != (AW + 1)'(take))
      else $error("chan_reader: end of a burst that was not asked for");
    end
  end

  wire write = came && !clear;
  always_ff @(posedge clk) begin
    take <= rvalid && !rst;
    bad  <= rresp[1];
    data <= rdata;
    s_push <= write && !rst;
    fault <= '{valid: came && bad && !rst, code: FAULT_AXI_READ, pc: c_pc, info: 32'(CHANNEL)};
  end

  stream_fifo #(
      .WIDTH(512),
      .DEPTH(FIFO)
  ) u_fifo (
      .*,
      .w_valid(write),
      .w_data(data),
      .r_valid(s_valid),
      .r_pop(s_pop),
      .r_data(s_data)
  );
endmodule
