// Values of an operation's loops and the checks before it, in stages that advance with `en` from stable operands: sums of
// operands; checks and values; and where two operands are multiplied, the partial products, their sum in two stages, and
// the values again. Does not decide when which of them are needed.
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
    input  logic               clk,
    input  logic               en,
    input  vop_t               op,
    input  uop_t               uop,
    input  consts_t            consts,
    input  logic    [    31:0] id,        // EMBED: token
    output logic    [    63:0] product,
    output vsetup_t            setup,
    output logic    [    47:0] beat,      // EMBED: first beat of the row
    output logic               empty,     // nothing to do
    output logic    [     7:0] bad,       // fault code, 0 = none
    output logic               early_bad, // there is one
    output logic               late_bad   // `product` is outside a buffer
);
  localparam int LV = $clog2(VEC);
  localparam int LL = $clog2(LANES);
  localparam int AS = $clog2(SCALARS);

  // One multiplier: EMBED id * k; SOFTMAX lane step * SCORE_ROW; ATTQ, SILU first word * x; query scalars m * GQA;
  // QV elements of n heads.
  logic [31:0] factor_a, factor_b, ll, lh, hl, hh;
  logic [32:0] middle;
  logic [63:0] outer;
  always_ff @(posedge clk) begin
    if (en) begin
      factor_a <= op.embed ? id : op.softmax ? 32'(uop.m[31:LL]) : op.by_query ? uop.m : op.qv ? uop.n : 32'(uop.aux[31:8]);
      factor_b <= op.embed ? 32'(uop.k) : op.softmax ? consts.score_row : op.by_query ? consts.gqa
                : op.qv ? consts.v_dim : 32'(uop.x);
      ll <= 32'(factor_a[15:0]) * 32'(factor_b[15:0]);
      lh <= 32'(factor_a[15:0]) * 32'(factor_b[31:16]);
      hl <= 32'(factor_a[31:16]) * 32'(factor_b[15:0]);
      hh <= 32'(factor_a[31:16]) * 32'(factor_b[31:16]);
      middle <= 33'(lh) + 33'(hl);
      outer <= {hh, ll};
      product <= outer + {15'd0, middle, 16'd0};
    end
  end

  // Sums of operands.
  wire [31:0] n = uop.n;
  logic [31:0] n_words, n_groups, lane_word, hdp_words;
  logic [32:0] slots, c_n, a_n, aux_n;
  logic [39:0] scalar_1, scalar_2;
  logic [40:0] heads_end;
  logic signed [33:0] room;  // of vector memory from `a` on
  logic [AS:0] row_most;  // largest first scalar of a group's rows
  logic narrow, wide;
  logic hdp_bad, gqa_bad, dims_bad, align_bad;
  wire [31:0] group_words = n_groups << (5 - LV);
  always_ff @(posedge clk) begin
    if (en) begin
      n_words <= 32'(n[31:LV]) + 32'(n[LV-1:0] != 0);
      n_groups <= 32'(n[31:5]) + 32'(n[4:0] != 0);
      lane_word <= op.wide ? 32'(uop.m[31:LL-1]) : 32'(uop.m[31:LL]);
      hdp_words <= consts.hdp >> LV;
      slots <= {1'b0, consts.sink_pad} + {1'b0, n};
      row_most <= (AS + 1)'(SCALARS) - (AS + 1)'(consts.gqa[4:0]);
      c_n <= {1'b0, uop.c} + {1'b0, n};
      a_n <= {1'b0, uop.a} + {1'b0, n};
      room <= 34'(VMEM) - 34'(uop.a);
      aux_n <= {1'b0, uop.aux} + {1'b0, n};
      scalar_1 <= op.softmax ? 40'(uop.aux[15:0]) + {8'd0, uop.m}
                : op.attq ? {8'd0, uop.b} : op.sumsq ? {8'd0, uop.c} : {8'd0, uop.aux};
      scalar_2 <= 40'(uop.aux[31:16]) + {8'd0, uop.m};
      heads_end <= {9'd0, uop.a} + (narrow ? {3'd0, n, 6'd0} : wide ? {1'd0, n, 8'd0} : {2'd0, n, 7'd0});
      hdp_bad <= consts.hdp != 64 && consts.hdp != 128 && consts.hdp != 256;
      gqa_bad <= consts.gqa == 0 || consts.gqa > 16;
      dims_bad <= consts.v_dim == 0 || consts.v_dim % (4 * CHANNELS) != 0;
      align_bad <= op.reads_a && uop.a[LV-1:0] != 0
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
    end
  end
  always_ff @(posedge clk) {narrow, wide} <= {consts.hdp == 64, consts.hdp == 256};

  // Checks. Where another check than that of vector memory could find something first: the whole range, before the loop.
  logic constant_bad, scalar_bad, range_bad;
  assign early_bad = constant_bad || scalar_bad || range_bad;
  assign bad = empty ? FAULT_NONE : constant_bad ? FAULT_ILLEGAL : scalar_bad || range_bad ? FAULT_ONCHIP_RANGE : FAULT_NONE;
  always_ff @(posedge clk) begin
    if (en) begin
      empty <= op.softmax ? slots == 0 : n == 0;
      constant_bad <= ((op.heads && !op.qv) && hdp_bad) || ((op.by_query || op.by_row) && gqa_bad) || (op.qv && dims_bad);
      scalar_bad <= (op.normq || op.sumsq) && scalar_1 >= 40'(SCALARS)
                 || op.by_row && scalar_1 > 40'(row_most)
                 || op.softmax && scalar_2 > 40'(row_most);
      range_bad <= align_bad || op.embed && uop.b >= 32'(VMEM) || op.softmax && slots > 33'(SBUF)
                || op.from_aux && c_n > 33'(VMEM) || op.store && a_n > 33'(VMEM) || op.i32 && n[31:20] != 0
                || op.qk && (heads_end > 41'(VMEM) || aux_n > 33'(SCALARS));
      late_bad <= op.softmax && product[63:32] != 0
               || op.qv && (product[63:32] != 0 || $signed({2'd0, product[31:0]}) > room);
    end
  end

  // Values.
  vsetup_t made;
  wire [31:0] row_words = consts.v_dim >> LV;
  always_comb begin
    made.rows = op.heads || op.hadx ? n : op.by_row ? consts.gqa : 32'd1;
    made.row_step = op.hadx ? {15'd0, uop.k, 1'b0} : 32'd1;
    made.endless = op.heads || op.hadx || op.softmax;
    made.elements = n;
    made.distance = op.rope ? hdp_words >> 1 : op.hadx ? 32'(uop.k) >> LV : op.attq ? row_words - group_words : '0;
    made.jump = made.distance + 32'd1;
    made.words = op.halves ? n_words
               : op.rope || op.hadx ? made.distance
               : op.qv ? row_words
               : op.heads ? hdp_words
               : op.softmax ? slots[31:0] >> LV
               : op.to_act ? group_words : n_words;
    made.scalar = op.by_row ? scalar_1
                : {8'd0, op.qk ? uop.aux : op.qq ? uop.b : uop.c} + (op.by_query ? product[39:0] : '0);
    made.word_act = {8'd0, uop.c} + (op.qq ? 40'(product[31:LL])
                  : op.attq || op.silu ? {8'd0, lane_word} + product[39:0] : {8'd0, lane_word});
    made.row_act = op.qq ? product[31:0] : uop.m << op.wide;
    made.score = 32'(product >> LV);
    made.scalar_1 = scalar_1;
    made.scalar_2 = scalar_2;
    made.beat = '0;  // vec_front's
  end
  always_ff @(posedge clk) begin
    if (en) begin
      setup <= made;
      beat <= {16'd0, uop.a} + product[47:0];
    end
  end

  wire unused = &{1'b0, op, uop, consts, product};
endmodule
