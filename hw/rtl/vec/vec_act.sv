// Writes results to the activation buffer: word, lanes and banks of each word of results, halves of 16-bit probabilities,
// copies of probabilities and queries, zeros beyond the last element. One stage. A write outside the buffer is suppressed
// and reported.
module vec_act
  import accllm_vec_pkg::*;
#(
    parameter int LANES = 2,
    parameter int VEC = 8,
    parameter int ACT = 512
) (
    input  logic                       clk,
    input  logic                       flush,
    input  logic                       init,
    input  vop_t                       op,
    input  vsetup_t                    setup,
    input  logic    [            31:0] aux,
    input  logic    [             7:0] x,            // words between blocks of columns
    input  logic                       wide_head,    // QQ: wider than 64, without a copy
    input  logic    [             4:0] group,
    input  logic                       v,
    input  logic                       v_place,      // a copy, for where the next word goes
    input  logic                       last,
    input  logic    [         VEC-1:0] mask,
    input  logic    [            31:0] o      [VEC],
    input  logic    [             3:0] exponent,
    output logic                       w_valid,
    output logic    [$clog2(ACT)-1:0] w_addr,
    output logic    [       LANES-1:0] w_lanes,
    output logic    [            63:0] w_banks,
    output logic    [       VEC*8-1:0] w_even,
    output logic    [       VEC*8-1:0] w_odd,
    output logic    [             3:0] w_exp,
    output logic                       turns_bad,    // a cycle before `bad`
    output logic                       bad
);
  localparam int LL = $clog2(LANES);
  localparam int Q = VEC / 4;  // banks of a word of results
  localparam int W = $clog2(ACT);
  localparam int SW = (W > 8 ? W : 8) + 1;
  // A word, and above it whether it is or was past the buffer.
  typedef logic [W:0] place_t;
  function automatic place_t moved(input place_t from, input logic [7:0] by);
    logic [SW-1:0] sum;
    sum = SW'(from[W-1:0]) + SW'(by);
    return {from[W] || sum[SW-1:W] != 0, sum[W-1:0]};
  endfunction
  place_t at, row_at;  // word; first word of the row (SOFTMAX) or of the group of heads (QQ)
  logic [7:0] pos;  // column of the first element: in the word, or in the head or the 64 slots
  logic [LL-1:0] lane, first_lane;
  logic [4:0] in_group;
  // Copies of the record, which is looked at long before results come.
  (* keep *) logic takes, places, rotates, softmax, steps, doubles;
  always_ff @(posedge clk) {takes, places, softmax, steps} <= {{2{op.to_act}}, {2{op.softmax}}};
  always_ff @(posedge clk) {rotates, doubles} <= {op.qq, op.wide};
  (* keep *) logic begins;  // a cycle after `init`: the first result comes later
  always_ff @(posedge clk) begins <= init;
  wire here = v && takes;
  wire moves = v_place && places;
  wire outside = at[W];
  assign turns_bad = moves && outside;

  // Banks: one run; SOFTMAX a run in each of the four groups of a half; QQ two for narrow heads, 64 columns apart.
  wire [63:0] one = 64'((1 << Q) - 1) << pos[7:2];
  wire [7:0] run = 8'((1 << Q) - 1) << pos[4:2];
  wire [31:0] half = {4{run}};

  for (genvar l = 0; l < VEC; l++) begin : gen_lane
    wire [7:0] high = o[l][15:8] + {7'd0, o[l][7]};
    logic [7:0] even, odd;
    always_ff @(posedge clk) begin
      if (here) begin
        even <= !mask[l] ? 8'd0 : op.wide ? high : o[l][7:0];
        odd <= !mask[l] ? 8'd0 : o[l][7:0];
      end
    end
    assign w_even[l*8+:8] = even;
    assign w_odd[l*8+:8] = odd;
    wire unused = &{1'b0, o[l][31:16]};
  end
  always_ff @(posedge clk) begin
    w_valid <= here && !outside && !flush;
    bad <= here && outside && !flush;
    if (here) begin
      w_addr <= at[W-1:0];
      w_lanes <= (op.wide ? LANES'(3) : LANES'(1)) << lane;
      w_banks <= softmax ? (pos[5] ? {half, 32'd0} : {32'd0, half})
               : op.qq && !wide_head ? {32'd0, {2{one[15:0]}}} : one;
      w_exp <= exponent;
    end
    assert (!w_valid || (w_lanes != 0 && w_banks != 0)) else $error("activations: a word without a lane or a bank");
  end

  // Where the next word goes. Lane rows follow each other through the lanes, then to the next word.
  wire row_end = steps && last;
  wire wrap = steps ? pos[5:0] == 6'(64 - VEC) : pos == 8'(256 - VEC);
  logic [4:0] last_of_group;
  always_ff @(posedge clk) last_of_group <= group - 5'd1;
  wire group_end = in_group == last_of_group;
  wire [LL:0] lane_next = {1'b0, lane} + (doubles ? (LL + 1)'(2) : (LL + 1)'(1));
  place_t first_word, row_next, group_next;
  assign first_word = {setup.word_act[39:W] != 0, setup.word_act[W-1:0]};
  assign row_next = lane_next[LL] ? moved(row_at, 8'd1) : row_at;
  assign group_next = moved(row_at, x);
  always_ff @(posedge clk) begin
    if (begins) begin
      at <= first_word;
      row_at <= first_word;
      lane <= setup.row_act[LL-1:0];
      first_lane <= setup.row_act[LL-1:0];
      in_group <= '0;
      pos <= op.attq ? aux[7:0] : '0;
    end else if (moves) begin
      if (rotates) begin
        pos <= last ? '0 : pos + 8'(VEC);
        if (last) begin
          in_group <= group_end ? '0 : in_group + 5'd1;
          lane <= group_end ? first_lane : lane_next[LL-1:0];
          at <= group_end ? group_next : lane_next[LL] ? moved(at, 8'd1) : at;
          if (group_end) row_at <= group_next;
        end
      end else if (row_end) begin
        pos <= '0;
        lane <= lane_next[LL-1:0];
        at <= row_next;
        row_at <= row_next;
      end else begin
        pos <= wrap ? '0 : pos + 8'(VEC);
        if (wrap) at <= moved(at, x);
      end
    end
  end

  wire unused = &{1'b0, op, setup, aux};
endmodule
