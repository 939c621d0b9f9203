// Runs one operation at a time: one pass over its words, what follows the last word, and the wait until its effects are
// visible. The next operation is prepared beside it (vec_front). One may begin before the end: an ATTQ after a SOFTMAX of which
// only the reciprocals of its sums are missing (its tail), if it reads others. Does not compute addresses or data.
//
//   IDLE (-> ASK) -> RUN -> DRAIN (-> LAST) (-> SYNC) -> IDLE
module vec_ctrl
  import accllm_isa_pkg::*;
  import accllm_regs_pkg::*;
  import accllm_types_pkg::*;
  import accllm_vec_pkg::*;
(
    input  logic           clk,
    input  logic           rst,         // reset or clear
    input  logic           flush,       // after them, or a fault: everything is being emptied
    input  logic           next_valid,
    input  logic           valid_next,  // it, a cycle before
    output logic           next_ready,
    input  vnext_t         next,
    output logic           idle,
    output logic           starts,      // `next` is taken while nothing runs
    output logic [INITS-1:0] init,      // `next` is taken: loop values are loaded, also of one that is bad or empty
    output uop_t           uop,
    (* keep *) output vop_t op,         // not one with the copies of its bits elsewhere
    output vsetup_t        setup,
    output logic           tail,        // the SOFTMAX before is not done yet
    output vop_t           ending,      // operation whose last effects come: it, or the one that runs
    output logic    [ 31:0] seq,        // its number
    input  logic    [  4:0] group,      // rows of a SOFTMAX
    output logic           drained,     // all steps have left the memories
    output logic           done,
    output fault_t         fault,
    output logic           rq_valid,
    input  logic           rq_ready,
    output logic   [ 31:0] rq_beat,
    output logic   [ 15:0] rq_beats,
    // Loop.
    output logic           run,         // steps may be made
    output logic           run_next,    // it, a cycle before
    input  logic           step,        // a step was issued
    input  logic           step_final,
    input  logic           onchip_bad,  // an address outside
    input  logic           write_bad,
    input  logic   [ 31:0] write_info,
    input  logic           axi_error,
    input  logic   [ 31:0] axi_info,
    input  logic           pipe_stays,  // something is or may be under way after this cycle, but
    input  logic           reduce_busy, // what the reductions have
    // After the loop.
    output logic           last_start,  // root of the sum
    input  logic           last_done,
    input  logic           sync,        // writes have arrived
    output logic           halt
);
  typedef enum logic [2:0] {IDLE, ASK, RUN, DRAIN, LAST, SYNC, HALT} state_t;
  state_t state, state_next;
  logic has_sync, plain;  // what follows the loop: writes, nothing; known long before its end
  (* keep *) logic pipe_busy;  // not one with its copies, nor are `fits`, `working` and `draining`

  // An ATTQ follows a SOFTMAX, and what that writes and this reads, `group` scalars each, lie apart; known a cycle after both.
  (* keep *) logic fits;
  (* keep *) logic working;   // not IDLE
  logic live;      // neither IDLE nor HALT
  logic finished;  // the last step has been made
  logic refused;   // the operation that was taken is at fault
  logic [7:0] refused_code;
  logic [31:0] refused_info;
  (* keep *) logic draining;  // in DRAIN, without a tail
  wire chain = draining && !pipe_busy && fits;
  logic [1:0] drain;  // cycles
  logic asked;        // auxiliary memory has taken the request
  wire broken = live && (onchip_bad || write_bad || axi_error);
  logic broke;  // a cycle before
  logic [7:0] broke_code;
  logic [31:0] broke_info;
  wire tail_next = chain || (tail && !done);
  wire quiet = !pipe_busy && !reduce_busy;

  assign idle = !working;
  assign next_ready = idle || chain;
  assign starts = next_valid && idle;
  assign halt = state == HALT;
  assign rq_valid = state == ASK && !asked && !rst;  // nothing is asked for after a clear, which auxiliary memory sees before
  assign rq_beat = setup.beat;
  assign rq_beats = op.i32 ? uop.n[19:4] : uop.n[20:5];
  assign drained = drain == 2'd3;

  always_comb begin
    state_next = state;
    case (state)
      IDLE: if (next_valid) state_next = next.refused ? HALT : next.empty ? IDLE : next.op.from_aux ? ASK : RUN;
      ASK: if (asked) state_next = RUN;
      RUN: if (finished) state_next = DRAIN;
      DRAIN:
      if (chain) state_next = RUN;
      else if (quiet) state_next = plain ? IDLE : has_sync ? SYNC : LAST;
      LAST: if (last_done) state_next = IDLE;
      SYNC: if (sync) state_next = IDLE;
      default: ;
    endcase
    if (broken) state_next = HALT;
    if (rst) state_next = IDLE;
  end

  // The same in terms of single flags, for what comes late and for what much hangs on.
  wire idles = !working && next_valid;
  wire leaves = (state == DRAIN && quiet && plain && !chain) || (state == LAST && last_done) || (state == SYNC && sync);
  wire working_next = !rst && (broken || (working && !leaves) || (idles && !next.empty));
  wire live_next = !rst && !broken && ((live && !leaves) || (idles && !next.empty && !next.refused));
  wire runs = !rst && !broken && ((idles && !next.empty && !next.refused && !next.op.from_aux) || (state == ASK && asked)
      || (state == RUN && !finished) || (state == DRAIN && chain));
  assign run_next = runs && !(step && step_final);
  // Thousands of registers load when an operation begins: everyone has what that hangs on in copies.
  wire draining_next = !rst && !broken && ((state == RUN && finished) || (state == DRAIN && !quiet && !chain)) && !tail_next;
  wire fits_next = next_valid && !next.refused && !next.empty && next.op.attq && op.softmax
      && (next.setup.scalar >= setup.scalar + 40'(group) || next.setup.scalar + 40'(group) <= setup.scalar);
  for (genvar i = 0; i < INITS; i++) begin : gen_init
    (* keep *) logic offered, works, drains, busy, apart;
    always_ff @(posedge clk) {offered, works, drains, busy, apart} <= {valid_next, working_next, draining_next, pipe_stays, fits_next};
    assign init[i] = offered && (!works || (drains && !busy && apart));
  end

  always_ff @(posedge clk) begin
    // Flags of their own, because much hangs on them.
    state <= state_next;
    working <= working_next;
    live <= live_next;
    has_sync <= op.qk || op.qv || op.store;
    plain <= !(op.qk || op.qv || op.store || op.sumsq);
    pipe_busy <= pipe_stays;
    run <= run_next;
    finished <= step && step_final;
    draining <= draining_next;
    fits <= fits_next;
    asked <= rq_valid && rq_ready;
    drain <= state != DRAIN ? '0 : drained ? drain : drain + 2'd1;
    refused <= starts && next.refused && !rst;
    broke <= broken && !rst;
    broke_code <= axi_error ? FAULT_AXI_WRITE : write_bad ? FAULT_WRITE_RANGE : FAULT_ONCHIP_RANGE;
    broke_info <= axi_error ? axi_info : write_bad ? write_info : uop.a;
    if (starts) {refused_code, refused_info} <= {next.bad, next.info};
    if (init[INIT_CONTROL]) {uop, op, setup} <= {next.uop, next.op, next.setup};
    // What ends: the operation that runs, or the one before, up to its end.
    if (starts) {ending, seq} <= {next.op, next.uop.seq};
    else if (tail && done) {ending, seq} <= {op, uop.seq};
    last_start <= state == DRAIN && quiet && !plain && !has_sync && !broken && !rst;
    if (rst) begin
      {done, tail} <= '0;
      fault <= '0;
    end else begin
      tail <= tail_next;
      done <= !broken && ((starts && !next.refused && next.empty)
           || leaves || (tail && !done && !reduce_busy));
      if (refused) fault <= '{valid: 1'b1, code: refused_code, pc: uop.pc, info: refused_info};
      if (broke) fault <= '{valid: 1'b1, code: broke_code, pc: uop.pc, info: broke_info};
      assert (!step || run) else $error("vector unit: a step without an operation");
      assert (!tail || state == RUN || state == DRAIN) else $error("vector unit: an operation ends before the one before it");
      assert (working == (state != IDLE) && live == (working && !halt) && (!run || state == RUN))
      else $error("vector unit: flags of the state");
      assert (flush || !(idle && (pipe_busy || reduce_busy))) else $error("vector unit: something under way between operations");
    end
  end
endmodule
