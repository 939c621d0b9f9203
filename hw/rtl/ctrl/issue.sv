// Issue queue of one unit: holds operations in order, takes the two semaphores of the oldest, presents it to the unit
// and keeps the semaphores to raise until the unit says done. Does not count semaphores: it asks for them, one bit each.
// Operations wait in block RAM, the next one in the RAM's read register, the oldest in `head`; one that comes while the
// queue is empty goes to `head` at once. Operations start every second cycle at most.
module issue
  import accllm_isa_pkg::uop_t;
  import accllm_isa_pkg::SEMAPHORES;
  import accllm_ctrl_pkg::*;
#(
    parameter int DEPTH = 16,
    parameter int FLIGHT = 4
) (
    input  logic                  clk,
    input  logic                  rst,
    input  logic                  clear,
    input  logic                  in_valid,
    output logic                  in_ready,
    input  op_t                   in_op,
    output logic [SEMAPHORES:1]   ask0,
    output logic [SEMAPHORES:1]   ask1,
    input  logic                  grant0,
    input  logic                  grant1,
    (* keep *) output logic       start_valid,   // not one with its copy
    input  logic                  start_ready,
    output uop_t                  uop,
    input  logic                  done,
    output raise_t                raise0,
    output raise_t                raise1,
    output logic                  active,       // anything queued or running
    output logic                  running,
    output logic                  waiting,      // the next operation waits for a semaphore
    output logic [15:0]           pc            // oldest operation that runs, else the next
);
  localparam int DW = $clog2(DEPTH);
  localparam int FW = $clog2(FLIGHT);
  typedef struct packed {
    logic [3:0]  sig1;
    logic [3:0]  sig0;
    logic [15:0] pc;
  } flight_t;

  // An operation whose semaphores are in `ask0` and `ask1`.
  typedef struct packed {
    logic [3:0] sig1;
    logic [3:0] sig0;
    uop_t       uop;
  } head_t;

  // An operation that waits, and whether it needs its semaphores, so that this is known when it comes out of the memory.
  typedef struct packed {
    logic need1;
    logic need0;
    op_t  op;
  } entry_t;
  (* ram_style = "block" *) entry_t queue[DEPTH];
  entry_t entry;
  op_t next;
  assign next = entry.op;
  wire in_need0 = in_op.wait0 != 0, in_need1 = in_op.wait1 != 0;
  head_t head;
  flight_t flight[FLIGHT];
  logic [DW-1:0] q_read, q_write;
  logic [DW:0] q_count;
  logic [FW-1:0] f_read, f_write;
  logic [FW:0] f_count;
  (* keep *) logic next_valid, head_valid;
  logic f_full, q_some;
  logic offered;  // for the assertion
  logic need0, need1;  // ask0, ask1 are not zero
  logic next_free;     // `next` waits for nothing

  // Copies, which alone decide what the head holds.
  (* keep *) logic head_held, head_offered, head_next;
  wire head_loads = !head_held || (head_offered && start_ready);

  wire take = start_valid && start_ready;
  wire push = in_valid && in_ready;
  wire retire = done && running;
  wire vacant = !head_valid || take;
  wire direct = push && !q_some && !next_valid && !head_valid;
  wire store = push && !direct;
  wire refill = next_valid && vacant;
  wire fetch = q_some && !next_valid;
  // No place among the running ones in the next cycle, if the head is taken or not.
  wire fills_taken = !retire && f_count == (FW + 1)'(FLIGHT - 1);
  wire fills_kept = !retire && f_count == (FW + 1)'(FLIGHT);
  flight_t oldest, oldest_next;
  wire f_none = f_count == 0, f_one = f_count == (FW + 1)'(1);
  logic [SEMAPHORES:1] oldest0, oldest1;  // its semaphores
  wire [FW-1:0] f_after = f_read + 1'b1;

  assign in_ready = !q_count[DW];
  assign uop = head.uop;
  assign raise0 = '{valid: retire, which: oldest0, index: oldest.sig0, pc: oldest.pc};
  assign raise1 = '{valid: retire, which: oldest1, index: oldest.sig1, pc: oldest.pc};
  assign waiting = need0 || need1;
  assign next_free = !entry.need0 && !entry.need1;
  assign active = running || head_valid || next_valid || q_some;
  assign pc = running ? oldest.pc : head.uop.pc;

  assign oldest_next = f_none || f_one ? '{sig1: head.sig1, sig0: head.sig0, pc: head.uop.pc} : flight[f_after];

  function automatic logic [SEMAPHORES:1] one_hot(input logic [3:0] index);
    for (int i = 1; i <= SEMAPHORES; i++) one_hot[i] = index == 4'(i);
  endfunction

  always_ff @(posedge clk) begin
    if (store) queue[q_write] <= '{need1: in_need1, need0: in_need0, op: in_op};
    if (fetch) entry <= queue[q_read];
    if (head_loads) begin  // anything, if there is nothing
      head <= head_next ? '{sig1: next.sig1, sig0: next.sig0, uop: next.uop} : '{sig1: in_op.sig1, sig0: in_op.sig0, uop: in_op.uop};
    end
    if (take) flight[f_write] <= '{sig1: head.sig1, sig0: head.sig0, pc: head.uop.pc};
    // The head is the next oldest one if no other runs: anything, until it is taken.
    if (retire || f_none) begin
      oldest <= oldest_next;
      {oldest1, oldest0} <= {one_hot(oldest_next.sig1), one_hot(oldest_next.sig0)};
    end
  end

  // Offered when the head needs nothing more and its place is free: a register, because every unit looks at it.
  wire next_next = fetch || (next_valid && !refill);
  wire held_next = direct || refill || (head_valid && !take);
  wire granted = (!need0 || grant0) && (!need1 || grant1);
  wire in_free = !in_need0 && !in_need1;
  wire [SEMAPHORES:1] ask0_next = next_valid ? one_hot(next.wait0) : direct ? one_hot(in_op.wait0) : '0;
  wire [SEMAPHORES:1] ask1_next = next_valid ? one_hot(next.wait1) : direct ? one_hot(in_op.wait1) : '0;
  wire offer_taken = !fills_taken && next_valid && next_free;
  wire offer_kept = !fills_kept && (head_valid ? granted : direct ? in_free : next_valid && next_free);
  wire offer_next = take ? offer_taken : offer_kept;
  always_ff @(posedge clk) begin
    {head_held, head_offered, head_next} <= rst || clear ? '0 : {held_next, offer_next, next_next};
    if (rst || clear) begin
      {q_read, q_write, q_count, q_some, f_read, f_write, f_count} <= '0;
      {next_valid, head_valid, offered, running, f_full, ask0, ask1, need0, need1, start_valid} <= '0;
    end else begin
      q_write <= q_write + DW'(store);
      q_read <= q_read + DW'(fetch);
      if (store != fetch) q_count <= q_count + (fetch ? '1 : (DW + 1)'(1));
      q_some <= store || (fetch ? q_count > (DW + 1)'(1) : q_some);
      next_valid <= next_next;
      head_valid <= held_next;
      // Of the operation that comes to the head, if one does.
      if (vacant) begin
        {ask0, need0} <= {ask0_next, next_valid ? entry.need0 : direct && in_need0};
        {ask1, need1} <= {ask1_next, next_valid ? entry.need1 : direct && in_need1};
      end else begin
        {ask0, need0} <= {ask0, need0} & ~{(SEMAPHORES + 1) {grant0}};
        {ask1, need1} <= {ask1, need1} & ~{(SEMAPHORES + 1) {grant1}};
      end
      start_valid <= offer_next;
      f_write <= f_write + FW'(take);
      f_read <= f_read + FW'(retire);
      f_count <= f_count + (FW + 1)'(take) - (FW + 1)'(retire);
      running <= take || (running && !(retire && f_count == (FW + 1)'(1)));
      f_full <= take ? fills_taken : fills_kept;
      offered <= start_valid && !start_ready;
      assert (!offered || start_valid) else $error("issue: an operation that the unit did not take is no longer offered");
      assert (!store || !q_count[DW]) else $error("issue: an operation is pushed into a full queue");
      assert (q_some == (q_count != 0)) else $error("issue: q_some with %0d operations in the queue", q_count);
      assert (!(take && f_full)) else $error("issue: more than %0d operations run", FLIGHT);
      assert (running == (f_count != 0)) else $error("issue: running with %0d operations in flight", f_count);
      assert ($onehot0(ask0) && $onehot0(ask1)) else $error("issue: one operation asks for several semaphores");
      assert (need0 == (ask0 != 0) && need1 == (ask1 != 0)) else $error("issue: need and ask differ");
      assert (!(grant0 && ask0 == 0) && !(grant1 && ask1 == 0)) else $error("issue: a semaphore that nobody asked for");
    end
  end
endmodule
