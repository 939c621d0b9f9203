// Runs one operation at a time: setup, one pass over its words, what follows the last word, and the wait until its
// effects are visible. Does not compute addresses or data.
//
//   IDLE -> CHECK -> INIT (-> TOKEN -> PLACE) (-> ASK) -> RUN -> DRAIN (-> LAST) -> SYNC -> IDLE
module vec_ctrl
  import accllm_isa_pkg::*;
  import accllm_regs_pkg::*;
  import accllm_types_pkg::*;
  import accllm_vec_pkg::*;
#(
    parameter int VEC = 8
) (
    input  logic           clk,
    input  logic           rst,
    input  logic           clear,
    input  logic           start_valid,
    output logic           start_ready,
    input  uop_t           start_uop,
    output logic           done,
    output logic           busy,
    output fault_t         fault,
    output uop_t           uop,
    output vop_t           op,
    // Setup.
    output logic           checking,    // CHECK: operands are stable
    output logic           init,        // INIT: loop values are loaded
    input  logic           empty,
    input  logic   [  7:0] bad,
    input  logic           bad_late,
    input  logic   [ 31:0] token,
    input  logic   [ 63:0] product,
    output logic           rq_valid,
    input  logic           rq_ready,
    output logic   [ 31:0] rq_beat,
    output logic   [ 15:0] rq_beats,
    // Loop.
    output logic           run,
    input  logic           step,        // a step was issued
    input  logic           step_final,
    input  logic           source_bad,
    input  logic           target_bad,
    input  logic           write_bad,
    input  logic   [ 31:0] write_info,
    input  logic           axi_error,
    input  logic   [ 31:0] axi_info,
    input  logic           pipe_busy,
    // After the loop.
    output logic           last_start,  // root of the sum
    input  logic           last_done,   // it, or the reciprocal of the last row's sum
    input  logic           sync,        // writes have arrived
    output logic           halt
);
  typedef enum logic [3:0] {IDLE, CHECK, INIT, TOKEN, PLACE, ASK, RUN, DRAIN, LAST, SYNC, HALT} state_t;
  state_t state;
  vop_t decoded;
  vec_decode #(.VEC(VEC)) u_decode (.code(start_uop.op), .flags(start_uop.flags), .op(decoded));

  wire has_last = op.sumsq || op.softmax;
  wire has_sync = op.qk || op.qv || op.store;
  wire [47:0] embed_beat = {16'd0, uop.a} + product[47:0];

  assign start_ready = state == IDLE;
  assign busy = state != IDLE && state != HALT;
  assign checking = state == CHECK;
  assign init = state == INIT;
  assign run = state == RUN;
  assign halt = state == HALT;
  assign rq_valid = state == ASK;
  assign rq_beats = op.i32 ? uop.n[19:4] : uop.n[20:5];

  always_ff @(posedge clk) begin
    done <= 1'b0;
    last_start <= 1'b0;
    if (rst || clear) begin
      state <= IDLE;
      fault <= '0;
    end else begin
      case (state)
        IDLE:
        if (start_valid) begin
          uop <= start_uop;
          op <= decoded;
          state <= CHECK;
        end
        CHECK:
        if (bad != FAULT_NONE) begin
          fault <= '{valid: 1'b1, code: bad, pc: uop.pc, info: uop.a};
          state <= HALT;
        end else if (empty) begin
          done <= 1'b1;
          state <= IDLE;
        end else state <= INIT;
        INIT: begin
          rq_beat <= uop.a;
          if (bad_late) begin
            fault <= '{valid: 1'b1, code: FAULT_ONCHIP_RANGE, pc: uop.pc, info: product[31:0]};
            state <= HALT;
          end else state <= op.embed ? TOKEN : op.load ? ASK : RUN;
        end
        TOKEN:
        if (token >= uop.aux) begin
          fault <= '{valid: 1'b1, code: FAULT_AUX_RANGE, pc: uop.pc, info: token};
          state <= HALT;
        end else state <= PLACE;
        PLACE: begin
          rq_beat <= embed_beat[31:0];
          if (embed_beat[47:32] != 0) begin
            fault <= '{valid: 1'b1, code: FAULT_AUX_RANGE, pc: uop.pc, info: embed_beat[31:0]};
            state <= HALT;
          end else state <= ASK;
        end
        ASK: if (rq_ready) state <= RUN;
        RUN: if (step && step_final) state <= DRAIN;
        DRAIN:
        if (!pipe_busy) begin
          if (has_last) begin
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
      if (busy && (source_bad || target_bad || write_bad || axi_error)) begin
        done <= 1'b0;
        fault <= '{valid: 1'b1, code: axi_error ? FAULT_AXI_WRITE : write_bad ? FAULT_WRITE_RANGE : FAULT_ONCHIP_RANGE,
                   pc: uop.pc, info: axi_error ? axi_info : write_bad ? write_info : uop.a};
        state <= HALT;
      end
      assert (!start_valid || !start_ready || is_vector(start_uop.op)) else $error("vector unit: opcode %h", start_uop.op);
    end
  end

  wire unused = &{1'b0, product[63:48]};
endmodule
