// Takes the next operation while the one before may still run, and makes it ready: decodes it, turns operands and unit
// constants into the values of its loops, and checks what can be checked before it runs (constants, alignment, scalar
// addresses). Three cycles; six where two operands are multiplied. EMBED waits until nothing runs, reads its token from
// vector memory and goes through the multiplier once more, and its beat is checked in one cycle more. Does not check addresses that depend on the position in a loop.
module vec_front
  import accllm_isa_pkg::*;
  import accllm_regs_pkg::*;
  import accllm_types_pkg::*;
  import accllm_vec_pkg::*;
#(
    parameter int CHANNELS = 2,
    parameter int LANES = 2,
    parameter int VEC = 8,
    parameter int VMEM = 1 << 16,
    parameter int SBUF = 1 << 12,
    parameter int SCALARS = 256
) (
    input  logic               clk,
    input  logic               rst,
    input  logic               start_valid,
    output logic               start_ready,
    input  uop_t               start_uop,
    input  consts_t            consts,
    input  logic               scan_idle_next,  // all rows of the SOFTMAX before have been scanned after this cycle
    output logic               take,         // an operation is taken
    input  logic               run_idle,     // nothing runs
    output logic               token_read,   // EMBED: a word of vector memory is needed
    output logic    [    31:0] token_word,
    input  logic    [    31:0] word      [VEC],
    (* keep *) output logic    valid,        // not one with the copies of it elsewhere
    output logic               valid_next,   // a cycle before
    input  logic               ready,
    output vnext_t             next,
    output logic               busy
);
  localparam int LV = $clog2(VEC);
  localparam int TOKEN = READ_LATENCY + 1;  // cycles from `token_read` until the token is known
  localparam int PRODUCT = 5;  // cycles of work with a product
  typedef enum logic [2:0] {CLOSED, FREE, WORK, WAIT, READ, AGAIN, READY} state_t;
  state_t state, state_next;
  logic [3:0] waited;  // cycles
  vop_t op, decoded;
  uop_t u;
  vec_decode #(.VEC(VEC)) u_decode (.code(start_uop.op), .flags(start_uop.flags), .op(decoded));

  (* keep *) logic row_bad, row_refused;  // copies: one chooses what is reported
  logic empty, token_bad, early_bad, late_bad;
  logic [7:0] bad;
  logic [31:0] token;
  logic [47:0] beat;
  logic [63:0] product;
  vsetup_t setup;
  logic at_end;        // of the cycles of WORK, READ or AGAIN
  logic stuck, reads;  // in WAIT, from its second cycle on: the token is not needed, or is
  // Flags of the state, because much hangs on them: `working` is WORK or AGAIN, `open` FREE.
  (* keep *) logic working, open;
  logic readies;       // the operation is ready after this cycle
  vec_setup #(
      .CHANNELS(CHANNELS), .LANES(LANES), .VEC(VEC), .VMEM(VMEM), .SBUF(SBUF), .SCALARS(SCALARS)
  ) u_setup (
      .*,
      .en(working), .uop(u), .id(token)
  );

  // Registers, because much hangs on them: neither the reset nor the operation that is offered goes through here to control. An operation that
  // is taken in the first cycle of a reset is lost, as all others are.
  assign take = start_valid && start_ready;
  assign busy = state != FREE && state != CLOSED;
  assign token_word = u.b >> LV;
  assign token_read = reads && run_idle;
  wire opens = !rst && (state == CLOSED || (open && !take) || (valid && ready));
  assign valid_next = !rst && (readies || (valid && !ready));

  always_comb begin
    next = '{uop: u, op: op, setup: setup, empty: empty, refused: !empty && (early_bad || row_refused || late_bad), bad: bad, info: u.a};
    next.setup.beat = op.embed ? beat[31:0] : u.a;
    if (bad == FAULT_NONE && !empty) begin
      if (row_bad) begin
        next.bad = FAULT_AUX_RANGE;
        next.info = token_bad ? token : beat[31:0];
      end else if (late_bad) begin
        next.bad = FAULT_ONCHIP_RANGE;
        next.info = product[31:0];
      end
    end
  end

  // The checks are through after two cycles of work; with them EMBED knows whether it may read.
  always_comb begin
    state_next = state;
    case (state)
      CLOSED: state_next = FREE;
      FREE: if (take) state_next = WORK;
      WORK: if (at_end) state_next = op.embed ? WAIT : READY;
      WAIT:
      if (stuck) state_next = READY;
      else if (token_read) state_next = READ;
      READ: if (at_end) state_next = AGAIN;
      AGAIN: if (at_end) state_next = READY;
      default: if (ready) state_next = FREE;
    endcase
    if (rst) state_next = CLOSED;
  end

  always_ff @(posedge clk) begin
    state <= state_next;
    working <= !rst && (take || (working ? !at_end : state == READ && at_end));
    open <= opens;
    start_ready <= opens && scan_idle_next;
    valid <= valid_next;
    at_end <= (state == WORK && waited == (op.multiplies && !op.embed ? 4'(PRODUCT - 1) : 4'd1))
           || (state == READ && waited == 4'(TOKEN - 1)) || (state == AGAIN && waited == 4'(PRODUCT));
    readies <= !rst && !readies && ((state == WORK && !op.embed && waited == (op.multiplies ? 4'(PRODUCT - 1) : 4'd1))
           || (state == AGAIN && waited == 4'(PRODUCT)) || (state == WAIT && (early_bad || empty)));
    stuck <= state == WAIT && (early_bad || empty);
    reads <= !rst && state == WAIT && !token_read && !(early_bad || empty);
    waited <= state == FREE || state == WAIT || (state == READ && at_end) ? 4'd1 : waited + 4'd1;
    assert (rst || !take || is_vector(start_uop.op)) else $error("vector unit: opcode %h", start_uop.op);
    assert (valid == (state == READY) && working == (state == WORK || state == AGAIN) && open == (state == FREE))
    else $error("vector unit: flags of the front's state");
    // Whatever is offered; `take` says whether it counts.
    if (open) begin
      u <= start_uop;
      op <= decoded;
    end
    if (state == READ) token <= word[u.b[LV-1:0]];
    token_bad <= token >= u.aux;
    {row_bad, row_refused} <= {2{op.embed && (token_bad || beat[47:32] != 0)}};
  end

  wire unused = &{1'b0, product[63:32]};
endmodule
