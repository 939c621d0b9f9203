// The 64-bit counters of docs/registers.md, in that order from CYCLES on; cleared when a run begins. What counts is taken
// into registers first, so the counters are one cycle late. Does not decide what an event is.
module counters
  import accllm_ctrl_pkg::*;
(
    input  logic           clk,
    input  logic           rst,
    input  logic           begin_run,
    input  logic           running,
    input  events_t        events,
    input  logic           mat_wait,
    input  logic           mat_idle,
    input  logic           vec_busy,
    input  logic           vec_wait,
    input  logic           prefetch_wait,
    input  logic           executed,
    input  logic           enable,                   // operations that end after a fault do not count
    input  logic           mat_done,
    input  logic           vec_done,
    output logic    [63:0] counters     [COUNTERS]
);
  localparam int BEATS_READ = 8, BEATS_WRITTEN = 9;
  logic [COUNTERS-1:0] on;
  logic [5:0] read, written;

  always_ff @(posedge clk) begin
    on <= {enable && vec_done, enable && mat_done, executed, prefetch_wait, events.aux_written, events.aux_read,
           2'b00, vec_wait, vec_busy, mat_idle, events.mat_stall_out, mat_wait, events.mat_stall_stream,
           events.mat_busy, 1'b1};
    read <= events.beats_read;
    written <= events.beats_written;
    if (rst || begin_run || !running) {on, read, written} <= '0;
  end

  for (genvar i = 0; i < COUNTERS; i++) begin : gen_counter
    wire [5:0] step = i == BEATS_READ ? read : i == BEATS_WRITTEN ? written : 6'(on[i]);
    always_ff @(posedge clk) begin
      if (rst || begin_run) counters[i] <= '0;
      else counters[i] <= counters[i] + 64'(step);
    end
  end
endmodule
