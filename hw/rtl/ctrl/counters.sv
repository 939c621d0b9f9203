// The 64-bit counters of docs/registers.md, in that order from CYCLES on; cleared when a run begins.
// Does not decide what an event is.
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
  logic [COUNTERS-1:0] on;
  assign on = {enable && vec_done, enable && mat_done, executed, prefetch_wait, events.aux_written, events.aux_read,
               2'b00, vec_wait, vec_busy, mat_idle, events.mat_stall_out, mat_wait, events.mat_stall_stream,
               events.mat_busy, 1'b1};

  always_ff @(posedge clk) begin
    if (rst || begin_run) begin
      for (int i = 0; i < COUNTERS; i++) counters[i] <= '0;
    end else if (running) begin
      for (int i = 0; i < COUNTERS; i++) begin
        if (on[i]) counters[i] <= counters[i] + 64'd1;
      end
      if (events.beats_read != 0) counters[8] <= counters[8] + 64'(events.beats_read);
      if (events.beats_written != 0) counters[9] <= counters[9] + 64'(events.beats_written);
    end
  end
endmodule
