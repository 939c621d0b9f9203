// Sums: of squares (64 bits, on top of `start`), and of results (codes of a head, or probabilities of a row). Two cycles.
module vec_sum #(
    parameter int VEC = 8
) (
    input  logic                   clk,
    input  logic                   flush,
    input  logic                   init,
    input  logic        [    31:0] start,
    input  logic                   sq_en,
    input  logic        [VEC-1:0] sq_mask,
    input  logic signed [    63:0] sq     [VEC],
    output logic        [    63:0] sq_sum,
    input  logic                   en,
    input  logic                   first,        // forget earlier words
    input  logic                   last,
    input  logic        [    31:0] x      [VEC],
    output logic        [    31:0] sum,
    output logic                   sum_valid,    // a pulse after the last word
    output logic                   pending
);
  logic sq_en_1, en_1, first_1, last_1;
  logic [63:0] sq_word, sq_next;
  logic [31:0] word, next;

  always_comb begin
    sq_next = '0;
    next = '0;
    for (int l = 0; l < VEC; l++) begin
      sq_next = sq_next + (sq_mask[l] ? sq[l] : 64'd0);
      next = next + x[l];
    end
  end

  assign pending = sq_en_1 || en_1 || sum_valid;
  always_ff @(posedge clk) begin
    sq_en_1 <= sq_en && !flush;
    en_1 <= en && !flush;
    sum_valid <= en_1 && last_1 && !flush;
    if (sq_en) sq_word <= sq_next;
    if (en) begin
      word <= next;
      {first_1, last_1} <= {first, last};
    end
    if (init) sq_sum <= {32'd0, start};
    else if (sq_en_1) sq_sum <= sq_sum + sq_word;
    if (init) sum <= '0;
    else if (en_1) sum <= first_1 ? word : sum + word;
  end
endmodule
