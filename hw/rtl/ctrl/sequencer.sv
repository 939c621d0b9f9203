// Runs the program: fetches, adds registers to operands, executes control instructions, hands unit operations to the
// issue queues with their dispatch numbers. Two cycles an instruction, more while a queue is full.
// Checks opcodes, loop nesting and the program's end. Does not know semaphores and does not check what units check.
module sequencer
  import accllm_isa_pkg::*;
  import accllm_regs_pkg::*;
  import accllm_types_pkg::*;
  import accllm_ctrl_pkg::*;
#(
    parameter int IMEM = 512
) (
    input  logic                           clk,
    input  logic                           rst,
    input  logic                           start,        // pulse: registers from `args`, pc 0
    input  logic                           enable,       // falls with a fault: nothing more is dispatched
    input  logic    [                31:0] args   [15],
    input  logic    [                15:0] length,
    output logic                           imem_en,
    output logic    [    $clog2(IMEM)-1:0] imem_addr,
    input  instr_t                         imem_data,
    output logic                           mat_valid,
    input  logic                           mat_ready,
    output logic                           vec_valid,
    input  logic                           vec_ready,
    output op_t                            op,
    output logic    [                 3:0] pfw,
    input  logic                           units_idle,
    output consts_t                        consts,
    output logic                           finished,     // pulse
    output logic                           executed,     // pulse: an instruction is complete
    output logic    [                15:0] pc,
    output fault_t                         fault
);
  localparam int CONSTS = 9;
  localparam int LW = $clog2(LOOP_DEPTH);
  typedef enum logic [2:0] {IDLE, FETCH, DECODE, EXECUTE, STOPPED} state_t;
  state_t state;
  logic [31:0] regs[REGISTERS];
  logic [15:0] loop_pc[LOOP_DEPTH];
  logic [31:0] loop_left[LOOP_DEPTH];
  logic [LW:0] depth;
  logic [31:0] seq;
  logic [CONSTS-1:0][31:0] const_words;
  logic illegal, step;
  logic [15:0] pc_next;
  wire [LW-1:0] top = LW'(depth - 1'b1);
  wire executing = state == EXECUTE && enable;
  wire loop_again = loop_left[top] != 0;
  wire [7:0] code = op.uop.op;
  wire matrix = is_matrix(code);
  wire vector = is_vector(code);

  assign consts = consts_t'(const_words);
  assign mat_valid = executing && matrix;
  assign vec_valid = executing && vector;
  assign executed = executing && step && !illegal;
  assign finished = executed && code == OP_END;
  assign imem_en = state == FETCH || executed;
  assign imem_addr = $clog2(IMEM)'(state == FETCH ? pc : pc_next);

  // What the instruction in EXECUTE does: can it complete in this cycle, is it legal, where does it go on.
  always_comb begin
    step = 1'b1;
    illegal = 1'b0;
    pc_next = pc + 16'd1;
    case (code)
      OP_END, OP_FENCE: step = units_idle;
      OP_ADD: illegal = op.uop.x >= 8'(REGISTERS);
      OP_LOOP: begin
        illegal = op.uop.n != 0 && depth == (LW + 1)'(LOOP_DEPTH);
        if (op.uop.n == 0) pc_next = op.uop.a > 32'hffff ? 16'hffff : op.uop.a[15:0];
      end
      OP_ENDLOOP: begin
        illegal = depth == 0;
        if (loop_again) pc_next = loop_pc[top];
      end
      OP_SETC: begin
        step = units_idle;
        illegal = op.uop.x >= 8'(CONSTS);
      end
      default: begin
        step = matrix ? mat_ready : vec_ready;
        illegal = !matrix && !vector;
      end
    endcase
  end

  always_ff @(posedge clk) begin
    fault <= '0;
    if (rst) begin
      state <= IDLE;
      pc <= '0;
      const_words <= '0;
    end else begin
      unique case (state)
        FETCH: state <= DECODE;
        DECODE: begin
          state <= EXECUTE;
          op <= '{
              sig1: imem_data.sig1,
              sig0: imem_data.sig0,
              wait1: imem_data.wait1,
              wait0: imem_data.wait0,
              uop: '{
                  seq: seq,
                  pc: pc,
                  op: imem_data.op,
                  flags: imem_data.flags,
                  a: imem_data.a + regs[imem_data.ra],
                  b: imem_data.b + regs[imem_data.rb],
                  c: imem_data.c + regs[imem_data.rc],
                  n: 32'(imem_data.n) + regs[imem_data.rn],
                  m: 32'(imem_data.m) + regs[imem_data.rm],
                  k: imem_data.k,
                  sh: imem_data.sh,
                  x: imem_data.x,
                  aux: imem_data.aux
              }
          };
          pfw <= imem_data.pfw;
          if (pc >= length && enable) begin
            state <= STOPPED;
            fault <= '{valid: 1'b1, code: FAULT_PROGRAM, pc: pc, info: 32'(length)};
          end
        end
        EXECUTE:
        if (enable) begin
          if (illegal) begin
            state <= STOPPED;
            fault <= '{valid: 1'b1, code: FAULT_ILLEGAL, pc: pc, info: 32'(code)};
          end else if (step) begin
            state <= DECODE;
            pc <= pc_next;
            case (code)
              OP_END: state <= IDLE;
              OP_ADD: if (op.uop.x != 0) regs[op.uop.x[4:0]] <= op.uop.a + op.uop.b;
              OP_LOOP:
              if (op.uop.n != 0) begin
                loop_pc[depth[LW-1:0]] <= pc + 16'd1;
                loop_left[depth[LW-1:0]] <= op.uop.n - 32'd1;
                depth <= depth + 1'b1;
              end
              OP_ENDLOOP:
              if (loop_again) loop_left[top] <= loop_left[top] - 32'd1;
              else depth <= depth - 1'b1;
              OP_SETC: const_words[op.uop.x[3:0]] <= op.uop.a;
              OP_FENCE: ;
              default: seq <= seq + 32'd1;
            endcase
          end
        end
        default: ;
      endcase
      if (start) begin
        state <= FETCH;
        pc <= '0;
        seq <= '0;
        depth <= '0;
        for (int i = 0; i < REGISTERS; i++) regs[i] <= i > 0 && i <= ARGS ? args[i-1] : '0;
      end
      assert (!(mat_valid && vec_valid)) else $error("an operation for two units");
      assert (depth <= (LW + 1)'(LOOP_DEPTH)) else $error("loop stack depth %0d", depth);
    end
  end

  wire unused = &{1'b0, imem_data.zero16};
endmodule
