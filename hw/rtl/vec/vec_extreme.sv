// Largest element of a word and its lane (lowest among equals), then of all words since the first one. With LEAST the
// smallest. Two stages: groups of four lanes; the rest. Masked elements count as the worst value.
module vec_extreme #(
    parameter int VEC = 8,
    parameter bit LEAST = 0
) (
    input  logic                   clk,
    input  logic                   flush,
    input  logic                   en,
    input  logic                   first,       // forget earlier words
    input  logic                   last,
    input  logic        [VEC-1:0] mask,
    input  logic signed [    31:0] x     [VEC],
    output logic                   word_valid,  // of one word
    output logic signed [    31:0] word,
    output logic        [     4:0] word_lane,
    output logic                   all_valid,   // a pulse after the last word
    output logic signed [    31:0] all,
    output logic                   pending
);
  localparam int G = VEC / 4;
  localparam logic signed [31:0] WORST = LEAST ? 32'h7fff_ffff : 32'h8000_0000;
  logic first_1, last_1;

  // Nodes G..2G-1 hold the groups; node i < G the better one of 2i and 2i + 1 (the first among equals).
  for (genvar i = 2 * G - 1; i >= 1; i--) begin : gen_node
    logic signed [31:0] value;
    logic [4:0] lane;
    if (i >= G) begin : gen_group
      localparam int F = 4 * (i - G);
      wire signed [31:0] x0 = mask[F] ? x[F] : WORST;
      wire signed [31:0] x1 = mask[F+1] ? x[F+1] : WORST;
      wire signed [31:0] x2 = mask[F+2] ? x[F+2] : WORST;
      wire signed [31:0] x3 = mask[F+3] ? x[F+3] : WORST;
      wire s01 = LEAST ? x1 < x0 : x1 > x0;
      wire s23 = LEAST ? x3 < x2 : x3 > x2;
      wire signed [31:0] x01 = s01 ? x1 : x0;
      wire signed [31:0] x23 = s23 ? x3 : x2;
      wire s = LEAST ? x23 < x01 : x23 > x01;
      always_ff @(posedge clk) begin
        if (en) begin
          value <= s ? x23 : x01;
          lane <= 5'(F) + {3'd0, s, s ? s23 : s01};
        end
      end
    end else begin : gen_pair
      wire s = LEAST ? gen_node[2*i+1].value < gen_node[2*i].value : gen_node[2*i+1].value > gen_node[2*i].value;
      assign value = s ? gen_node[2*i+1].value : gen_node[2*i].value;
      assign lane = s ? gen_node[2*i+1].lane : gen_node[2*i].lane;
    end
  end
  assign word = gen_node[1].value;
  assign word_lane = gen_node[1].lane;
  assign pending = word_valid || all_valid;
  wire better = LEAST ? word < all : word > all;

  always_ff @(posedge clk) begin
    word_valid <= en && !flush;
    all_valid <= word_valid && last_1 && !flush;
    if (en) {first_1, last_1} <= {first, last};
    if (word_valid && (first_1 || better)) all <= word;
  end
endmodule
