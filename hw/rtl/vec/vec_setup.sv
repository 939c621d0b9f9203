// Turns operands and unit constants into the loop values of an operation, and checks what can be checked before it runs:
// constants, alignment, scalar addresses. Combinational; `product` is the value that `factor_a * factor_b` had one cycle
// before. Does not check addresses that depend on the position in a loop.
module vec_setup
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
    input  vop_t           op,
    input  uop_t           uop,
    input  consts_t        consts,
    input  logic    [31:0] id,         // EMBED: token
    output logic    [31:0] factor_a,
    output logic    [31:0] factor_b,
    input  logic    [63:0] product,
    output vsetup_t        setup,
    output logic           empty,      // nothing to do
    output logic    [39:0] scalar_1,   // scalars read before the loop
    output logic    [39:0] scalar_2,
    output logic    [ 7:0] bad,        // fault code, 0 = none
    output logic           bad_late    // the same, one cycle later: `product` is outside a buffer
);
  localparam int LV = $clog2(VEC);
  localparam int LL = $clog2(LANES);

  wire [31:0] n = uop.n;
  wire [31:0] n_words = 32'(n[31:LV]) + 32'(n[LV-1:0] != 0);
  wire [31:0] n_groups = 32'(n[31:5]) + 32'(n[4:0] != 0);
  wire [31:0] group_words = n_groups << (5 - LV);
  wire [32:0] slots = {1'b0, consts.sink_pad} + {1'b0, n};
  wire [31:0] lane_word = op.wide ? 32'(uop.m[31:LL-1]) : 32'(uop.m[31:LL]);
  wire [31:0] hdp_words = consts.hdp >> LV;
  wire hdp_bad = consts.hdp != 64 && consts.hdp != 128;
  wire gqa_bad = consts.gqa == 0 || consts.gqa > 16;

  // One multiplier: EMBED id * k; SOFTMAX lane step * SCORE_ROW; ATTQ, SILU first word * x; query scalars m * GQA;
  // QV elements of n heads.
  assign factor_a = op.embed ? id : op.softmax ? 32'(uop.m[31:LL]) : op.by_query ? uop.m : op.qv ? n : 32'(uop.aux[31:8]);
  assign factor_b = op.embed ? 32'(uop.k) : op.softmax ? consts.score_row : op.by_query ? consts.gqa : op.qv ? consts.v_dim : 32'(uop.x);

  always_comb begin
    setup.rows = op.heads || op.hadx ? n : op.by_row ? consts.gqa : 32'd1;
    setup.row_step = op.hadx ? {15'd0, uop.k, 1'b0} : 32'd1;
    setup.elements = op.heads || op.hadx || op.softmax ? '1 : n;
    setup.distance = op.rope ? hdp_words >> 1 : op.hadx ? 32'(uop.k) >> LV : op.attq ? (consts.v_dim >> LV) - group_words : '0;
    setup.words = op.halves ? n_words
                : op.rope || op.hadx ? setup.distance
                : op.qv ? consts.v_dim >> LV
                : op.heads ? hdp_words
                : op.softmax ? slots[31:0] >> LV
                : op.to_act ? group_words : n_words;
    setup.scalar = op.by_row ? scalar_1 : {8'd0, op.qk ? uop.aux : op.qq ? uop.b : uop.c} + (op.by_query ? product[39:0] : '0);
    setup.word_act = {8'd0, uop.c} + (op.qq || op.softmax ? '0 : {8'd0, lane_word})
                   + (op.attq || op.silu ? product[39:0] : '0);
    setup.score = 32'(product >> LV);
    empty = op.softmax ? slots == 0 : n == 0;
  end

  assign scalar_1 = op.softmax ? 40'(uop.aux[15:0]) + {8'd0, uop.m} : op.attq ? {8'd0, uop.b} : op.sumsq ? {8'd0, uop.c} : {8'd0, uop.aux};
  assign scalar_2 = 40'(uop.aux[31:16]) + {8'd0, uop.m};
  assign bad_late = op.softmax && product[63:32] != 0
                 || op.qv && (product[63:32] != 0 || {1'b0, product[31:0]} + {1'b0, uop.a} > 33'(VMEM));

  wire constant_bad = ((op.heads && !op.qv) && hdp_bad) || ((op.by_query || op.by_row) && gqa_bad)
                   || (op.qv && (consts.v_dim == 0 || consts.v_dim % (4 * CHANNELS) != 0));
  wire scalar_bad = (op.normq || op.sumsq) && scalar_1 >= 40'(SCALARS)
                 || op.by_row && scalar_1 + 40'(consts.gqa) > 40'(SCALARS)
                 || op.softmax && scalar_2 + 40'(consts.gqa) > 40'(SCALARS);
  wire align_bad = op.reads_a && uop.a[LV-1:0] != 0
                || op.reads_b && !op.hadx && uop.b[LV-1:0] != 0
                || op.to_vmem && uop.c[LV-1:0] != 0
                || (op.qv || op.attq) && consts.v_dim[LV-1:0] != 0
                || op.softmax && consts.score_row[LV-1:0] != 0
                || op.hadx && (uop.k[LV-1:0] != 0 || uop.k == 0)
                || op.hadw && n[LV-1:0] != 0
                || (op.load || op.embed || op.store || op.softmax) && n[4:0] != 0
                || op.softmax && consts.sink_pad[4:0] != 0
                || op.attq && uop.aux[4:0] != 0
                || op.silu && uop.aux[7:0] != 0;
  // Where another check than that of vector memory could find something first: the whole range, before the loop.
  wire range_bad = op.embed && uop.b >= 32'(VMEM) || op.softmax && slots > 33'(SBUF) || op.from_aux && {1'b0, uop.c} + {1'b0, n} > 33'(VMEM)
                || op.store && {1'b0, uop.a} + {1'b0, n} > 33'(VMEM) || op.i32 && n[31:20] != 0
                || op.qk && ({8'd0, uop.a} + (consts.hdp == 64 ? {2'd0, n, 6'd0} : {1'd0, n, 7'd0}) > 40'(VMEM)
                          || {1'b0, uop.aux} + {1'b0, n} > 33'(SCALARS));
  assign bad = empty ? FAULT_NONE
             : constant_bad ? FAULT_ILLEGAL
             : scalar_bad || align_bad || range_bad ? FAULT_ONCHIP_RANGE : FAULT_NONE;

  wire unused = &{1'b0, op, uop, consts, product};
endmodule
