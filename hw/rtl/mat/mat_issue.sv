// Walks the beats of the operations in order: parameter beats, scale beats, and value beats for all halves and lane-row
// steps, and says what the tiles do one cycle later (t1_*), when the beat and the activation word are there. Waits for
// beats on all channels, for accumulator entries and for parameter banks. Does not look at results.
module mat_issue
  import accllm_types_pkg::*;
  import accllm_regs_pkg::*;
  import accllm_mat_pkg::*;
#(
    parameter int ACT = 512,
    parameter int ENTRIES = 32,
    localparam int EW = $clog2(ENTRIES)
) (
    input  logic                     clk,
    input  logic                     rst,
    input  logic                     halt,
    input  logic    [           2:0] accepted,
    input  mat_op_t                  ops       [SLOTS],
    input  logic                     beats_valid,        // all channels
    output logic                     s_pop,
    output logic                     act_en,
    output logic    [$clog2(ACT)-1:0] act_addr,
    input  logic                     entry_free,         // one accumulator entry was read
    input  logic                     bank_free,          // one parameter beat is no longer needed
    output logic                     t1_param,
    output logic    [           1:0] t1_bank,
    output logic                     t1_scale,
    output logic    [           2:0] t1_sidx,
    output logic                     t1_decode,
    output format_t                  t1_format,
    output logic                     t1_half,
    output logic                     t1_unit,            // no group scales
    output logic                     t1_valid,
    output logic                     t1_first,
    output logic                     t1_last,
    output logic    [        EW-1:0] t1_entry,
    output fault_t                   fault,
    output logic                     stat_begin,
    output logic                     stat_busy,
    output logic                     stat_stream,
    output logic                     stat_out,
    output logic                     idle
);
  logic active;
  logic [2:0] issued;  // operations begun
  // The rest is for the drain walker:
  // verilator lint_off UNUSEDSIGNAL
  mat_op_t next;
  // verilator lint_on UNUSEDSIGNAL
  assign next = ops[issued[1:0]];
  wire avail = accepted != issued;

  // The operation, and where in it we are.
  kind_t kind;
  format_t format;
  logic pair;
  logic [15:0] pc, lsteps, ls;
  logic [31:0] beats, base, steps_left, beats_left, word;
  logic [7:0] x;
  logic [3:0] p_count;  // result steps until the next parameter beat
  logic [2:0] s_count;  // value beats since the last scale beat
  logic need_param, need_scale, half, first;
  logic [1:0] bank;
  logic [2:0] banks_used;
  logic [EW-1:0] entry;
  logic [EW:0] entries_used;

  wire begin_beat = ls == 0 && !(format == DENSE && half);
  wire end_ls = ls == lsteps - 16'd1;
  wire end_beat = end_ls && (format != DENSE || half);
  wire end_step = end_beat && beats_left == 32'd1;
  wire full = need_param ? banks_used == 3'(BANKS)
            : first && begin_beat && 32'(entries_used) + 32'(lsteps) > ENTRIES;
  wire begins = need_param || need_scale || begin_beat;
  wire run = active && !halt && !full && (beats_valid || !begins);
  wire value = run && !need_param && !need_scale;
  wire finish = value && end_step && steps_left == 32'd1;
  wire load = avail && !halt && (!active || finish);
  wire [31:0] address = word + 32'(ls);
  wire outside = address >= ACT;
  wire half_now = kind != KIND_K && half;

  assign s_pop = run && begins;
  assign act_en = value;
  assign act_addr = address[$clog2(ACT)-1:0];
  assign stat_begin = load;
  assign stat_busy = value;
  assign stat_stream = active && !halt && !full && !run;
  assign stat_out = active && !halt && full;
  assign idle = !active && !avail;

  always_ff @(posedge clk) begin
    if (rst) begin
      active <= 1'b0;
      issued <= '0;
    end else begin
      issued <= issued + 3'(load);
      if (load) active <= !next.empty && !next.fault;
      else if (finish) active <= 1'b0;
    end
  end

  always_ff @(posedge clk) begin
    if (load) begin
      kind <= next.kind;
      format <= next.format;
      pair <= next.pair;
      pc <= next.pc;
      lsteps <= next.lsteps;
      beats <= next.beats;
      base <= next.b;
      x <= next.x;
      steps_left <= next.steps;
      beats_left <= next.beats;
      word <= next.b;
      ls <= '0;
      p_count <= '0;
      s_count <= '0;
      need_param <= next.kind != KIND_V;
      need_scale <= next.kind == KIND_W && next.format != SPARSE;
      half <= 1'b0;
      first <= 1'b1;
    end else if (run && need_param) need_param <= 1'b0;
    else if (run && need_scale) need_scale <= 1'b0;
    else if (value) begin
      ls <= end_ls ? '0 : ls + 16'd1;
      if (end_ls) half <= format == SPARSE ? 1'b0 : !half;
      if (end_beat) begin
        beats_left <= beats_left - 32'd1;
        s_count <= s_count + 3'd1;
        need_scale <= kind == KIND_W && format != SPARSE && s_count == 3'd7;
        first <= 1'b0;
        if (format != FOUR || half) word <= word + 32'(x);
      end
      if (end_step) begin
        steps_left <= steps_left - 32'd1;
        beats_left <= beats;
        word <= base;
        half <= 1'b0;
        first <= 1'b1;
        p_count <= p_count + 4'd1;
        need_param <= kind != KIND_V && (pair ? p_count[2:0] == 3'd7 : p_count == 4'd15);
      end
    end
  end

  // Accumulator entries and parameter banks are used in turn.
  wire begin_step = value && first && begin_beat;
  always_ff @(posedge clk) begin
    if (rst) begin
      entry <= '0;
      entries_used <= '0;
      bank <= '0;
      banks_used <= '0;
    end else begin
      if (value && end_step) entry <= entry + EW'(lsteps);
      entries_used <= entries_used + (begin_step ? (EW + 1)'(lsteps) : '0) - (EW + 1)'(entry_free);
      bank <= bank + 2'(run && need_param);
      banks_used <= banks_used + 3'(run && need_param) - 3'(bank_free);
      assert (!entry_free || entries_used != 0)
      else $error("mat_issue: an entry was freed twice");
    end
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      t1_param  <= 1'b0;
      t1_scale  <= 1'b0;
      t1_decode <= 1'b0;
      t1_valid  <= 1'b0;
      fault <= '0;
    end else begin
      t1_param  <= run && need_param;
      t1_scale  <= run && !need_param && need_scale;
      t1_decode <= value && ls == 0;
      t1_valid  <= value && !outside;
      fault.valid <= (value && outside) || (load && next.fault);
      fault.code <= load && next.fault && next.illegal ? FAULT_ILLEGAL : FAULT_ONCHIP_RANGE;
      fault.pc <= load && next.fault ? next.pc : pc;
      fault.info <= load && next.fault ? 32'(next.rows) : address;
    end
    if (run) begin
      t1_bank <= bank;
      t1_sidx <= s_count;
      t1_format <= format;
      t1_half <= half_now;
      t1_unit <= kind != KIND_W;
      t1_first <= first && (format != DENSE || !half);
      t1_last <= beats_left == 32'd1 && (format != DENSE || half);
      t1_entry <= entry + EW'(ls);
    end
  end
endmodule
