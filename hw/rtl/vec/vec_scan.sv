// Finds the largest visible raw scores of the rows of a SOFTMAX, of its sinks and of its window slots apart, ahead of the
// lanes: while they work on a row it reads the next one, a word a cycle, through the score buffer's second port. Takes an
// operation as soon as it may start, also while the vector unit still works on another one. Holds up to two results, in
// order. Does not check operands: for bad ones it reads anything, and the operation faults.
module vec_scan
  import accllm_isa_pkg::*;
  import accllm_types_pkg::*;
  import accllm_vec_pkg::*;
#(
    parameter int LANES = 2,
    parameter int VEC = 8,
    parameter int SBUF = 1 << 12
) (
    input  logic                     clk,
    input  logic                     flush,
    // The next operation of the vector unit, and when it takes it.
    input  logic                     start_valid,
    input  logic                     start_ready,
    input  uop_t                     uop,
    input  consts_t                  consts,
    output logic                     r_en,
    output logic [$clog2(LANES)-1:0] r_lane,
    output logic [ $clog2(SBUF)-1:0] r_addr,
    input  logic [       VEC*32-1:0] r_data,
    output logic                     top_valid,
    output vtop_t                    top,
    input  logic                     take
);
  localparam int LV = $clog2(VEC);
  localparam int LL = $clog2(LANES);
  localparam int SW = $clog2(SBUF);
  localparam int AW = SW - LV;
  typedef enum logic [1:0] {IDLE, SETUP, SCAN} state_t;
  state_t state;
  uop_t u;
  logic begun;  // the next operation is known already
  logic [31:0] index;
  logic [4:0] rows;
  logic [1:0] held, count;  // rows begun, rows finished, less those taken
  logic wr, rd;

  wire wanted = start_valid && uop.op == OP_SOFTMAX && consts.sink_pad + uop.n != 0;
  wire enter = wanted && !begun && state == IDLE;
  wire [31:0] words = (consts.sink_pad + u.n) >> LV;
  wire first = index == 0;
  wire last = index == words - 32'd1;

  // Addresses and masks.
  wire [SW-1:0] base = u.m[LL+:SW] * consts.score_row[SW-1:0];
  logic [AW-1:0] row;
  logic sink;
  logic [VEC-1:0] mask;
  assign r_en = state == SCAN && (!first || held != 2'd2);
  vec_score_row #(.LANES(LANES), .WORD(AW)) u_row (
      .clk, .init(state == SETUP), .m(u.m), .base(base[SW-1:LV]), .step(consts.score_row[SW-1:LV]), .next(r_en && last),
      .lane(r_lane), .word(row)
  );
  vec_visible #(.VEC(VEC)) u_visible (
      .clk, .uop(u), .consts, .init(state == SETUP), .again(r_en && last), .step(r_en), .sink, .mask
  );
  assign r_addr = {row + index[AW-1:0], {LV{1'b0}}};

  always_ff @(posedge clk) begin
    if (flush) begin
      state <= IDLE;
      begun <= 1'b0;
    end else begin
      begun <= (begun || enter) && !(start_valid && start_ready);
      case (state)
        IDLE:
        if (enter) begin
          u <= uop;
          state <= SETUP;
        end
        SETUP: begin
          index <= '0;
          rows <= consts.gqa[4:0];
          state <= SCAN;
        end
        default:
        if (r_en) begin
          index <= last ? '0 : index + 32'd1;
          if (last) rows <= rows - 5'd1;
          if (last && rows == 5'd1) state <= IDLE;
        end
      endcase
      assert (!(wanted && start_ready) || begun || enter) else $error("score scan: an operation starts without it");
    end
  end

  // The largest of a word: memory output, groups of lanes, word.
  logic v1, v2, pending, all_valid, sink_1, first_1, last_1, sink_2, first_2, last_2, some_2;
  logic [VEC-1:0] mask_1;
  logic [4:0] lane;
  logic signed [31:0] x[VEC], word, all;
  for (genvar l = 0; l < VEC; l++) begin : gen_lane
    assign x[l] = r_data[l*32+:32];
  end
  vec_extreme #(.VEC(VEC)) u_most (
      .clk, .flush, .en(v1), .first(first_1), .last(last_1), .mask(mask_1), .x, .word_valid(v2), .word, .word_lane(lane),
      .all_valid, .all, .pending
  );
  always_ff @(posedge clk) begin
    v1 <= r_en && !flush;
    {sink_1, first_1, last_1, mask_1} <= {sink, first, last, mask};
    {sink_2, first_2, last_2, some_2} <= {sink_1, first_1, last_1, mask_1 != 0};
  end

  // Results, each gathered in its place.
  vtop_t entry[2];
  vtop_t grown;
  always_comb begin
    grown = entry[wr];
    if (first_2) {grown.sink_seen, grown.window_seen} = '0;
    if (some_2 && sink_2) begin
      if (!grown.sink_seen || word > grown.sink) grown.sink = word;
      grown.sink_seen = 1'b1;
    end
    if (some_2 && !sink_2) begin
      if (!grown.window_seen || word > grown.window) grown.window = word;
      grown.window_seen = 1'b1;
    end
  end
  assign top = entry[rd];
  assign top_valid = count != 0;
  wire more = v2 && last_2;
  wire begins = r_en && first;
  always_ff @(posedge clk) begin
    if (v2) entry[wr] <= grown;
    if (flush) begin
      {held, count, wr, rd} <= '0;
    end else begin
      if (more) wr <= !wr;
      if (take) rd <= !rd;
      if (begins != take) held <= begins ? held + 2'd1 : held - 2'd1;
      if (more != take) count <= more ? count + 2'd1 : count - 2'd1;
      assert (!take || top_valid) else $error("score scan: nothing to take");
    end
  end

  wire unused = &{1'b0, uop, u, consts, lane, all, all_valid, pending, index, base};
endmodule
