// AXI4 read master of one channel: takes segments (beat offset, number of beats), reads them in bursts and hands the
// beats out in order, `s_data` one cycle after `s_pop`. A burst is begun only when the FIFO has room for all of it, so
// read data are always taken. `stop` holds back new bursts; `clear` forgets everything, and `drained` is low until the
// bursts on their way have come in. An error response is reported with the instruction of its segment. Does not check
// ranges.
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
    output logic         s_valid,
    input  logic         s_pop,
    output logic [511:0] s_data
);
  localparam int AW = $clog2(FIFO);

  // Segments that wait.
  logic [31:0] q_beat[4], q_beats[4];
  logic [15:0] q_pc[4];
  logic [1:0] q_in, q_out;
  logic [2:0] q_count;
  // The segment that is being read, and the next burst of it.
  logic [57:0] at;
  logic [31:0] left;
  logic [6:0] to_page, part, len;
  // Segments of which beats are still to come, oldest first, and how many came of the oldest.
  localparam int OPEN = 16;
  logic [31:0] o_beats[OPEN], o_got;
  logic [15:0] o_pc[OPEN];
  logic [3:0] o_in, o_out;
  logic [4:0] o_count;
  // Beats of room not promised to a burst; beats on their way.
  logic [AW:0] room, pending;
  logic flushing;

  assign seg_ready = !q_count[2];
  assign to_page = 7'd64 - {1'b0, at[5:0]};
  assign part = to_page < 7'(BURST) ? to_page : 7'(BURST);
  assign len = left < 32'(part) ? left[6:0] : part;
  wire push = seg_valid && seg_ready;
  wire issue = left != 0 && (!arvalid || arready) && 32'(room) >= 32'(len) && !stop && !flushing && !clear;
  wire load = q_count != 0 && !o_count[4] && (left == 0 || (issue && left == 32'(len)));
  wire take = rvalid && rready;
  wire complete = take && !flushing && o_got + 32'd1 == o_beats[o_out];
  assign rready = 1'b1;
  assign beat_read = take;
  assign drained = !flushing && pending == 0;

  always_ff @(posedge clk) begin
    if (push) begin
      q_beat[q_in]  <= seg_beat;
      q_beats[q_in] <= seg_beats;
      q_pc[q_in] <= seg_pc;
    end
    if (load) begin
      o_beats[o_in] <= q_beats[q_out];
      o_pc[o_in] <= q_pc[q_out];
    end
    if (load) at <= base[63:6] + 58'(q_beat[q_out]);
    else if (issue) at <= at + 58'(len);
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
      left <= '0;
      room <= (AW + 1)'(FIFO);
      o_in <= '0;
      o_out <= '0;
      o_count <= '0;
      o_got <= '0;
    end else begin
      o_in <= o_in + 4'(load);
      o_out <= o_out + 4'(complete);
      o_count <= o_count + 5'(load) - 5'(complete);
      if (take && !flushing) o_got <= complete ? '0 : o_got + 32'd1;
      q_in <= q_in + 2'(push);
      q_out <= q_out + 2'(load);
      q_count <= q_count + 3'(push) - 3'(load);
      if (load) left <= q_beats[q_out];
      else if (issue) left <= left - 32'(len);
      room <= room + (AW + 1)'(s_pop) - (issue ? (AW + 1)'(len) : '0);
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
      assert (!rlast || !take || pending != 0)
      else $error("chan_reader: end of a burst that was not asked for");
    end
  end

  always_ff @(posedge clk) begin
    fault <= '{valid: take && rresp[1] && !flushing && !rst, code: FAULT_AXI_READ, pc: o_pc[o_out], info: 32'(CHANNEL)};
  end

  stream_fifo #(
      .WIDTH(512),
      .DEPTH(FIFO)
  ) fifo (
      .clk,
      .rst,
      .clear,
      .w_valid(take && !flushing && !clear),
      .w_data(rdata),
      .r_valid(s_valid),
      .r_pop(s_pop),
      .r_data(s_data)
  );
endmodule
