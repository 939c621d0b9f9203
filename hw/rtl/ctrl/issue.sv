// Issue queue of one unit: holds operations in order, takes the two semaphores of the oldest, presents it to the unit
// and keeps the semaphores to raise until the unit says done. Does not count semaphores.
module issue
  import accllm_isa_pkg::uop_t;
  import accllm_ctrl_pkg::*;
#(
    parameter int DEPTH = 16,
    parameter int FLIGHT = 4
) (
    input  logic        clk,
    input  logic        rst,
    input  logic        clear,
    input  logic        in_valid,
    output logic        in_ready,
    input  op_t         in_op,
    output logic [ 3:0] want0,
    output logic [ 3:0] want1,
    input  logic        grant0,
    input  logic        grant1,
    output logic        start_valid,
    input  logic        start_ready,
    output uop_t        uop,
    input  logic        done,
    output logic [ 3:0] raise0,
    output logic [ 3:0] raise1,
    output logic        active,       // anything queued or running
    output logic        running,
    output logic        waiting,      // the next operation waits for a semaphore
    output logic [15:0] pc            // oldest operation that runs, else the next
);
  localparam int DW = $clog2(DEPTH);
  localparam int FW = $clog2(FLIGHT);
  typedef struct packed {
    logic [3:0]  sig1;
    logic [3:0]  sig0;
    logic [15:0] pc;
  } flight_t;

  op_t queue[DEPTH];
  op_t head;
  flight_t flight[FLIGHT];
  logic [DW-1:0] q_read, q_write;
  logic [DW:0] q_count;
  logic [FW-1:0] f_read, f_write;
  logic [FW:0] f_count;
  logic head_valid, need0, need1;

  wire take = start_valid && start_ready;
  wire refill = q_count != 0 && (!head_valid || take);
  wire push = in_valid && in_ready;
  wire retire = done && f_count != 0;
  op_t next;
  assign next = queue[q_read];

  assign in_ready = q_count != (DW + 1)'(DEPTH);
  assign want0 = head_valid && need0 ? head.wait0 : 4'd0;
  assign want1 = head_valid && need1 ? head.wait1 : 4'd0;
  assign start_valid = head_valid && !need0 && !need1 && f_count != (FW + 1)'(FLIGHT);
  assign uop = head.uop;
  assign raise0 = retire ? flight[f_read].sig0 : 4'd0;
  assign raise1 = retire ? flight[f_read].sig1 : 4'd0;
  assign running = f_count != 0;
  assign active = running || head_valid || q_count != 0;
  assign waiting = head_valid && (need0 || need1);
  assign pc = running ? flight[f_read].pc : head.uop.pc;

  always_ff @(posedge clk) begin
    if (push) queue[q_write] <= in_op;
    if (refill) head <= next;
    if (take) flight[f_write] <= '{sig1: head.sig1, sig0: head.sig0, pc: head.uop.pc};
    if (rst || clear) begin
      {q_read, q_write, q_count, f_read, f_write, f_count} <= '0;
      {head_valid, need0, need1} <= '0;
    end else begin
      if (push) q_write <= q_write + 1'b1;
      if (refill) q_read <= q_read + 1'b1;
      if (push != refill) q_count <= push ? q_count + 1'b1 : q_count - 1'b1;
      if (refill) begin
        head_valid <= 1'b1;
        need0 <= next.wait0 != 0;
        need1 <= next.wait1 != 0;
      end else begin
        if (take) head_valid <= 1'b0;
        if (grant0) need0 <= 1'b0;
        if (grant1) need1 <= 1'b0;
      end
      if (take) f_write <= f_write + 1'b1;
      if (retire) f_read <= f_read + 1'b1;
      if (take != retire) f_count <= take ? f_count + 1'b1 : f_count - 1'b1;
    end
  end
endmodule
