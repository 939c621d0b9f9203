// What is made of many elements: sums, extremes, the steps of quantization, roots and reciprocals; and the scalars that are
// written from them.
module vec_reduce
  import accllm_types_pkg::*;
  import accllm_vec_pkg::*;
#(
    parameter int VEC = 8,
    parameter int SCALARS = 256,
    localparam int AS = $clog2(SCALARS)
) (
    input  logic                      clk,
    input  logic                      rst,
    input  logic                      flush,
    input  logic                      init,           // `next` begins; only an ATTQ does while something runs
    input  vnext_t                    next,
    input  vop_t                      op,             // the operation that ends
    input  vsetup_t                   setup,
    input  consts_t                   consts,
    input  logic     [          15:0] pitch,          // between the scalars of KV heads
    input  tag_t                      tag_4,
    input  tag_t                      tag_5,
    input  tag_t                      tag_11,
    input  tag_t                      tag_13,
    input  tag_t                      tag_o,
    input  logic     [       VEC-1:0] mask_5,
    input  logic     [       VEC-1:0] mask_11,
    input  logic     [       VEC-1:0] mask_13,
    input  logic     [          31:0] a       [VEC],  // stage 5
    input  logic signed [       57:0] p       [VEC],  // stage 11
    input  logic signed [       31:0] s       [2],    // stage 13: lanes 0 and 1
    input  logic     [          31:0] o       [VEC],  // results
    input  logic                      root,           // take the root of the sum of squares
    output logic                      root_valid,
    output logic signed [       31:0] zmax,           // SOFTMAX: largest exponent of the row
    output logic                      busy,           // more than what is written in this cycle
    output logic     [           4:0] vs_w_en,        // scale of f0, f1, f2, f3, base of f0
    output logic     [        AS-1:0] vs_w_addr,
    output logic     [          31:0] vs_w_f0,
    output logic     [          21:0] vs_w_f1,
    output logic     [          15:0] vs_w_f2,
    output logic     [          21:0] vs_w_f3,
    output logic                      result_valid,
    output logic     [          31:0] result_index,
    output logic     [          31:0] result_value
);
  wire stat = op.statk || op.statq;
  wire begins = init && !next.op.attq;  // which has nothing to do here

  // Extremes of operands: whole numbers for ARGMAX, 16 bits of heads.
  logic signed [31:0] x[VEC], most, least, word_most, word_least;
  logic most_valid, most_word, most_stays, least_valid, least_word, least_stays;
  logic [4:0] most_lane, least_lane;
  for (genvar l = 0; l < VEC; l++) begin : gen_lane
    assign x[l] = op.argmax ? a[l] : {{16{a[l][15]}}, a[l][15:0]};
  end
  logic most_en, least_en;
  always_ff @(posedge clk) begin
    most_en <= tag_4.v && (stat || op.argmax) && !flush;
    least_en <= tag_4.v && stat && !flush;
  end
  vec_extreme #(.VEC(VEC)) u_most (
      .*,
      .en(most_en), .first(tag_5.first), .last(tag_5.last), .mask(mask_5), .word_valid(most_word),
      .word(word_most), .word_lane(most_lane), .all_valid(most_valid), .all(most), .stays(most_stays)
  );
  vec_extreme #(.VEC(VEC), .LEAST(1)) u_least (
      .*,
      .en(least_en), .first(tag_5.first), .last(tag_5.last), .mask(mask_5), .word_valid(least_word),
      .word(word_least), .word_lane(least_lane), .all_valid(least_valid), .all(least), .stays(least_stays)
  );
  logic argmax_init;  // a cycle after `init`, as the first word comes later
  always_ff @(posedge clk) argmax_init <= init && next.op.argmax && !next.empty && !next.refused;
  wire argmax_word = most_word && op.argmax;
  vec_argmax #(.VEC(VEC)) u_argmax (
      .*,
      .init(argmax_init), .anew(next.op.anew), .start(next.uop.aux), .word_valid(argmax_word),
      .word(word_most), .word_lane(most_lane), .index(result_index), .value(result_value)
  );
  assign result_valid = most_valid && op.argmax;

  // The row's largest exponent, of the peak: the window's or the sinks'.
  always_ff @(posedge clk) begin
    if (tag_13.v && tag_13.peak) begin
      zmax <= mask_13[1] && (!mask_13[0] || s[1] > s[0]) ? s[1] : mask_13[0] ? s[0] : 32'sh8000_0000;
    end
  end

  // Sums.
  logic [63:0] sq_sum;
  logic [31:0] sum;
  logic sum_valid, sum_ends, sum_stays;
  logic [51:0] square[VEC];
  wire sq_en = tag_11.v && op.sumsq;
  wire sum_en = tag_o.v && (op.softmax || op.qq);
  for (genvar l = 0; l < VEC; l++) begin : gen_square
    assign square[l] = p[l][51:0];
    wire unused = &{1'b0, p[l][57:52]};
  end
  vec_sum #(.VEC(VEC)) u_sum (
      .*,
      .init(begins), .start(next.uop.aux), .sq_mask(mask_11), .sq(square), .en(sum_en),
      .first(tag_o.first), .last(tag_o.last), .x(o), .ends(sum_ends),
      .stays(sum_stays)
  );

  // Steps, roots, reciprocals.
  logic stat_ask, stat_stays, inverse_valid, inverse_stays;
  logic [15:0] stat_scale, stat_base, ask_scale, root_r, inverse_r;
  logic [5:0] root_e, inverse_k;
  wire stat_valid = most_valid && stat;
  wire root_start = root && op.sumsq;
  wire inverse_start = stat_ask || (sum_valid && op.softmax);
  vec_stat u_stat (
      .*,
      .in_valid(stat_valid), .query(op.statq), .ask(stat_ask),
      .scale(stat_scale), .base(stat_base), .stays(stat_stays)
  );
  vec_rsqrt u_root (.*, .rst(flush), .in_valid(root_start), .s(sq_sum), .out_valid(root_valid), .r(root_r), .e(root_e));
  vec_recip u_inverse (
      .*,
      .rst(flush), .in_valid(inverse_start), .wide(op.softmax), .s(sum), .t(ask_scale), .out_valid(inverse_valid), .r(inverse_r), .k(inverse_k),
      .stays(inverse_stays)
  );
  always_ff @(posedge clk) begin
    busy <= !flush && (most_stays || least_stays || sum_stays || (sum_ends && op.softmax) || stat_stays || inverse_stays);
  end

  // Scalars written.
  logic outside;  // as it was when the head was read
  logic [AS-1:0] head;
  wire by_head = stat || op.softmax ? inverse_valid : sum_valid && op.qq;
  vec_heads #(.SCALARS(SCALARS)) u_head (
      .*,
      .init(begins), .base(next.setup.scalar), .grouped(op.by_query), .group(consts.gqa[4:0]),
      .next(by_head), .addr(head)
  );
  always_ff @(posedge clk) begin
    assert ($onehot0({root_valid, inverse_valid, sum_valid && op.qq})) else $error("reductions: two scalars at once");
  end
  assign vs_w_en = {inverse_valid && op.statk, inverse_valid && op.softmax, sum_valid && op.qq,
                    root_valid || (inverse_valid && stat), inverse_valid && stat};
  assign vs_w_addr = op.sumsq ? setup.scalar_1[AS-1:0] : head;
  assign vs_w_f0 = {op.statk ? stat_base : 16'd0, stat_scale};
  assign vs_w_f1 = op.sumsq ? {root_e, root_r} : {inverse_k, inverse_r};
  assign vs_w_f2 = sum[15:0];
  assign vs_w_f3 = {inverse_k, inverse_r};

  wire unused = &{1'b0, next, op, setup, consts, tag_4, tag_5, tag_11, tag_13, tag_o, mask_13, least_valid, least_word, word_least,
                  least_lane, outside};
endmodule
