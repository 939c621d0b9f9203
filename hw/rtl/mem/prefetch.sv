// Turns matrix operations into segments of beats for the channel readers, one calculation for all channels, and checks
// them against the channels' limit. `done` when all segments of an operation are with the readers. Does not read memory
// and does not look at the matrix unit: it runs ahead as far as the readers' queues allow. The weights' number of beats
// takes three steps; a segment is pushed every third cycle, when all readers have had room since the last.
module prefetch
  import accllm_types_pkg::*;
  import accllm_isa_pkg::*;
  import accllm_regs_pkg::*;
#(
    parameter int CHANNELS = 2
) (
    input  logic                       clk,
    input  logic                       rst,
    input  logic                       clear,
    input  logic                       stop,
    input  logic                       start_valid,
    output logic                       start_ready,
    // the record is common to all units:
    // verilator lint_off UNUSEDSIGNAL
    input  uop_t                       uop,
    input  consts_t                    consts,
    // verilator lint_on UNUSEDSIGNAL
    output logic                       done,
    output fault_t                     fault,
    output logic                       busy,
    input  logic        [        31:0] channel_limit,
    output logic                       seg_valid,
    input  logic        [CHANNELS-1:0] seg_ready,
    output logic        [        31:0] seg_beat,
    output logic        [        31:0] seg_beats,
    output logic        [        15:0] seg_pc
);
  typedef enum logic [2:0] {
    IDLE,
    PRODUCT,
    VALUES,
    SCALES,
    TOTAL,
    RANGE,
    PUSH,
    FAULT
  } state_t;
  state_t state;
  logic [15:0] pc, stride;
  logic [31:0] steps;
  logic empty, pair, weights, scaled, parameters, outside, ready;
  logic [31:0] low, high;  // parts of the product
  logic [47:0] values;     // value beats of a weight
  logic [49:0] others;     // parameter and scale beats
  logic [49:0] beats;      // of a segment
  logic [ 7:0] segments;
  logic [31:0] at;
  logic two_beats;  // a key's
  always_ff @(posedge clk) two_beats <= consts.hdp == 32'd256;

  // Parameter beats: one in front of 16 results; scale beats: one in front of 8 value beats.
  logic [32:0] params;
  wire [49:0] scales = (50'(values) + 50'd7) >> 3;
  wire [50:0] ends = 51'(at) + 51'(beats);
  wire push = state == PUSH && !outside && ready && !stop;
  wire final_push = push && segments == 8'd1;

  assign busy = state != IDLE;
  assign fault = '{valid: state == FAULT, code: FAULT_READ_RANGE, pc: pc, info: at};

  always_ff @(posedge clk) begin
    if (rst || clear) state <= IDLE;
    else
      case (state)
        IDLE: if (start_valid && start_ready) state <= uop.op == OP_MATW ? PRODUCT : VALUES;
        PRODUCT: state <= VALUES;
        VALUES: state <= SCALES;
        SCALES: state <= TOTAL;
        TOTAL: state <= empty ? IDLE : RANGE;
        RANGE: state <= PUSH;
        PUSH: if (outside) state <= FAULT; else if (push) state <= segments == 8'd1 ? IDLE : TOTAL;
        default: ;
      endcase
  end
  // In IDLE, as a register.
  wire idle_next = (state == IDLE && !(start_valid && start_ready)) || (state == TOTAL && empty) || final_push;
  always_ff @(posedge clk) start_ready <= !stop && (rst || clear || idle_next);

  // A push is seen in `seg_ready` two cycles later, in `ready` three: not before the next one is due.
  always_ff @(posedge clk) begin
    ready <= &seg_ready;
    seg_valid <= push && !rst && !clear;
    done <= ((state == TOTAL && empty) || final_push) && !rst && !clear;
    if (push) begin
      seg_beat  <= at;
      seg_beats <= beats[31:0];
      seg_pc <= pc;
    end
    assert (!seg_valid || &seg_ready)
    else $error("prefetch: a segment for a full queue");
  end

  always_ff @(posedge clk) begin
    case (state)
      IDLE: begin
        weights <= uop.op == OP_MATW;
        scaled <= uop.op == OP_MATW && uop.flags[1:0] != 2'd0;
        parameters <= uop.op != OP_MATV;
        pc <= uop.pc;
        at <= uop.a;
        steps <= uop.n;
        stride <= uop.k;
        pair <= uop.op == OP_MATK && consts.hdp == 32'd64;
        segments <= uop.op == OP_MATV ? uop.sh : 8'd1;
        empty <= uop.n == 0 || uop.m == 0 || (uop.op == OP_MATV && uop.sh == 0) || (uop.op == OP_MATW && uop.k == 0);
        values <= uop.op == OP_MATK && two_beats ? {15'd0, uop.n, 1'b0} : 48'(uop.n);
      end
      PRODUCT: begin
        low  <= steps[15:0] * stride;
        high <= steps[31:16] * stride;
      end
      VALUES: begin
        if (weights) values <= 48'(low) + {high, 16'd0};
        params <= (33'(steps) + (pair ? 33'd7 : 33'd15)) >> (pair ? 3 : 4);
      end
      SCALES: others <= (scaled ? scales : 50'd0) + (parameters ? 50'(params) : 50'd0);
      TOTAL: beats <= 50'(values) + others;
      RANGE: outside <= ends > 51'(channel_limit);
      PUSH:
      if (push) begin
        at <= at + 32'(stride);
        segments <= segments - 8'd1;
      end
      default: ;
    endcase
  end
endmodule
