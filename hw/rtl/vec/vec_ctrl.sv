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
    output logic           next_ready,
    input  vnext_t         next,
    output logic           idle,
    output logic           init,        // `next` begins: loop values are loaded
    output uop_t           uop,
    output vop_t           op,
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
    output logic           run,
    input  logic           step,        // a step was issued
    input  logic           step_final,
    input  logic           onchip_bad,  // an address outside
    input  logic           write_bad,
    input  logic   [ 31:0] write_info,
    input  logic           axi_error,
    input  logic   [ 31:0] axi_info,
    input  logic           pipe_busy,   // something is under way, but
    input  logic           reduce_busy, // what the reductions have
    // After the loop.
    output logic           last_start,  // root of the sum
    input  logic           last_done,
    input  logic           sync,        // writes have arrived
    output logic           halt
);
  typedef enum logic [2:0] {IDLE, ASK, RUN, DRAIN, LAST, SYNC, HALT} state_t;
  state_t state;
  wire has_sync = op.qk || op.qv || op.store;
  wire begins = next.bad == FAULT_NONE && !next.empty;

  // What SOFTMAX writes and what ATTQ reads, `group` scalars each, lie apart; known a cycle after both.
  logic apart, next_known;
  wire chain = state == DRAIN && op.softmax && !pipe_busy && !tail && next_known && next_valid && begins && next.op.attq
            && apart;
  vop_t tail_op;
  logic [31:0] tail_seq;
  logic [2:0] draining;  // cycles

  assign idle = state == IDLE;
  assign next_ready = idle || chain;
  assign init = next_valid && begins && (idle || chain);
  assign run = state == RUN;
  assign halt = state == HALT;
  assign rq_valid = state == ASK;
  assign rq_beat = setup.beat;
  assign rq_beats = op.i32 ? uop.n[19:4] : uop.n[20:5];
  assign ending = tail ? tail_op : op;
  assign seq = tail ? tail_seq : uop.seq;
  assign drained = draining[2];

  always_ff @(posedge clk) begin
    done <= 1'b0;
    last_start <= 1'b0;
    next_known <= next_valid;
    apart <= next.setup.scalar >= setup.scalar + 40'(group) || next.setup.scalar + 40'(group) <= setup.scalar;
    draining <= state != DRAIN ? '0 : draining[2] ? draining : draining + 3'd1;
    if (rst) begin
      state <= IDLE;
      tail <= 1'b0;
      fault <= '0;
    end else begin
      case (state)
        IDLE:
        if (next_valid) begin
          {uop, op, setup} <= {next.uop, next.op, next.setup};
          if (next.bad != FAULT_NONE) begin
            fault <= '{valid: 1'b1, code: next.bad, pc: next.uop.pc, info: next.info};
            state <= HALT;
          end else if (next.empty) done <= 1'b1;
          else state <= next.op.from_aux ? ASK : RUN;
        end
        ASK: if (rq_ready) state <= RUN;
        RUN: if (step && step_final) state <= DRAIN;
        DRAIN:
        if (chain) begin
          {uop, op, setup} <= {next.uop, next.op, next.setup};
          {tail, tail_op, tail_seq} <= {1'b1, op, uop.seq};
          state <= RUN;
        end else if (!pipe_busy && !reduce_busy) begin
          if (op.sumsq) begin
            last_start <= 1'b1;
            state <= LAST;
          end else if (has_sync) state <= SYNC;
          else begin
            done <= 1'b1;
            state <= IDLE;
          end
        end
        LAST:
        if (last_done) begin
          done <= 1'b1;
          state <= IDLE;
        end
        SYNC:
        if (sync) begin
          done <= 1'b1;
          state <= IDLE;
        end
        default: ;
      endcase
      if (tail && done) tail <= 1'b0;
      else if (tail && !reduce_busy) done <= 1'b1;
      if (state != IDLE && state != HALT && (onchip_bad || write_bad || axi_error)) begin
        done <= 1'b0;
        fault <= '{valid: 1'b1, code: axi_error ? FAULT_AXI_WRITE : write_bad ? FAULT_WRITE_RANGE : FAULT_ONCHIP_RANGE,
                   pc: uop.pc, info: axi_error ? axi_info : write_bad ? write_info : uop.a};
        state <= HALT;
      end
      assert (!step || run) else $error("vector unit: a step without an operation");
      assert (!tail || run || state == DRAIN) else $error("vector unit: an operation ends before the one before it");
      assert (flush || !(idle && (pipe_busy || reduce_busy))) else $error("vector unit: something under way between operations");
    end
  end
endmodule
