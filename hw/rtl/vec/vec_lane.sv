// The arithmetic of one element: operand selection, product, rounding shift and saturation, second product, again shift and
// saturation. Which stages work is decided by the valid bits; `adv` low holds everything. Does not know addresses.
module vec_lane
  import accllm_vec_pkg::*;
(
    input  logic               clk,
    input  logic               adv,
    input  vop_t               op,
    input  logic        [ 6:1] v,
    input  logic        [ 6:1] upper,
    input  logic               o_load,
    input  logic        [31:0] ra,        // vector memory, stage 1
    input  logic        [31:0] rb,
    input  logic        [31:0] sc,        // score buffer, stage 1
    input  logic        [31:0] ld,        // auxiliary memory, stage 1
    input  logic        [31:0] hw,        // Hadamard of stage 2
    input  logic signed [25:0] factor,    // stage 2
    input  logic        [15:0] base,      // stage 2
    input  logic        [15:0] gain,
    input  logic        [ 5:0] shift_4,
    input  logic        [63:0] half_4,
    input  logic signed [31:0] low_4,
    input  logic signed [31:0] high_4,
    input  logic        [ 5:0] shift_o,
    input  logic        [63:0] half_o,
    input  logic signed [31:0] low_o,
    input  logic signed [31:0] high_o,
    input  logic        [31:0] zmax,
    input  logic               visible,   // stage 5
    output logic        [31:0] a,         // stage 2
    output logic signed [63:0] p,         // stage 4
    output logic signed [31:0] s,         // stage 5
    output logic        [31:0] o
);
  // Stage 2: operands.
  logic [31:0] b;
  logic [15:0] sig;
  wire over24_a = ra[31:23] != {9{ra[31]}}, over24_b = rb[31:23] != {9{rb[31]}};
  wire over16_a = ra[31:15] != {17{ra[31]}}, over16_b = rb[31:15] != {17{rb[31]}};
  always_ff @(posedge clk) begin
    if (adv && v[1]) begin
      a <= op.softmax ? sc : op.from_aux ? ld
         : op.silu && over24_a ? {{9{ra[31]}}, {23{!ra[31]}}}
         : op.rope && !upper[1] && over16_a ? {{17{ra[31]}}, {15{!ra[31]}}} : ra;
      b <= op.silu && over24_b ? {{9{rb[31]}}, {23{!rb[31]}}}
         : op.rope && !upper[1] && over16_b ? {{17{rb[31]}}, {15{!rb[31]}}} : rb;
    end
  end
  vec_sigmoid u_sigmoid (.clk, .en(adv && v[1] && op.silu), .x(ra), .y(sig));

  // Rotation: the first step of a pair holds the pair here, the second one cos and sin.
  logic signed [15:0] pair_a, pair_b;
  always_ff @(posedge clk) begin
    if (adv && v[2] && op.rope) begin
      pair_a <= a[15:0];
      pair_b <= b[15:0];
    end
  end

  // Stage 3: factors.
  logic signed [31:0] f1;
  logic signed [25:0] f2;
  logic signed [23:0] g2;
  logic signed [15:0] r1, r2;
  wire signed [25:0] a26 = a[25:0];
  wire signed [16:0] a16 = {a[15], a[15:0]} - {base[15], base};
  always_ff @(posedge clk) begin
    if (adv && v[2] && !op.early) begin
      if (op.rope) begin
        f1 <= upper[2] ? 32'(pair_b) : 32'($signed(a[15:0]));
        f2 <= upper[2] ? 26'($signed(a[15:0])) : 26'($signed(ra[15:0]));
        r1 <= upper[2] ? pair_a : b[15:0];
        r2 <= upper[2] ? b[15:0] : rb[15:0];
      end else begin
        f1 <= op.softmax || op.attq || op.silu ? a : op.qk || op.qq ? 32'(a16) : 32'(a26);
        f2 <= op.sumsq ? a26 : op.silu ? 26'({10'd0, sig}) : factor;
        g2 <= op.normq ? 24'($signed(b[15:0])) : op.silu ? b[23:0] : 24'({8'd0, gain});
      end
    end
  end

  // Stage 4: products.
  logic signed [31:0] q;
  logic signed [23:0] g3;
  always_ff @(posedge clk) begin
    if (adv && v[3]) begin
      p <= 64'(f1) * 64'(f2);
      if (op.rope) q <= r1 * r2;
      if (op.late) g3 <= g2;
    end
  end

  // Stage 5: shifted and saturated; the result of operations with one product.
  logic signed [23:0] g4;
  always_ff @(posedge clk) begin
    automatic logic signed [63:0] moved;
    automatic logic signed [31:0] bounded;
    if (adv && v[4]) begin
      moved = ((!op.rope ? p : upper[4] ? p + 64'(q) : p - 64'(q)) + $signed(half_4)) >>> shift_4;
      bounded = moved < 64'(low_4) ? low_4 : moved > 64'(high_4) ? high_4 : moved[31:0];
      s <= bounded;
      g4 <= g3;
    end
  end

  // Stage 6: second product, or the power of two.
  logic signed [63:0] p2;
  logic [15:0] prob;
  wire signed [24:0] s25 = s[24:0];
  always_ff @(posedge clk) if (adv && v[5] && !op.softmax) p2 <= 64'(s25) * 64'(g4);
  vec_exp2 u_exp2 (
      .clk, .en(adv && v[5] && op.softmax), .visible, .d({zmax[31], zmax} - {s[31], s}), .wide(op.wide), .p(prob)
  );

  // Results; of operations with one product straight from stage 5.
  logic signed [31:0] result;
  assign o = op.middle ? s : result;
  always_ff @(posedge clk) begin
    automatic logic signed [32:0] sum;
    automatic logic signed [63:0] moved;
    if (o_load && !op.middle) begin
      sum = op.qv ? {a[31], a} : op.hadx && upper[2] ? {a[31], a} - {b[31], b} : {a[31], a} + {b[31], b};
      moved = ((!op.early ? p2 : op.hadx ? 64'($signed(sum[31:0])) : 64'(sum)) + $signed(half_o)) >>> shift_o;
      result <= op.softmax ? {16'd0, prob}
              : op.hadw ? hw
              : op.embed ? a << shift_o
              : op.load ? a
              : moved < 64'(low_o) ? low_o : moved > 64'(high_o) ? high_o : moved[31:0];
    end
  end

  wire unused = &{1'b0, op, v, upper};
endmodule
