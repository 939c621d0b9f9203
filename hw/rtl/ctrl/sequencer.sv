// Runs the program: fetches, adds registers to operands, executes control instructions, hands unit operations to the
// issue queues with their dispatch numbers. Three cycles an instruction (read registers, add, execute), two more after a
// jump, which must be fetched; the next one in order is fetched meanwhile. More while a queue is full.
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
  typedef enum logic [2:0] {IDLE, FETCH, WAIT, READ, ADD, EXECUTE, STOPPED} state_t;
  // What kind of instruction is in EXECUTE, as one bit each.
  typedef struct packed {
    logic matrix;
    logic vector;
    logic ends;     // END
    logic adds;     // ADD
    logic loop;     // LOOP with at least one round
    logic skip;     // LOOP with none
    logic again;    // ENDLOOP with rounds left
    logic leave;    // ENDLOOP of the last round
    logic setc;     // SETC
    logic fence;    // FENCE
    logic illegal;
  } kind_t;
  state_t state;
  kind_t kind;
  instr_t held;
  logic [31:0] regs[REGISTERS], value_a, value_b, value_c, value_n, value_m;
  logic [15:0] loop_pc[LOOP_DEPTH];
  logic [31:0] loop_left[LOOP_DEPTH];
  logic [LW:0] depth;
  logic [31:0] seq;
  logic [CONSTS-1:0][31:0] const_words;
  logic outside, step;
  (* keep *) logic begun, begun_regs;  // the run has begun; a copy, for the registers
  logic at_matrix, at_vector;  // in EXECUTE, and of that kind
  // In the first cycle of EXECUTE: the register that ADD writes, the loop that LOOP opens, that ENDLOOP repeats, or leaves.
  logic [REGISTERS-1:0] target;
  logic [LOOP_DEPTH-1:0] opens, repeats;
  logic leaves;
  logic [CONSTS-1:0] sets;  // the constant that SETC writes
  logic [31:0] top_left;
  logic [15:0] loop_start;
  logic [LW-1:0] top;
  wire executing = state == EXECUTE && enable;
  wire jumps = kind.skip || kind.again;
  wire complete = executing && !kind.illegal && step;

  assign consts = consts_t'(const_words);
  assign mat_valid = at_matrix && enable;
  assign vec_valid = at_vector && enable;
  always_comb begin
    top = '1;
    for (int i = 0; i < LOOP_DEPTH; i++) if (depth == (LW + 1)'(i + 1)) top = LW'(i);
  end
  assign executed = complete;
  assign finished = complete && kind.ends;
  // The instruction after this one is read while this one is in READ, so that it is there when this one is through.
  assign imem_en = state == FETCH || state == READ;
  assign imem_addr = $clog2(IMEM)'(pc + 16'(state == READ));

  always_comb begin
    step = !(kind.matrix && !mat_ready) && !(kind.vector && !vec_ready)
        && !((kind.ends || kind.fence || kind.setc) && !units_idle);
  end

  // READ: registers. ADD: operands, and what the instruction is.
  kind_t next_kind;
  wire [31:0] rounds = 32'(held.n) + value_n;
  // A sum is 0 when every bit is what the two below it, or the two ones beside them, make of it: no carry has to run.
  wire [31:0] count_n = 32'(held.n);
  wire no_rounds = (count_n ^ value_n) == {count_n[30:0] | value_n[30:0], 1'b0};
  // The depth, from registers: it has not changed since READ.
  logic [LOOP_DEPTH-1:0] at_top, at_depth;
  logic deepest, outermost;
  always_ff @(posedge clk) begin
    for (int i = 0; i < LOOP_DEPTH; i++) begin
      at_top[i] <= depth == (LW + 1)'(i + 1);
      at_depth[i] <= depth == (LW + 1)'(i);
    end
    deepest <= depth == (LW + 1)'(LOOP_DEPTH);
    outermost <= depth == 0;
  end
  always_comb begin
    next_kind = '0;
    next_kind.matrix = is_matrix(held.op);
    next_kind.vector = is_vector(held.op);
    case (held.op)
      OP_END: next_kind.ends = 1'b1;
      OP_FENCE: next_kind.fence = 1'b1;
      OP_ADD: {next_kind.adds, next_kind.illegal} = held.x < 8'(REGISTERS) ? 2'b10 : 2'b01;
      OP_LOOP: {next_kind.skip, next_kind.loop, next_kind.illegal} = no_rounds ? 3'b100 : deepest ? 3'b001 : 3'b010;
      OP_ENDLOOP: {next_kind.again, next_kind.leave, next_kind.illegal} = outermost ? 3'b001 : top_left != 0 ? 3'b100 : 3'b010;
      OP_SETC: {next_kind.setc, next_kind.illegal} = held.x < 8'(CONSTS) ? 2'b10 : 2'b01;
      default: next_kind.illegal = !next_kind.matrix && !next_kind.vector;
    endcase
  end

  always_ff @(posedge clk) begin
    if (state == READ) begin
      held <= imem_data;
      value_a <= regs[imem_data.ra];
      value_b <= regs[imem_data.rb];
      value_c <= regs[imem_data.rc];
      value_n <= regs[imem_data.rn];
      value_m <= regs[imem_data.rm];
      top_left <= loop_left[top];
      loop_start <= loop_pc[top];
      outside <= pc >= length;
    end
    if (state == ADD) begin
      kind <= next_kind;
      for (int i = 0; i < CONSTS; i++) sets[i] <= next_kind.setc && held.x == 8'(i);
      pfw <= held.pfw;
      op <= '{
          sig1: held.sig1,
          sig0: held.sig0,
          wait1: held.wait1,
          wait0: held.wait0,
          uop: '{
              seq: seq,
              pc: pc,
              op: held.op,
              flags: held.flags,
              a: held.a + value_a,
              b: held.b + value_b,
              c: held.c + value_c,
              n: rounds,
              m: 32'(held.m) + value_m,
              k: held.k,
              sh: held.sh,
              x: held.x,
              aux: held.aux
          }
      };
    end
  end

  always_ff @(posedge clk) begin
    for (int i = 0; i < REGISTERS; i++) begin
      if (begun_regs) regs[i] <= i > 0 && i <= ARGS ? args[i-1] : '0;
      else if (i > 0 && target[i]) regs[i] <= op.uop.a + op.uop.b;
    end
  end

  always_ff @(posedge clk) begin
    fault <= '0;
    {begun, begun_regs} <= {2{start && !rst}};
    at_matrix <= !rst && !start && !begun && (state == ADD ? next_kind.matrix && !(outside && enable) : at_matrix && !complete);
    at_vector <= !rst && !start && !begun && (state == ADD ? next_kind.vector && !(outside && enable) : at_vector && !complete);
    if (rst) begin
      state <= IDLE;
      pc <= '0;
      const_words <= '0;
    end else begin
      unique case (state)
        FETCH: state <= WAIT;
        WAIT: state <= READ;
        READ: state <= ADD;
        ADD: begin
          state <= EXECUTE;
          if (outside && enable) begin
            state <= STOPPED;
            fault <= '{valid: 1'b1, code: FAULT_PROGRAM, pc: pc, info: 32'(length)};
          end
        end
        EXECUTE: begin
          if (executing && kind.illegal) begin
            state <= STOPPED;
            fault <= '{valid: 1'b1, code: FAULT_ILLEGAL, pc: pc, info: 32'(op.uop.op)};
          end
          if (complete) begin
            state <= kind.ends ? IDLE : jumps ? FETCH : READ;
            pc <= kind.again ? loop_start : kind.skip ? (op.uop.a[31:16] != 0 ? '1 : op.uop.a[15:0]) : pc + 16'd1;
          end
        end
        default: ;
      endcase
      for (int i = 0; i < REGISTERS; i++) target[i] <= state == ADD && next_kind.adds && held.x == 8'(i);
      leaves <= state == ADD && next_kind.leave && !outside;
      for (int i = 0; i < LOOP_DEPTH; i++) begin
        opens[i] <= state == ADD && next_kind.loop && !outside && at_depth[i];
        repeats[i] <= state == ADD && next_kind.again && !outside && at_top[i];
        if (opens[i]) loop_pc[i] <= pc + 16'd1;
        if (opens[i]) loop_left[i] <= op.uop.n - 32'd1;
        else if (repeats[i]) loop_left[i] <= top_left - 32'd1;
      end
      // ADD and loops wait for nothing: they are made in the first cycle of EXECUTE, whether the run has been stopped or not,
      // since the next one begins anew.
      if (opens != 0) depth <= depth + 1'b1;
      if (leaves) depth <= depth - 1'b1;
      if (enable && ((at_matrix && mat_ready) || (at_vector && vec_ready))) seq <= seq + 32'd1;
      for (int i = 0; i < CONSTS; i++) if (executing && units_idle && sets[i]) const_words[i] <= op.uop.a;
      // The registers are loaded a cycle after the start, so that the start does not reach a thousand of them at once; what
      // a stopped run left must not be executed meanwhile.
      if (start) state <= IDLE;
      if (begun) begin
        state <= FETCH;
        pc <= '0;
        seq <= '0;
        depth <= '0;
      end
      assert (!(mat_valid && vec_valid)) else $error("an operation for two units");
      assert (!executing || $onehot(kind)) else $error("an instruction of two kinds");
      assert (depth <= (LW + 1)'(LOOP_DEPTH)) else $error("loop stack depth %0d", depth);
    end
  end

  wire unused = &{1'b0, imem_data.zero16, held.zero16, held.ra, held.rb, held.rc, held.rn, held.rm};
endmodule
