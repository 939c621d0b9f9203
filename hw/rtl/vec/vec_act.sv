// Writes results to the activation buffer: word, lanes and banks of each word of results, halves of 16-bit probabilities,
// copies of probabilities and queries, zeros beyond the last element. A write outside the buffer is suppressed and reported.
module vec_act
  import accllm_isa_pkg::*;
  import accllm_types_pkg::*;
  import accllm_vec_pkg::*;
#(
    parameter int LANES = 2,
    parameter int VEC = 8,
    parameter int ACT = 512
) (
    input  logic                    clk,
    input  vop_t                    op,
    input  uop_t                    uop,
    input  consts_t                 consts,
    input  logic                    init,
    input  logic [            39:0] first_word,
    input  logic [            31:0] first_row,   // QQ: m * GQA; SOFTMAX: its first lane row
    input  logic                    o_v,
    input  logic                    o_last,
    input  logic [         VEC-1:0] o_mask,
    input  logic [            31:0] o      [VEC],
    input  logic                    adv,
    output logic                    w_valid,
    output logic [$clog2(ACT)-1:0] w_addr,
    output logic [       LANES-1:0] w_lanes,
    output logic [            63:0] w_banks,
    output logic [       VEC*8-1:0] w_even,
    output logic [       VEC*8-1:0] w_odd,
    output logic                    bad
);
  localparam int LL = $clog2(LANES);
  localparam int Q = VEC / 4;  // banks of a word of results
  logic [39:0] word;
  logic [7:0] pos;  // column of the first element: in the word, or in the head or the 64 slots
  logic [31:0] row;  // QQ: lane row of the head; SOFTMAX: of the score row
  logic [4:0] in_group;
  wire wide_head = consts.hdp == 128;

  wire by_row = op.qq || op.softmax;
  wire [39:0] at = by_row ? word + 40'(row[31:LL]) : word;
  wire [LL:0] twice = {uop.m[LL-1:0], 1'b0};
  wire [LL-1:0] lane = by_row ? row[LL-1:0] : op.wide ? twice[LL-1:0] : uop.m[LL-1:0];
  wire here = o_v && op.to_act && adv;
  assign bad = here && at >= 40'(ACT);
  assign w_valid = here && !bad;
  assign w_addr = at[$clog2(ACT)-1:0];
  assign w_lanes = (op.wide ? LANES'(3) : LANES'(1)) << lane;

  // Banks: one run; SOFTMAX a run in each of the four groups of a half; QQ one in every head's worth of columns.
  wire [63:0] one = 64'((1 << Q) - 1) << pos[7:2];
  wire [7:0] run = 8'((1 << Q) - 1) << pos[4:2];
  wire [31:0] half = {4{run}};
  assign w_banks = op.softmax ? (pos[5] ? {half, 32'd0} : {32'd0, half})
                 : op.qq ? {32'd0, wide_head ? one[31:0] : {2{one[15:0]}}} : one;

  for (genvar l = 0; l < VEC; l++) begin : gen_lane
    wire [7:0] high = o[l][15:8] + {7'd0, o[l][7]};
    assign w_even[l*8+:8] = !o_mask[l] ? 8'd0 : op.wide ? high : o[l][7:0];
    assign w_odd[l*8+:8] = !o_mask[l] ? 8'd0 : o[l][7:0];
  end

  wire row_end = op.softmax && o_last;
  wire wrap = op.softmax ? pos[5:0] == 6'(64 - VEC) || row_end : op.qq ? o_last : pos == 8'(256 - VEC);
  wire group_end = in_group == consts.gqa[4:0] - 5'd1;
  always_ff @(posedge clk) begin
    if (init) begin
      word <= first_word;
      row <= first_row;
      in_group <= '0;
      pos <= op.attq ? uop.aux[7:0] : '0;
    end else if (here) begin
      pos <= wrap ? '0 : pos + 8'(VEC);
      if (op.qq && o_last) begin
        in_group <= group_end ? '0 : in_group + 5'd1;
        row <= group_end ? row - 32'(in_group) : row + 32'd1;
      end
      if (row_end) begin
        word <= first_word;
        row <= row + (op.wide ? 32'd2 : 32'd1);
      end else if (wrap && (!op.qq || group_end)) word <= word + {32'd0, uop.x};
    end
  end

  wire unused = &{1'b0, op, uop, consts, twice};
endmodule
