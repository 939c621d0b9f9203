// Walks the results of the operations in order: reads finished accumulator entries, one row of all tiles a cycle (scores:
// all lanes of an entry at once), says where the results go, and ends operations. Cycle d0 reads the entry; d1..d5 follow
// the values through tile_finish. Does not touch data.
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
    input  mat_op_t             ops       [SLOTS],
    input  logic    [      2:0] loaded,             // q_sums that are there
    input  logic    [     31:0] score_row,
    input  logic                finished,           // one more entry holds its sums
    output logic                entry_free,
    output logic                bank_free,
    output logic                d0_valid,
    output kind_t               d0_kind,
    output logic    [   EW-1:0] d0_entry,
    output logic    [   LW-1:0] d0_lane,
    output logic    [      1:0] d0_bank,
    output logic    [      3:0] d0_param,
    output logic    [      1:0] d0_slot,
    output logic    [   SW-1:0] d0_step,            // lane-row step
    output logic                d0_wide,
    output logic                d0_pair,
    output logic    [      1:0] d0_word,            // V: which vector word of the row
    output logic    [LANES-1:0] d0_lanes,           // K: lanes with rows
    output logic    [     31:0] d0_addr,
    output logic    [     31:0] d0_seq,
    output logic                d0_done,            // the operation's last
    output fault_t              fault
);
  localparam int VWIDTH = 4 * CHANNELS < VEC ? 4 * CHANNELS : VEC;
  localparam int WORDS = 4 * CHANNELS / VWIDTH;
  logic active, null_op;
  logic [2:0] drained;
  // The rest is for the issue walker:
  // verilator lint_off UNUSEDSIGNAL
  mat_op_t next;
  // verilator lint_on UNUSEDSIGNAL
  assign next = ops[drained[1:0]];
  wire avail = accepted != drained;

  kind_t kind;
  logic wide, pair;
  logic [15:0] pc, rows, lsteps, ls, rows_left;
  logic [31:0] seq, steps_left, aux, step_at;
  logic [39:0] row_at, at;  // wide enough for 64 rows of any stride
  logic [LW-1:0] lane;
  logic [1:0] word;
  logic [3:0] p_count;
  logic [1:0] bank;
  logic [2:0] slot;
  logic [EW-1:0] entry;
  logic [EW:0] ready;

  wire run = active && !halt && !null_op && ready != 0 && (kind != KIND_K || loaded != slot);
  wire end_row = kind != KIND_V || word == 2'(WORDS - 1);
  wire end_entry = kind == KIND_K || (end_row && (&lane || 16'(lane) + 16'd1 == rows_left));
  wire end_step = end_entry && ls == lsteps - 16'd1;
  wire finish = active && !halt && (null_op || (run && end_step && steps_left == 32'd1));
  wire load = avail && !halt && (!active || finish);
  wire [31:0] step_next = step_at + (kind == KIND_W ? 32'(CHANNELS) : kind == KIND_V ? 32'(4 * CHANNELS)
                        : pair ? 32'(2 * CHANNELS) : 32'(CHANNELS));
  wire [31:0] align = kind == KIND_W ? 32'(CHANNELS - 1) : kind == KIND_V ? 32'(VWIDTH - 1)
                    : pair ? 32'(2 * CHANNELS - 1) : 32'(CHANNELS - 1);
  wire outside = at >= (kind == KIND_K ? 40'(SBUF) : 40'(VMEM)) || (at[31:0] & align) != 0;
  wire end_group = run && end_step && kind != KIND_V
                && (steps_left == 32'd1 || (pair ? p_count == 4'd14 : p_count == 4'd15));

  assign entry_free = run && end_entry;
  assign bank_free = end_group;
  assign d0_valid = run && !outside;
  assign d0_kind = kind;
  assign d0_entry = entry;
  assign d0_lane = lane;
  assign d0_bank = bank;
  assign d0_param = p_count;
  assign d0_slot = slot[1:0];
  assign d0_step = ls[SW-1:0];
  assign d0_wide = wide;
  assign d0_pair = pair;
  assign d0_word = word;
  assign at = row_at + 40'(word) * 40'(VWIDTH);
  assign d0_addr = at[31:0];
  assign d0_seq = seq;
  assign d0_done = finish;
  for (genvar l = 0; l < LANES; l++) begin : gen_lanes
    assign d0_lanes[l] = rows_left > 16'(l);
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      active <= 1'b0;
      null_op <= 1'b0;
      drained <= '0;
      entry <= '0;
      ready <= '0;
      bank <= '0;
      fault <= '0;
    end else begin
      drained <= drained + 3'(load);
      if (load) active <= !next.fault;
      else if (finish) active <= 1'b0;
      if (load) null_op <= next.empty;
      entry <= entry + EW'(entry_free);
      ready <= ready + (EW + 1)'(finished) - (EW + 1)'(entry_free);
      bank  <= bank + 2'(end_group);
      fault <= '{valid: run && outside, code: FAULT_ONCHIP_RANGE, pc: pc, info: d0_addr};
      assert (!load || !(next.wide && next.rows[0]))
      else $error("mat_drain: half a wide row");
    end
  end

  always_ff @(posedge clk) begin
    if (load) begin
      kind <= next.kind;
      wide <= next.wide;
      pair <= next.pair;
      pc <= next.pc;
      rows <= next.rows;
      lsteps <= next.lsteps;
      ls <= '0;
      rows_left <= next.rows;
      seq <= next.seq;
      steps_left <= next.steps;
      aux <= next.aux;
      row_at <= 40'(next.c);
      step_at <= next.c;
      lane <= LW'(next.wide);
      word <= '0;
      p_count <= '0;
      slot <= drained;
    end else if (run) begin
      word <= end_row ? '0 : word + 2'd1;
      if (end_row) begin
        lane   <= end_entry ? LW'(wide) : lane + (wide ? LW'(2) : LW'(1));
        row_at <= end_step ? 40'(step_next) : row_at + 40'(kind == KIND_K ? score_row : aux);
      end
      if (end_entry) begin
        ls <= end_step ? '0 : ls + 16'd1;
        rows_left <= end_step ? rows : rows_left - 16'(LANES);
      end
      if (end_step) begin
        step_at <= step_next;
        steps_left <= steps_left - 32'd1;
        p_count <= p_count + (pair ? 4'd2 : 4'd1);
      end
    end
  end
endmodule
