// From accumulators to results, for one tile: W requantizes one row; V joins wide halves and saturates four dims of
// one row; K computes scale * dot + base * q_sum for all lanes. Whatever the kind, results are there eight cycles after
// the read: W's in word 0, V's in words 0 to 3, K's two a lane. Does not decide what is read (mat_drain does) and does
// not store results.
module tile_finish
  import accllm_mat_pkg::*;
#(
    parameter int LANES = 2,
    parameter bit HOLD = 1'b1,
    localparam int LW = $clog2(LANES),
    localparam int WORDS = 2 * LANES > 4 ? 2 * LANES : 4
) (
    input  logic                 clk,
    // entry and bank were used a cycle before; lanes are fewer than the field could say:
    // verilator lint_off UNUSEDSIGNAL
    input  drain_t               d1,
    // verilator lint_on UNUSEDSIGNAL
    input  logic        [  63:0] d1_words,          // the parameter word, with its neighbour
    input  logic signed [  47:0] d1_sum  [LANES*4],
    input  logic        [  15:0] d3_qsum [LANES],
    output logic        [  31:0] d8      [WORDS]
);
  typedef struct packed {
    logic  valid;
    kind_t kind;
    logic  wide;
    logic  pair;
  } stage_t;
  // Not all stages look at all of it:
  // verilator lint_off UNUSEDSIGNAL
  stage_t d2, d3, d4, d5, d6, d7;
  // verilator lint_on UNUSEDSIGNAL
  always_ff @(posedge clk) begin
    d2 <= '{d1.valid, d1.kind, d1.wide, d1.pair};
    d3 <= d2;
    d4 <= d3;
    d5 <= d4;
    d6 <= d5;
    d7 <= d6;
  end

  // The parameter words: of the first and, with two tokens a beat, the second result.
  logic [31:0] d2_a, d2_b, d3_a, d3_b;
  logic [5:0] d4_shift, d5_shift;
  always_ff @(posedge clk) begin
    if (d1.valid || !HOLD) begin
      d2_a <= d1.param[0] ? d1_words[63:32] : d1_words[31:0];
      d2_b <= d1_words[63:32];
    end
    if (d2.valid || !HOLD) begin
      d3_a <= d2_a;
      d3_b <= d2_b;
    end
    d4_shift <= d3_a[21:16];
    d5_shift <= d4_shift;
  end

  // Rows of W. d2, d3: total of the quarters; d4: its two halves times the scale; d5: product; d6 to d8: requantized.
  wire [LW-1:0] lane = d1.lane[LW-1:0];
  logic signed [47:0] half0, half1, total;
  logic signed [24:0] total_low;
  logic signed [16:0] scale;
  logic signed [41:0] low, high;
  logic signed [63:0] product;
  logic [31:0] rounded;
  logic over, negative;
  assign total_low = {1'b0, total[23:0]};
  assign scale = {1'b0, d3_a[15:0]};
  always_ff @(posedge clk) begin
    if ((d1.valid && d1.kind == KIND_W) || !HOLD) begin
      half0 <= d1_sum[{lane, 2'd0}] + d1_sum[{lane, 2'd1}];
      half1 <= d1_sum[{lane, 2'd2}] + d1_sum[{lane, 2'd3}];
    end
    if ((d2.valid && d2.kind == KIND_W) || !HOLD) total <= half0 + half1;
    if ((d3.valid && d3.kind == KIND_W) || !HOLD) begin
      low  <= 42'(total_low) * 42'(scale);
      high <= 42'($signed(total[47:24])) * 42'(scale);
    end
    if ((d4.valid && d4.kind == KIND_W) || !HOLD) product <= {64'(high) <<< 24} + 64'(low);
  end
  wire d5_row = d5.valid && d5.kind == KIND_W;
  wire d6_row = d6.valid && d6.kind == KIND_W;
  requant #(
      .HOLD(HOLD)
  ) u_requant (
      .*,
      .valid({d6_row, d5_row}),
      .x(product),
      .shift(d5_shift)
  );
  wire limit = over || (rounded[31] && !negative);
  wire [31:0] row = limit ? {negative, {31{~negative}}} : rounded;

  // Dims of V. d2: the lane and, if wide, the one before it; d3: joined; d4: saturated.
  logic [31:0] d4_dim[4];
  for (genvar g = 0; g < 4; g++) begin : gen_quarter
    logic signed [39:0] front;  // below 2^40
    logic signed [47:0] back, both;
    logic [31:0] q;
    always_ff @(posedge clk) begin
      if ((d1.valid && d1.kind == KIND_V) || !HOLD) begin
        front <= d1_sum[{lane&~LW'(1), 2'(g)}][39:0];
        back  <= d1_sum[{lane, 2'(g)}];
      end
      if ((d2.valid && d2.kind == KIND_V) || !HOLD) both <= (d2.wide ? {front, 8'd0} : 48'sd0) + back;
      if ((d3.valid && d3.kind == KIND_V) || !HOLD)
        q <= both[47:31] == {17{both[47]}} ? both[31:0] : {both[47], {31{~both[47]}}};
    end
    assign d4_dim[g] = q;
  end

  // Scores. d2: halves; d3: dots; d4: products; d5: sum.
  logic [31:0] d5_key[2*LANES];
  wire d1_key = d1.valid && d1.kind == KIND_K;
  wire d2_key = d2.valid && d2.kind == KIND_K;
  wire d3_key = d3.valid && d3.kind == KIND_K;
  wire d4_key = d4.valid && d4.kind == KIND_K;
  for (genvar l = 0; l < LANES; l++) begin : gen_key
    logic signed [19:0] front, back, dot0, dot1;
    logic signed [31:0] scaled0, scaled1, based0, based1, k0, k1;
    wire signed [15:0] q_sum = d3_qsum[l];
    always_ff @(posedge clk) begin
      if (d1_key || !HOLD) begin
        front <= d1_sum[l*4][19:0] + d1_sum[l*4+1][19:0];
        back  <= d1_sum[l*4+2][19:0] + d1_sum[l*4+3][19:0];
      end
      if (d2_key || !HOLD) begin
        dot0 <= d2.pair ? front : front + back;
        dot1 <= back;
      end
      if (d3_key || !HOLD) begin
        scaled0 <= 32'(dot0) * $signed({16'd0, d3_a[15:0]});
        scaled1 <= 32'(dot1) * $signed({16'd0, d3_b[15:0]});
        based0  <= 32'(q_sum) * 32'($signed(d3_a[31:16]));
        based1  <= 32'(q_sum) * 32'($signed(d3_b[31:16]));
      end
      if (d4_key || !HOLD) begin
        k0 <= scaled0 + based0;
        k1 <= scaled1 + based1;
      end
    end
    assign d5_key[2*l]   = k0;
    assign d5_key[2*l+1] = k1;
  end

  // All wait for W's.
  for (genvar i = 0; i < WORDS; i++) begin : gen_word
    logic [31:0] d5_dim, d6_other, d7_other, q;
    if (i < 4) begin : gen_dim
      always_ff @(posedge clk) if (d4.valid || !HOLD) d5_dim <= d4_dim[i];
    end else begin : gen_none
      assign d5_dim = '0;
    end
    always_ff @(posedge clk) begin
      if (d5.valid || !HOLD) d6_other <= d5.kind == KIND_V ? d5_dim : i < 2 * LANES ? d5_key[i%(2*LANES)] : '0;
      if (d6.valid || !HOLD) d7_other <= d6_other;
      if (d7.valid || !HOLD) q <= i == 0 && d7.kind == KIND_W ? row : d7_other;
    end
    assign d8[i] = q;
  end
endmodule
