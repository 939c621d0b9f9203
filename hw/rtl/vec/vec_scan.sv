// Finds the largest visible raw scores of the rows of a SOFTMAX, of its sinks and of its window slots apart, ahead of the
// lanes: while they work on a row it reads the next one, a word a cycle, through the score buffer's second port. Takes an
// operation when the vector unit does, which may still work on another one. Holds up to two results, in order. Does not
// check operands: for bad ones it reads anything, and the operation faults.
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
    input  logic                     start,      // an operation is taken
    input  uop_t                     uop,
    input  consts_t                  consts,
    output logic                     idle_next,  // nothing is read after this cycle, if nothing starts
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
  localparam int SETUP = 5;  // cycles that vec_visible needs
  localparam int DELAY = READ_LATENCY + 1;  // from a step to its data
  typedef enum logic [1:0] {IDLE, WAIT, READY, SCAN} state_t;
  state_t state;
  logic [31:0] a, b, m, n;  // operands
  logic [2:0] waited;
  wire [31:0] slots = consts.sink_pad + n;
  logic [31:0] words, left;
  logic none;
  logic [AW-1:0] index;
  logic first, last, single;
  logic [4:0] rows;
  logic [1:0] held, count;  // rows begun, rows finished, less those taken
  logic wr, rd;

  wire step = state == SCAN && (!first || held != 2'd2);
  wire row_end = step && last;
  wire idle = state == IDLE;
  assign idle_next = idle || (row_end && rows == 5'd1);

  // Addresses and masks.
  logic [SW-1:0] base;
  logic [AW-1:0] row;
  logic [LL-1:0] lane;
  logic sink_1;
  logic [VEC-1:0] seen_3;
  wire ready = state == READY;
  wire waits = state == WAIT;
  vec_score_row #(.LANES(LANES), .WORD(AW)) u_row (
      .*,
      .init(ready), .base(base[SW-1:LV]), .step(consts.score_row[SW-1:LV]), .next(row_end),
      .word(row)
  );
  logic again;
  assign again = ready || row_end;
  vec_visible #(.VEC(VEC)) u_visible (
      .*,
      .position(a), .ring_pointer(b), .init(waits), .sink(sink_1), .mask(seen_3)
  );

  always_ff @(posedge clk) begin
    words <= slots >> LV;
    none <= slots == 0;
    single <= words == 32'd1;
    base <= m[LL+:SW] * consts.score_row[SW-1:0];
    if (flush) begin
      state <= IDLE;
      r_en <= 1'b0;
    end else begin
      r_en <= step;
      case (state)
        IDLE:
        if (start) begin
          {a, b, m, n} <= {uop.a, uop.b, uop.m, uop.n};
          waited <= '0;
          if (uop.op == OP_SOFTMAX) state <= WAIT;
        end
        WAIT: begin
          waited <= waited + 3'd1;
          if (waited == 3'(SETUP - 1)) state <= none ? IDLE : READY;
        end
        READY: begin
          index <= '0;
          left <= words;
          first <= 1'b1;
          last <= single;
          rows <= consts.gqa[4:0];
          state <= SCAN;
        end
        default:
        if (step) begin
          index <= last ? '0 : index + 1'b1;
          left <= last ? words : left - 32'd1;
          first <= last;
          last <= last ? single : left == 32'd2;
          if (last) rows <= rows - 5'd1;
          if (last && rows == 5'd1) state <= IDLE;
        end
      endcase
      assert (!start || uop.op != OP_SOFTMAX || idle) else $error("score scan: an operation while another one is read");
    end
    if (step) begin
      r_lane <= lane;
      r_addr <= {row + index, {LV{1'b0}}};
    end
  end

  // With the data: flags and masks of the step.
  typedef struct packed {
    logic v, sink, first, last;
  } word_t;
  localparam int TREE = 4;  // stages of vec_extreme
  word_t flow[DELAY+TREE:1];
  logic [VEC-1:0] seen[DELAY:4];
  logic some[DELAY+TREE:DELAY+1];
  always_ff @(posedge clk) begin
    flow[1] <= '{v: step && !flush, sink: 1'b0, first: first, last: last};
    for (int s = 2; s <= DELAY + TREE; s++) begin
      flow[s] <= flow[s-1];
      if (flush) flow[s].v <= 1'b0;
    end
    flow[2].sink <= sink_1;
    seen[4] <= seen_3;
    for (int s = 5; s <= DELAY; s++) seen[s] <= seen[s-1];
    some[DELAY+1] <= seen[DELAY] != 0;
    for (int s = DELAY + 2; s <= DELAY + TREE; s++) some[s] <= some[s-1];
  end

  // The largest of a word.
  logic stays, all_valid, word_valid;
  logic [4:0] word_lane;
  logic signed [31:0] x[VEC], word, all;
  for (genvar l = 0; l < VEC; l++) begin : gen_lane
    assign x[l] = r_data[l*32+:32];
  end
  vec_extreme #(.VEC(VEC)) u_most (
      .*,
      .en(flow[DELAY].v), .first(1'b1), .last(1'b0), .mask(seen[DELAY])
  );

  // A row's result, and the results that wait.
  vtop_t row_top, grown, entry[2];
  word_t done;
  logic more;
  assign done = flow[DELAY+TREE];
  wire found = some[DELAY+TREE];
  always_comb begin
    grown = row_top;
    if (done.first) {grown.sink_seen, grown.window_seen} = '0;
    if (found && done.sink) begin
      if (!grown.sink_seen || word > row_top.sink) grown.sink = word;
      grown.sink_seen = 1'b1;
    end
    if (found && !done.sink) begin
      if (!grown.window_seen || word > row_top.window) grown.window = word;
      grown.window_seen = 1'b1;
    end
  end
  assign top = entry[rd];
  assign top_valid = count != 0;
  wire begins = step && first;
  always_ff @(posedge clk) begin
    if (done.v) row_top <= grown;
    if (more) entry[wr] <= row_top;
    more <= done.v && done.last && !flush;
    if (flush) begin
      {held, count, wr, rd} <= '0;
    end else begin
      if (more) wr <= !wr;
      if (take) rd <= !rd;
      if (begins != take) held <= begins ? held + 2'd1 : held - 2'd1;
      if (more != take) count <= more ? count + 2'd1 : count - 2'd1;
      assert (!take || top_valid) else $error("score scan: nothing to take");
      assert (held <= 2'd2 && count <= held) else $error("score scan: %0d rows, %0d held", count, held);
      assert (word_valid == done.v) else $error("score scan: a maximum without its word");
    end
  end

  wire unused = &{1'b0, uop, consts, word_lane, all, all_valid, stays, base, m};
endmodule
