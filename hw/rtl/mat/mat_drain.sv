// Walks the results of the operations in order: reads finished accumulator entries, one row of all tiles a cycle (scores:
// all lanes of an entry at once), says what the tiles do with them (`drain`) and where the results go (`place`), and ends
// operations. All outputs are registered; an address outside its memory is found a cycle later and takes the place back
// (`place_valid` falls). Does not touch data.
module mat_drain
  import accllm_types_pkg::*;
  import accllm_regs_pkg::*;
  import accllm_mat_pkg::*;
#(
    parameter int CHANNELS = 2,
    parameter int LANES = 2,
    parameter int VEC = 8,
    parameter int VMEM = 65536,
    parameter int SBUF = 4096,
    parameter int ENTRIES = 32,  // two for each lane-row step
    localparam int EW = $clog2(ENTRIES),
    localparam int SW = EW - 1,
    localparam int LW = $clog2(LANES)
) (
    input  logic                clk,
    input  logic                rst,
    input  logic                halt,
    input  logic    [      2:0] accepted,
    input  logic                taken,              // an operation is being taken
    input  mat_op_t             ops       [SLOTS],
    input  logic    [      2:0] loaded,             // q_sums that are there
    input  logic    [     31:0] score_row,
    input  logic                finished,           // one more entry may be read from the next cycle on
    output logic                entry_free,
    output logic                bank_free,
    output drain_t              drain,
    output logic    [      1:0] drain_slot,         // with `drain`: whose q_sums
    output logic    [   SW-1:0] drain_step,         // lane-row step
    output place_t              place,              // one cycle after `drain`
    output logic                place_valid,
    output logic                place_done,         // the operation's last
    output fault_t              fault
);
  localparam int VWIDTH = 4 * CHANNELS < VEC ? 4 * CHANNELS : VEC;
  localparam int WORDS = 4 * CHANNELS / VWIDTH;
  localparam int RW = EW + LW;  // lane rows: half as many entries times LANES
  logic active, null_op;
  logic [2:0] drained;
  // The rest is for the issue walker:
  // verilator lint_off UNUSEDSIGNAL
  mat_op_t next;
  // verilator lint_on UNUSEDSIGNAL
  assign next = ops[drained[1:0]];

  kind_t kind;
  logic wide, pair;
  logic [15:0] pc;
  logic [RW-1:0] rows, rest;  // lane rows after the first: of the operation, from this step on
  logic [SW-1:0] ls;
  logic [31:0] seq, steps_left, stride, step_at, advance;
  logic [39:0] row_at;  // wide enough for 64 rows of any stride
  logic [LW-1:0] lane;
  logic [1:0] word;
  logic [3:0] p_count;
  logic [1:0] bank;
  logic [2:0] slot;
  logic [EW-1:0] entry;
  logic [EW:0] ready;
  logic have, several;  // ready entries: any, more than one
  logic avail, turn, keys, dims, ends_entry, last_ls, one_ls;  // K, V; ends of the counts
  logic last_step, summed;  // summed: the q_sums that the operation needs are there

  // The walk moves (`go`) when what it needs is there. `turn` says a cycle before that there is no operation or that this
  // is the last thing of one: what then comes is found while it is not yet known whether to move.
  wire run = active && !null_op && have && summed;
  wire go = !active || null_op || (have && summed);
  wire begin_op = avail && turn;
  wire load = go && begin_op;
  wire end_row = !dims || word == 2'(WORDS - 1);
  wire ends_step = ends_entry && last_ls;
  wire end_entry = run && ends_entry;
  wire [31:0] step_next = step_at + advance;

  // What is next when the operation goes on.
  logic [LW-1:0] n_lane, n_low;
  logic [1:0] n_word;
  logic n_last_ls, n_last_lane, n_last_step, n_ends_entry;
  always_comb begin
    n_word = end_row ? 2'd0 : word + 2'd1;
    n_lane = ends_entry ? LW'(wide) : !end_row ? lane : lane + (wide ? LW'(2) : LW'(1));
    n_last_ls = !ends_entry ? last_ls : last_ls ? one_ls : rest < RW'(2 * LANES);
    n_low = ends_step ? rows[LW-1:0] : rest[LW-1:0];
    n_last_lane = &n_lane || (n_last_ls && n_lane == n_low);
    n_last_step = !ends_step ? last_step : steps_left == 32'd2;
    n_ends_entry = keys || ((!dims || n_word == 2'(WORDS - 1)) && n_last_lane);
  end
  wire first_lane_last = (LANES == 2 && next.wide) || (next.one_lstep && next.rows == 16'(next.wide) + 16'd1);
  wire first_ends = next.kind == KIND_K || ((next.kind == KIND_W || WORDS == 1) && first_lane_last);

  assign entry_free = end_entry;
  assign bank_free = run && ends_step && kind != KIND_V && (last_step || (pair ? p_count == 4'd14 : p_count == 4'd15));

  always_ff @(posedge clk) begin
    if (rst) begin
      active <= 1'b0;
      turn <= 1'b1;
      avail <= 1'b0;
      null_op <= 1'b0;
      drained <= '0;
      entry <= '0;
      ready <= '0;
      have <= 1'b0;
      several <= 1'b0;
      bank <= '0;
    end else begin
      drained <= drained + 3'(load);
      avail <= !halt && (taken || (accepted != drained && !load));
      if (halt) begin
        active <= 1'b0;
        turn   <= 1'b1;
      end else if (go) begin
        active <= begin_op ? !next.fault : active && !turn;
        if (begin_op) turn <= next.fault || next.empty || (next.one_step && next.one_lstep && first_ends);
        else turn <= turn || (n_ends_entry && n_last_ls && n_last_step);
      end
      if (load) null_op <= next.empty;
      entry <= entry + EW'(end_entry);
      ready <= ready + (EW + 1)'(finished) - (EW + 1)'(end_entry);
      have <= finished || several || (have && !end_entry);
      several <= finished == end_entry ? several : finished ? have : ready > (EW + 1)'(2);
      bank  <= bank + 2'(bank_free);
      assert (!load || !(next.wide && next.rows[0]))
      else $error("mat_drain: half a wide row");
      assert (have == (ready != 0) && several == (ready > 1))
      else $error("mat_drain: flags of ready entries");
      assert (ready <= (EW + 1)'(ENTRIES))
      else $error("mat_drain: more entries than there are");
      assert (!active || null_op || last_step == (steps_left == 1))
      else $error("mat_drain: flag of the last step");
      assert (!active || null_op || (last_ls == (rest < RW'(LANES)) && turn == (ends_step && last_step)
              && ends_entry == (keys || (end_row && (&lane || (last_ls && lane == rest[LW-1:0]))))))
      else $error("mat_drain: flags of ends");
      assert (!load || accepted != drained)
      else $error("mat_drain: an operation that is not there");
    end
  end

  always_ff @(posedge clk) begin
    if (go) begin
      if (begin_op) begin
        kind <= next.kind;
        keys <= next.kind == KIND_K;
        dims <= next.kind == KIND_V;
        wide <= next.wide;
        pair <= next.pair;
        pc <= next.pc;
        rows <= RW'(next.rows - 16'd1);
        rest <= RW'(next.rows - 16'd1);
        ls <= '0;
        last_ls <= next.one_lstep;
        one_ls <= next.one_lstep;
        ends_entry <= first_ends;
        advance <= next.kind == KIND_W ? 32'(CHANNELS) : next.kind == KIND_V ? 32'(4 * CHANNELS)
                 : next.pair ? 32'(2 * CHANNELS) : 32'(CHANNELS);
        seq <= next.seq;
        steps_left <= next.steps;
        last_step <= next.one_step;
        stride <= next.kind == KIND_K ? score_row : next.aux;
        row_at <= 40'(next.c);
        step_at <= next.c;
        lane <= LW'(next.wide);
        word <= '0;
        p_count <= '0;
        slot <= drained;
      end else begin
        // Sums instead of conditions: `go` alone enables.
        word <= n_word;
        lane <= n_lane;
        last_ls <= n_last_ls;
        last_step <= n_last_step;
        ends_entry <= n_ends_entry;
        row_at <= ends_step ? 40'(step_next) : row_at + (end_row ? 40'(stride) : 40'd0);
        ls <= ends_step ? {SW{1'b0}} : ls + SW'(ends_entry);
        rest <= ends_step ? rows : rest - (ends_entry ? RW'(LANES) : RW'(0));
        step_at <= step_at + (ends_step ? advance : 32'd0);
        steps_left <= steps_left - 32'(ends_step);
        p_count <= p_count + (!ends_step ? 4'd0 : pair ? 4'd2 : 4'd1);
      end
    end
    summed <= load ? next.kind != KIND_K || loaded != drained : summed || loaded != slot;
  end

  // What the tiles do, and where in 40 bits.
  logic [39:0] at;
  logic [31:0] align;
  logic [15:0] at_pc;
  logic [1:0] at_word;
  logic [LANES-1:0] at_lanes;
  logic [31:0] at_seq;
  logic at_done;
  always_ff @(posedge clk) begin
    drain <= '{
        valid: run && !rst,
        kind: kind,
        entry: ENTRY_BITS'(entry),
        lane: LANE_BITS'(lane),
        bank: bank,
        param: p_count,
        wide: wide,
        pair: pair
    };
    drain_slot <= slot[1:0];
    drain_step <= ls;
    at <= row_at + 40'(word) * 40'(VWIDTH);
    align <= kind == KIND_W ? 32'(CHANNELS - 1) : kind == KIND_V ? 32'(VWIDTH - 1)
           : pair ? 32'(2 * CHANNELS - 1) : 32'(CHANNELS - 1);
    at_pc <= pc;
    at_word <= word;
    for (int l = 0; l < LANES; l++) at_lanes[l] <= rest >= RW'(l);
    at_seq <= seq;
    at_done <= active && go && turn && !halt && !rst;
  end

  wire outside = at >= (drain.kind == KIND_K ? 40'(SBUF) : 40'(VMEM)) || (at[31:0] & align) != 0;
  always_ff @(posedge clk) begin
    place <= '{
        kind: drain.kind,
        pair: drain.pair,
        word: at_word,
        lanes: (2 ** LANE_BITS)'(at_lanes),
        addr: at[31:0],
        seq: at_seq
    };
    place_valid <= drain.valid && !outside && !rst;
    place_done <= at_done && !rst;
    fault <= '{valid: drain.valid && outside && !rst, code: FAULT_ONCHIP_RANGE, pc: at_pc, info: at[31:0]};
  end
endmodule
