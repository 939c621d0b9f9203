// Turns matrix operations into segments of beats for the channel readers, one calculation for all channels, and checks
// them against the channels' limit. `done` when all segments of an operation are with the readers. Does not read memory
// and does not look at the matrix unit: it runs ahead as far as the readers' queues allow.
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
  typedef enum logic [2:0] {IDLE, PRODUCT, TOTAL, CHECK, PUSH, FAULT} state_t;
  state_t state;
  logic [7:0] op;
  logic [1:0] format;
  logic [15:0] pc, stride;
  logic [31:0] steps;
  logic empty, pair;
  logic [47:0] values;   // value beats of a weight
  logic [49:0] beats;    // of a segment
  logic [ 7:0] segments;
  logic [31:0] at;

  // Parameter beats: one in front of 16 results; scale beats: one in front of 8 value beats.
  wire [47:0] params = (48'(steps) + (pair ? 48'd7 : 48'd15)) >> (pair ? 3 : 4);
  wire [49:0] scales = format == 2'd0 ? 50'd0 : (50'(values) + 50'd7) >> 3;
  wire outside = 51'(at) + 51'(beats) > 51'(channel_limit);
  wire pushed = seg_valid && &seg_ready;

  assign start_ready = state == IDLE && !stop;
  assign busy = state != IDLE;
  assign seg_valid = state == PUSH && &seg_ready && !stop;
  assign seg_beat = at;
  assign seg_beats = beats[31:0];
  assign seg_pc = pc;
  assign done = (state == CHECK && empty) || (pushed && segments == 8'd1);
  assign fault = '{valid: state == FAULT, code: FAULT_READ_RANGE, pc: pc, info: at};

  always_ff @(posedge clk) begin
    if (rst || clear) state <= IDLE;
    else
      case (state)
        IDLE: if (start_valid && start_ready) state <= PRODUCT;
        PRODUCT: state <= TOTAL;
        TOTAL: state <= CHECK;
        CHECK: state <= empty ? IDLE : outside ? FAULT : PUSH;
        PUSH: if (pushed) state <= segments == 8'd1 ? IDLE : CHECK;
        default: ;
      endcase
  end

  always_ff @(posedge clk) begin
    case (state)
      IDLE: begin
        op <= uop.op;
        format <= uop.flags[1:0];
        pc <= uop.pc;
        at <= uop.a;
        steps <= uop.n;
        stride <= uop.k;
        pair <= uop.op == OP_MATK && consts.hdp == 32'd64;
        segments <= uop.op == OP_MATV ? uop.sh : 8'd1;
        empty <= uop.n == 0 || uop.m == 0 || (uop.op == OP_MATV && uop.sh == 0) || (uop.op == OP_MATW && uop.k == 0);
      end
      PRODUCT: values <= 48'(steps) * 48'(stride);
      TOTAL:
      case (op)
        OP_MATW: beats <= 50'(values) + scales + 50'(params);
        OP_MATK: beats <= 50'(steps) + 50'(params);
        default: beats <= 50'(steps);
      endcase
      PUSH:
      if (pushed) begin
        at <= at + 32'(stride);
        segments <= segments - 8'd1;
      end
      default: ;
    endcase
  end
endmodule
