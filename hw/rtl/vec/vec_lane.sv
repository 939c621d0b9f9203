// The arithmetic of one element: operand selection, product, rounding shift and saturation, second product, again shift and
// saturation; stages as in accllm_vec_pkg. Which of them load is decided by `en`. Does not know addresses.
module vec_lane
  import accllm_vec_pkg::*;
(
    input  logic                      clk,
    input  vop_t                      op_next,    // the operation, a cycle before
    input  logic        [ST_RESULT:1] en,         // stage s loads
    input  logic                      upper_4,    // the step in stage 4 is the second one of a word
    input  logic                      upper_5,
    input  logic        [       31:0] ra,         // vector memory, stage 4
    input  logic        [       31:0] rb,
    input  logic        [       31:0] sc,         // score buffer, stage 4
    input  logic        [       31:0] ld,         // auxiliary memory, stage 4
    input  logic        [       31:0] hw,         // Hadamard transform, stage 17
    input  logic signed [       25:0] factor,     // stage 5
    input  logic        [       15:0] base,       // stage 5
    input  logic        [        5:0] shift_10,
    input  logic        [        5:0] shift_2,    // before the second bound
    input  vconst_t                   constants,
    input  logic signed [       31:0] zmax,       // of the row in stage 13
    input  logic                      visible,    // stage 13
    output logic        [       31:0] a,          // stage 5
    output logic signed [       57:0] p,          // stage 11
    (* keep *) output logic signed [31:0] s,      // stage 13; not moved into the multipliers after it
    output logic        [       31:0] o           // stage 18
);
  // Each lane has its own copies of what chooses among its words.
  (* keep *) vop_t op;
  (* keep *) logic [5:0] shift_11;
  always_ff @(posedge clk) {op, shift_11} <= {op_next, shift_10};

  // Stage 5: operands, saturated to 24 bits (SILU) or 16 (pairs of ROPE).
  logic [31:0] b;
  wire clamp16 = op.rope && !upper_4;
  wire clamps = op.silu || clamp16;
  wire over_a = ra[31:23] != {9{ra[31]}} || (clamp16 && ra[22:15] != {8{ra[31]}});
  wire over_b = rb[31:23] != {9{rb[31]}} || (clamp16 && rb[22:15] != {8{rb[31]}});
  wire [31:0] limit_a = {{9{ra[31]}}, {8{ra[31] ^ !clamp16}}, {15{!ra[31]}}};
  wire [31:0] limit_b = {{9{rb[31]}}, {8{rb[31] ^ !clamp16}}, {15{!rb[31]}}};
  always_ff @(posedge clk) begin
    if (en[ST_OPERAND]) begin
      a <= clamps && over_a ? limit_a : op.softmax ? sc : op.from_aux ? ld : ra;
      b <= clamps && over_b ? limit_b : rb;
    end
  end

  // Stages 6 to 8: SILU's operands wait for the sigmoid.
  logic [31:0] a_6, a_7, a_8;
  logic [23:0] b_6, b_7, b_8;
  logic [15:0] sig;
  wire [3:0] sigmoid_en = {en[ST_SIGMOID:ST_EXTRA], en[ST_OPERAND] && op.silu};
  always_ff @(posedge clk) begin
    if (op.silu) begin
      {a_8, a_7, a_6} <= {a_7, a_6, a};
      {b_8, b_7, b_6} <= {b_7, b_6, b[23:0]};
    end
  end
  vec_sigmoid u_sigmoid (.*, .en(sigmoid_en), .x(ra), .y(sig));

  // Rotation: the first step of a pair leaves the pair here, the second one, right after it, brings cos and sin.
  logic signed [15:0] pair_a, pair_b;
  always_ff @(posedge clk) begin
    if (en[ST_FACTOR] && op.rope) begin
      pair_a <= a[15:0];
      pair_b <= b[15:0];
    end
  end

  // Stage 9: factors. The product x * y is made of two parts of x, 17 bits without sign and 15 with one, and of y without its
  // lowest bit, so that a factor fits the 25 bits of a DSP; for that bit x itself is added, by the DSP too. Rotation uses the second multiplier
  // for a product of its own, of numbers of 16 bits, which is to be taken off in the first step of a pair.
  logic signed [31:0] x;
  logic signed [25:0] y;
  logic signed [24:0] y1, y2;
  logic odd;
  logic signed [17:0] lo;
  logic signed [15:0] hi;
  logic signed [23:0] g, g_9, g_10, g_11, g_12, g_13;
  wire signed [16:0] a16 = {a[15], a[15:0]} - {base[15], base};
  always_comb begin
    x = op.softmax || op.attq ? a : op.silu ? a_8 : op.qk || op.qq ? 32'(a16) : 32'($signed(a[25:0]));
    y = op.sumsq ? a[25:0] : op.silu ? 26'({10'd0, sig}) : factor;
    if (op.rope) x = upper_5 ? 32'(pair_b) : 32'($signed(a[15:0]));
    g = op.normq ? 24'($signed(b[15:0])) : op.silu ? b_8 : 24'({8'd0, constants.gain});
  end
  always_ff @(posedge clk) begin
    if (en[ST_FACTOR]) begin
      y1 <= !op.rope ? y[25:1] : upper_5 ? 25'($signed(a[15:0])) : 25'($signed(ra[15:0]));
      odd <= y[0] && !op.rope;
      lo <= {op.rope && x[31], x[16:0]};
      y2 <= !op.rope ? y[25:1] : upper_5 ? 25'(pair_a) : -25'($signed(b[15:0]));
      hi <= !op.rope ? 16'($signed(x[31:17])) : upper_5 ? b[15:0] : rb[15:0];
    end
    if (op.late) begin
      g_9 <= g;
      {g_13, g_12, g_11, g_10} <= {g_12, g_11, g_10, g_9};
    end
  end

  // Stages 10 and 11: product. A DSP adds the second part to what lies above the 18 lowest bits; rotation has its sum there too.
  logic signed [42:0] low_part;
  logic signed [40:0] high_part;
  logic rest;
  wire signed [30:0] half = odd ? {hi[14:0], lo[16:1]} : '0;
  logic signed [40:0] upper;
  logic [17:0] lower;
  wire signed [40:0] ahead = op.rope ? low_part[40:0] : 41'($signed(low_part[42:17]));
  assign p = {upper[39:0], lower};
  always_ff @(posedge clk) begin
    if (en[ST_PARTIAL]) begin
      low_part <= 43'(y1) * 43'(lo) + 43'(half);
      high_part <= 41'(y2) * 41'(hi);
      rest <= odd && lo[0];
    end
    if (en[ST_PRODUCT]) begin
      upper <= high_part + ahead;
      lower <= op.rope ? '0 : {low_part[16:0], rest};
    end
  end

  // Stages 12 and 13: shifted, with half a unit, and bounded.
  logic signed [58:0] t;
  logic signed [31:0] bounded;
  vec_bound #(.WIDTH(59)) u_bound (.*, .modular(1'b0), .bounds(constants.bounds), .y(bounded));
  always_ff @(posedge clk) begin
    if (en[ST_SHIFT]) t <= $signed({p, 1'b0}) >>> shift_11;
    if (en[ST_BOUND]) s <= bounded;
  end

  // Stages 14 to 17: second product or the power of two. Early operations come in at stage 15 with an operand or a sum. Shifted by
  // a multiple of 16, then by the rest.
  logic signed [41:0] low_2;
  logic signed [31:0] high_2;
  logic signed [48:0] p2;
  logic signed [32:0] sum;
  logic signed [63:0] moving, far, near, fine;
  logic signed [49:0] t2;
  logic [15:0] prob;
  wire signed [24:0] s25 = s[24:0];
  wire add = op.radd || op.hadx, subtract = op.hadx && upper_5;
  wire [32:0] other = add ? {b[31], b} ^ {33{subtract}} : '0;
  wire [32:0] total = {a[31], a} + other + 33'(subtract);
  always_comb begin
    moving = !op.early ? 64'($signed({p2, 1'b0})) : op.embed ? {sum[31:0], 32'd0} : 64'($signed({sum, 1'b0}));
    case (shift_2[3:2])
      2'd0: near = far;
      2'd1: near = far >>> 4;
      2'd2: near = far >>> 8;
      default: near = far >>> 12;
    endcase
    case (shift_2[1:0])
      2'd0: fine = near;
      2'd1: fine = near >>> 1;
      2'd2: fine = near >>> 2;
      default: fine = near >>> 3;
    endcase
  end
  always_ff @(posedge clk) begin
    if (en[ST_PARTIAL_2] && !op.softmax) begin
      low_2 <= 42'(s25) * 42'($signed({1'b0, g_13[16:0]}));
      high_2 <= 32'(s25) * 32'($signed(g_13[23:17]));
    end
    if (en[ST_PRODUCT_2] && !op.softmax) begin
      p2 <= 49'(low_2) + {high_2, 17'd0};
      sum <= {op.hadx ? total[31] : total[32], total[31:0]};
    end
    if (en[ST_SHIFT_2] && !op.softmax) begin
      case (shift_2[5:4])
        2'd0: far <= moving;
        2'd1: far <= moving >>> 16;
        2'd2: far <= moving >>> 32;
        default: far <= moving >>> 48;
      endcase
    end
    if (en[ST_FINE]) t2 <= fine[49:0];
  end
  wire [2:0] exp2_en = op.softmax ? en[ST_SHIFT_2:ST_PARTIAL_2] : 3'd0;
  vec_exp2 u_exp2 (
      .*,
      .en(exp2_en), .top(zmax), .x(s), .wide(op.wide), .p(prob)
  );

  // Stage 18: results.
  logic signed [31:0] bounded_2;
  vec_bound #(.WIDTH(50)) u_bound_2 (.t(t2), .modular(constants.modular), .bounds(constants.bounds_2), .y(bounded_2));
  always_ff @(posedge clk) begin
    if (en[ST_RESULT]) o <= op.middle ? s : op.softmax ? {16'd0, prob} : op.hadw ? hw : bounded_2;
  end

  wire unused = &{1'b0, op, en, fine[63:50], upper[40], constants};
endmodule
