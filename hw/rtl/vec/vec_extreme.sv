// Largest element of a word and its lane (lowest among equals), then of all words since the first one. With LEAST the
// smallest. Masked elements count as the worst value. Stages: masked, groups of four, groups of those, word; then the
// running extreme.
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
    output logic                   stays        // something is here after this cycle, or a pulse comes
);
  localparam logic signed [31:0] WORST = 32'h8000_0000;
  localparam logic [31:0] INVERT = {32{LEAST}};  // the smallest number is the largest one, inverted
  localparam int G = VEC / 4;
  localparam int H = G > 4 ? G / 4 : 1;  // groups of groups
  logic [3:0] v, first_q, last_q;
  assign stays = v[2:0] != 0 || en || (v[3] && last_q[3]);
  assign word_valid = v[3];

  logic signed [31:0] masked[VEC], value_1[G], value_2[H], value_3[1];
  logic [4:0] lane_0[VEC], lane_1[G], lane_2[H], lane_3[1];
  for (genvar l = 0; l < VEC; l++) begin : gen_lane
    assign lane_0[l] = 5'(l);
    always_ff @(posedge clk) if (en) masked[l] <= mask[l] ? x[l] ^ INVERT : WORST;
  end
  vec_best #(.IN(VEC), .OUT(G)) u_first (.*, .en(v[0]), .x(masked), .x_lane(lane_0), .y(value_1), .y_lane(lane_1));
  vec_best #(.IN(G), .OUT(H)) u_second (.*, .en(v[1]), .x(value_1), .x_lane(lane_1), .y(value_2), .y_lane(lane_2));
  vec_best #(.IN(H), .OUT(1)) u_third (.*, .en(v[2]), .x(value_2), .x_lane(lane_2), .y(value_3), .y_lane(lane_3));
  assign word = value_3[0] ^ INVERT;
  assign word_lane = lane_3[0];

  logic signed [31:0] most;
  assign all = most ^ INVERT;
  always_ff @(posedge clk) begin
    v <= flush ? '0 : {v[2:0], en};
    all_valid <= v[3] && last_q[3] && !flush;
    first_q <= {first_q[2:0], first};
    last_q <= {last_q[2:0], last};
    if (v[3] && (first_q[3] || value_3[0] > most)) most <= value_3[0];
  end
endmodule
