// Sums: of squares (64 bits, on top of `start`), and of results of 16 bits (codes of a head, or probabilities of a row).
// Stages: sums of four, of four of those, running sum.
module vec_sum #(
    parameter int VEC = 8
) (
    input  logic                   clk,
    input  logic                   flush,
    input  logic                   init,
    input  logic        [    31:0] start,
    input  logic                   sq_en,
    input  logic        [VEC-1:0] sq_mask,
    input  logic        [    51:0] sq     [VEC],
    output logic        [    63:0] sq_sum,
    input  logic                   en,
    input  logic                   first,        // forget earlier words
    input  logic                   last,
    input  logic        [    31:0] x      [VEC],
    output logic        [    31:0] sum,
    output logic                   sum_valid,    // a pulse after the last word
    output logic                   ends,         // a cycle before `sum_valid`
    output logic                   stays         // something is here after this cycle
);
  localparam int G = VEC / 4;
  localparam int H = G > 4 ? G / 4 : 1;
  localparam int N = G / H;
  logic [1:0] sq_v, v, first_q, last_q;
  logic [53:0] sq_1[G];
  logic [55:0] sq_2[2];
  logic signed [17:0] sum_1[G];
  logic signed [19:0] sum_2[2];

  for (genvar g = 0; g < G; g++) begin : gen_four
    logic [51:0] m[4];
    for (genvar i = 0; i < 4; i++) begin : gen_masked
      assign m[i] = sq_mask[4*g+i] ? sq[4*g+i] : '0;
    end
    always_ff @(posedge clk) begin
      if (sq_en) sq_1[g] <= (54'(m[0]) + 54'(m[1])) + (54'(m[2]) + 54'(m[3]));
      if (en) begin
        sum_1[g] <= (18'($signed(x[4*g][15:0])) + 18'($signed(x[4*g+1][15:0])))
                  + (18'($signed(x[4*g+2][15:0])) + 18'($signed(x[4*g+3][15:0])));
      end
    end
  end
  for (genvar h = 0; h < 2; h++) begin : gen_next
    logic [55:0] sq_next;
    logic signed [19:0] next;
    always_comb begin
      sq_next = '0;
      next = '0;
      if (h < H) begin
        for (int i = 0; i < N; i++) begin
          sq_next = sq_next + 56'(sq_1[(h%H)*N+i]);
          next = next + 20'(sum_1[(h%H)*N+i]);
        end
      end
    end
    always_ff @(posedge clk) begin
      if (sq_v[0]) sq_2[h] <= sq_next;
      if (v[0]) sum_2[h] <= next;
    end
  end

  assign ends = v[1] && last_q[1];
  assign stays = sq_en || sq_v[0] || en || v[0];
  wire [63:0] sq_word = 64'(sq_2[0]) + 64'(sq_2[1]);
  wire signed [31:0] word = 32'(sum_2[0]) + 32'(sum_2[1]);
  always_ff @(posedge clk) begin
    sq_v <= flush ? '0 : {sq_v[0], sq_en};
    v <= flush ? '0 : {v[0], en};
    first_q <= {first_q[0], first};
    last_q <= {last_q[0], last};
    sum_valid <= ends && !flush;
    if (init) sq_sum <= {32'd0, start};
    else if (sq_v[1]) sq_sum <= sq_sum + sq_word;
    if (init) sum <= '0;
    else if (v[1]) sum <= first_q[1] ? word : sum + word;
  end

  for (genvar l = 0; l < VEC; l++) begin : gen_high
    wire unused = &{1'b0, x[l][31:16]};
  end
endmodule
