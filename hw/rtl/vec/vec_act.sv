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
    input  vnext_t                     next,         // what begins with `init`
    input  vop_t                       op,
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
  logic [39:0] at, row_at;  // word; first word of the row (SOFTMAX) or of the group of heads (QQ)
  logic [7:0] pos;  // column of the first element: in the word, or in the head or the 64 slots
  logic [LL-1:0] lane, first_lane;
  logic [4:0] in_group;
  // Copies of the record, which is looked at long before results come.
  (* keep *) logic takes, places, rotates, softmax, steps;
  always_ff @(posedge clk) {takes, places, softmax, steps} <= {{2{op.to_act}}, {2{op.softmax}}};
  always_ff @(posedge clk) rotates <= op.qq;
  wire here = v && takes;
  wire moves = v_place && places;
  wire outside = at >= 40'(ACT);
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
      w_addr <= at[$clog2(ACT)-1:0];
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
  wire [LL:0] lane_next = {1'b0, lane} + (op.wide ? (LL + 1)'(2) : (LL + 1)'(1));
  wire [39:0] row_next = row_at + 40'(lane_next[LL]);
  always_ff @(posedge clk) begin
    if (init) begin
      at <= next.setup.word_act;
      row_at <= next.setup.word_act;
      lane <= next.setup.row_act[LL-1:0];
      first_lane <= next.setup.row_act[LL-1:0];
      in_group <= '0;
      pos <= next.op.attq ? next.uop.aux[7:0] : '0;
    end else if (moves) begin
      if (rotates) begin
        pos <= last ? '0 : pos + 8'(VEC);
        if (last) begin
          in_group <= group_end ? '0 : in_group + 5'd1;
          lane <= group_end ? first_lane : lane_next[LL-1:0];
          at <= group_end ? row_at + 40'(x) : at + 40'(lane_next[LL]);
          if (group_end) row_at <= row_at + 40'(x);
        end
      end else if (row_end) begin
        pos <= '0;
        lane <= lane_next[LL-1:0];
        at <= row_next;
        row_at <= row_next;
      end else begin
        pos <= wrap ? '0 : pos + 8'(VEC);
        if (wrap) at <= at + 40'(x);
      end
    end
  end

  wire unused = &{1'b0, op, next};
endmodule
