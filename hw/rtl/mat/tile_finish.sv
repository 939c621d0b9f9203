// From accumulators to results, for one tile: W requantizes one row; V joins wide halves and saturates four dims of
// one row; K computes scale * dot + base * q_sum for all lanes. Results are there in cycle d5. Does not decide
// what is read (mat_drain does) and does not store results.
module tile_finish
  import accllm_mat_pkg::*;
#(
    parameter int LANES = 2,
    localparam int LW = $clog2(LANES)
) (
    input  logic                 clk,
    input  logic                 d1_valid,
    input  kind_t                d1_kind,
    input  logic        [LW-1:0] d1_lane,          // wide: the lane of the low half
    input  logic                 d1_second,        // the parameter word is the second of the pair
    input  logic        [  63:0] d1_words,         // the parameter word, with its neighbour
    input  logic signed [  47:0] d1_sum  [LANES*4],
    input  kind_t                d2_kind,
    input  logic                 d2_valid,
    input  logic                 d2_wide,
    input  logic                 d2_pair,
    input  logic        [  15:0] d2_qsum [LANES],
    input  kind_t                d3_kind,
    input  logic                 d3_valid,
    input  kind_t                d4_kind,
    input  logic                 d4_valid,
    output logic        [  31:0] d5_w,
    output logic        [  31:0] d5_v    [4],
    output logic        [  31:0] d5_k    [LANES*2]
);
  wire d1_row = d1_valid && d1_kind != KIND_K;
  wire d1_key = d1_valid && d1_kind == KIND_K;
  wire d2_row = d2_valid && d2_kind != KIND_K;
  wire d2_key = d2_valid && d2_kind == KIND_K;
  wire d3_dim = d3_valid && d3_kind == KIND_V;
  wire d3_key = d3_valid && d3_kind == KIND_K;
  wire d4_dim = d4_valid && d4_kind == KIND_V;
  wire d4_key = d4_valid && d4_kind == KIND_K;

  // The parameter words: of the first and, with two tokens a beat, the second result.
  logic [31:0] d2_a, d2_b;
  logic [21:0] d3_a;
  logic [5:0] d4_shift;
  always_ff @(posedge clk) begin
    if (d1_valid) begin
      d2_a <= d1_second ? d1_words[63:32] : d1_words[31:0];
      d2_b <= d1_words[63:32];
    end
    if (d2_valid) d3_a <= d2_a[21:0];
    if (d3_valid) d4_shift <= d3_a[21:16];
  end

  // Rows. d2: the lane and, if wide, the one before it; d3: joined; d4: product; d5: result.
  logic signed [47:0] d3_join[4];
  for (genvar g = 0; g < 4; g++) begin : gen_quarter
    logic signed [39:0] high;  // of V: below 2^40
    logic signed [47:0] low;
    logic signed [47:0] join_q;
    logic signed [31:0] v_q, v;
    always_ff @(posedge clk) begin
      if (d1_row) begin
        high <= d1_sum[{d1_lane&~LW'(1), 2'(g)}][39:0];
        low  <= d1_sum[{d1_lane, 2'(g)}];
      end
      if (d2_row) join_q <= (d2_wide ? {high, 8'd0} : 48'sd0) + low;
      if (d3_dim) v_q <= join_q[47:31] == {17{join_q[47]}} ? join_q[31:0] : {join_q[47], {31{~join_q[47]}}};
      if (d4_dim) v <= v_q;
    end
    assign d3_join[g] = join_q;
    assign d5_v[g] = v;
  end
  wire signed [47:0] total = (d3_join[0] + d3_join[1]) + (d3_join[2] + d3_join[3]);
  logic signed [63:0] product;
  logic signed [31:0] rounded, w;
  always_ff @(posedge clk) begin
    if (d3_valid && d3_kind == KIND_W) product <= 64'(total) * $signed({48'd0, d3_a[15:0]});
    if (d4_valid && d4_kind == KIND_W) w <= rounded;
  end
  requant requant (
      .x(product),
      .shift(d4_shift),
      .y(rounded)
  );
  assign d5_w = w;

  // Scores. d2: quarters; d3: products; d4: sum.
  for (genvar l = 0; l < LANES; l++) begin : gen_key
    logic signed [19:0] front, back;
    logic signed [31:0] scaled0, scaled1, based0, based1, q0, q1, k0, k1;
    wire signed [19:0] dot0 = d2_pair ? front : front + back;
    wire signed [15:0] q_sum = d2_qsum[l];
    always_ff @(posedge clk) begin
      if (d1_key) begin
        front <= d1_sum[l*4][19:0] + d1_sum[l*4+1][19:0];
        back  <= d1_sum[l*4+2][19:0] + d1_sum[l*4+3][19:0];
      end
      if (d2_key) begin
        scaled0 <= 32'(dot0) * $signed({16'd0, d2_a[15:0]});
        scaled1 <= 32'(back) * $signed({16'd0, d2_b[15:0]});
        based0  <= 32'(q_sum) * 32'($signed(d2_a[31:16]));
        based1  <= 32'(q_sum) * 32'($signed(d2_b[31:16]));
      end
      if (d3_key) begin
        q0 <= scaled0 + based0;
        q1 <= scaled1 + based1;
      end
      if (d4_key) begin
        k0 <= q0;
        k1 <= q1;
      end
    end
    assign d5_k[2*l]   = k0;
    assign d5_k[2*l+1] = k1;
  end
endmodule
