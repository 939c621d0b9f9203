// Walks the beats of the operations in order: parameter beats, scale beats, and value beats for all halves and lane-row
// steps, and says what the tiles do (`step`, `acc`). Waits for rows of beats, for accumulator entries and for parameter
// banks; what it waits for, and the ends of its counts, are flags known a cycle before. Does not look at results.
module mat_issue
  import accllm_types_pkg::*;
  import accllm_regs_pkg::*;
  import accllm_mat_pkg::*;
#(
    parameter int CHANNELS = 2,
    parameter int FIFO = 64,
    parameter int ACT = 512,
    parameter int ENTRIES = 32,
    localparam int EW = $clog2(ENTRIES)
) (
    input  logic                     clk,
    input  logic                     rst,
    input  logic                     halt,
    input  logic    [           2:0] accepted,
    input  logic                     taken,              // an operation is being taken
    input  mat_op_t                  ops       [SLOTS],
    input  logic                     row,                // one more row of beats is there
    output logic    [  CHANNELS-1:0] s_pop,              // a copy for every channel
    output logic                     act_en,             // with s_pop
    output logic    [$clog2(ACT)-1:0] act_addr,
    input  logic                     entry_free,         // one accumulator entry was read
    input  logic                     bank_free,          // one parameter beat is no longer needed
    output step_t                    step,               // with s_pop
    output acc_t                     acc,
    output logic                     last,               // acc is the entry's last
    output fault_t                   fault,
    output logic                     stat_begin,
    output logic                     stat_busy,
    output logic                     stat_stream,
    output logic                     stat_out,
    output logic                     idle
);
  localparam int RW = $clog2(FIFO) + 1;
  logic active;
  logic [2:0] issued;  // operations begun
  // The rest is for the drain walker:
  // verilator lint_off UNUSEDSIGNAL
  mat_op_t next;
  // verilator lint_on UNUSEDSIGNAL
  assign next = ops[issued[1:0]];

  // The operation, and where in it we are.
  kind_t kind;
  format_t format;
  logic pair, one_lstep, one_beat;
  logic [15:0] pc;
  logic [EW-1:0] lsteps, ls, ls_left;
  logic [31:0] beats, base, steps_left, beats_left, word;
  logic [7:0] x;
  logic [3:0] p_count;  // result steps until the next parameter beat
  logic [2:0] s_count;  // value beats since the last scale beat
  logic need_param, need_scale, dense, scaled, two_halves, half, first;
  // What the next thing is: a value, the last of a beat or step; takes a row of beats, an accumulator entry.
  logic avail, turn, valued, end_beat, end_step, begins, opens;
  logic first_ls, last_ls, last_beat, last_step;
  // What there is; `blocked`: no room for the next thing.
  logic [RW-1:0] rows;
  logic [1:0] bank;
  logic [2:0] banks_used;
  logic [EW-1:0] entry;
  logic [EW:0] entries_used;
  logic have_row, have_rows, banks_full, entries_full, blocked;

  // The walk moves (`go`) when nothing that the next thing needs is missing. `turn` says a cycle before that there is no
  // operation or that this is the last thing of one: what then comes is found while it is not yet known whether to move.
  wire go = !active || (!blocked && (have_row || !begins));
  wire run = active && !blocked && (have_row || !begins);
  wire begin_op = avail && turn;
  wire param = run && need_param;
  wire value = run && valued;
  wire pop = run && begins;
  wire [31:0] address = word + 32'(ls);
  wire begins_active = !next.empty && !next.fault;
  // What `go` is made of, in copies: this one enables the walk's registers, of which there are hundreds.
  (* keep *) logic walk_active, walk_blocked, walk_row, walk_begins;
  wire walk = !walk_active || (!walk_blocked && (walk_row || !walk_begins));
  // And these say that an operation is loaded.
  (* keep *) logic load_active, load_blocked, load_row, load_begins, load_avail, load_turn;
  wire load = load_avail && load_turn && (!load_active || (!load_blocked && (load_row || !load_begins)));
  logic active_next, blocked_next, row_next, begins_next, avail_next, turn_next;
  always_ff @(posedge clk) begin
    active <= active_next;
    blocked <= blocked_next;
    have_row <= row_next;
    begins <= begins_next;
    walk_active <= active_next;
    walk_blocked <= blocked_next;
    walk_row <= row_next;
    walk_begins <= begins_next;
    {load_active, load_blocked, load_row, load_begins} <= {active_next, blocked_next, row_next, begins_next};
    {load_avail, load_turn} <= {avail_next, turn_next};
    avail <= avail_next;
    turn <= turn_next;
    assert (rst || (walk == go && load == (go && begin_op))) else $error("mat_issue: copies of what moves the walk");
  end

  // What is next when the operation goes on. Sums and gates instead of conditions: `go` alone enables registers.
  logic n_param, n_scale, n_value, n_half, n_first, n_first_ls, n_last_ls, n_last_beat, n_last_step, n_end_beat, n_end_step, n_opens;
  always_comb begin
    n_param = end_step && kind != KIND_V && (pair ? p_count[2:0] == 3'd7 : p_count == 4'd15);
    n_scale = (need_param && need_scale) || (end_beat && scaled && s_count == 3'd7);
    n_half = two_halves && (half ^ (valued && last_ls)) && !end_step;
    n_first = (first && !end_beat) || end_step;
    n_first_ls = valued ? last_ls : first_ls;
    n_last_ls = !valued ? last_ls : last_ls ? one_lstep : ls_left == EW'(2);
    n_last_beat = !end_beat ? last_beat : last_beat ? one_beat : beats_left == 32'd2;
    n_last_step = !end_step ? last_step : steps_left == 32'd2;
    n_value = !n_param && !n_scale;
    n_end_beat = n_value && n_last_ls && (!dense || n_half);
    n_end_step = n_end_beat && n_last_beat;
    n_opens = n_value && n_first && !(dense && n_half);
  end

  always_comb begin
    avail_next = !rst && !halt && (taken || (accepted != issued && !load));
    if (!go) turn_next = turn;
    else if (begin_op) turn_next = !begins_active || (next.kind == KIND_V && next.one_step && next.one_beat && next.one_lstep);
    else turn_next = turn || (n_end_step && n_last_step);
    if (rst || halt) turn_next = 1'b1;
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      issued <= '0;
    end else begin
      issued <= issued + 3'(load);
      assert (!active || turn == (end_step && last_step))
      else $error("mat_issue: flag of the operation's end");
      assert (!active || (valued == !(need_param || need_scale) && end_step == (end_beat && last_beat)
                          && end_beat == (valued && last_ls && (!dense || half))))
      else $error("mat_issue: flags of ends");
      assert (!active || (begins == (!valued || (first_ls && !(dense && half)))
                          && opens == (valued && first && !(dense && half))))
      else $error("mat_issue: flags of what is needed");
      assert (!load || accepted != issued)
      else $error("mat_issue: an operation that is not there");
    end
  end

  always_ff @(posedge clk) begin
    if (walk) begin
      if (begin_op) begin
        kind <= next.kind;
        format <= next.format;
        dense <= next.format == DENSE;
        scaled <= next.kind == KIND_W && next.format != SPARSE;
        two_halves <= next.format != SPARSE;
        pair <= next.pair;
        one_lstep <= next.one_lstep;
        one_beat <= next.one_beat;
        pc <= next.pc;
        lsteps <= next.lsteps[EW-1:0];
        beats <= next.beats;
        base <= next.b;
        x <= next.x;
        steps_left <= next.steps;
        beats_left <= next.beats;
        word <= next.b;
        ls <= '0;
        ls_left <= next.lsteps[EW-1:0];
        p_count <= '0;
        s_count <= '0;
        need_param <= next.kind != KIND_V;
        need_scale <= next.kind == KIND_W && next.format != SPARSE;
        half <= 1'b0;
        first <= 1'b1;
        first_ls <= 1'b1;
        last_ls <= next.one_lstep;
        last_beat <= next.one_beat;
        last_step <= next.one_step;
        opens <= next.kind == KIND_V;
        valued <= next.kind == KIND_V;
        end_beat <= next.kind == KIND_V && next.one_lstep;
        end_step <= next.kind == KIND_V && next.one_lstep && next.one_beat;
      end else begin
        need_param <= n_param;
        need_scale <= n_scale;
        half <= n_half;
        first <= n_first;
        first_ls <= n_first_ls;
        last_ls <= n_last_ls;
        last_beat <= n_last_beat;
        last_step <= n_last_step;
        valued <= n_value;
        end_beat <= n_end_beat;
        end_step <= n_end_step;
        opens <= n_opens;
        ls <= last_ls ? {EW{1'b0}} : ls + EW'(valued);
        ls_left <= valued && last_ls ? lsteps : ls_left - EW'(valued);
        s_count <= s_count + 3'(end_beat);
        p_count <= p_count + 4'(end_step);
        beats_left <= end_step ? beats : beats_left - 32'(end_beat);
        steps_left <= steps_left - 32'(end_step);
        word <= end_step ? base : word + (end_beat && (format != FOUR || half) ? 32'(x) : 32'd0);
      end
    end
  end

  // Rows of beats; accumulator entries and parameter banks, which are used in turn. A flag is set from what is counted
  // and the one or two events that may come now.
  wire open = value && opens;
  // Full in the next cycle: banks unless one is taken now, and then none is next; entries if the walk moves now or not.
  wire banks_stay = banks_full && !bank_free;
  wire entries_stay = entries_full && !entry_free;
  wire entries_fill = active && opens ? entries_used == (EW + 1)'(ENTRIES - 1) && !entry_free : entries_stay;
  always_comb begin
    if (!go) blocked_next = (need_param && banks_stay) || (opens && entries_stay);
    else if (begin_op) blocked_next = next.kind == KIND_V ? entries_fill : banks_stay;
    else blocked_next = (n_param && banks_stay) || (n_opens && entries_fill);
    row_next = row || have_rows || (have_row && !pop);
    begins_next = !go ? begins : begin_op || !n_value || (n_first_ls && !(dense && n_half));
    active_next = !go ? active : begin_op ? begins_active : active && !turn;
    if (rst) {blocked_next, row_next} = '0;
    if (rst || halt) active_next = 1'b0;
  end
  always_ff @(posedge clk) begin
    if (rst) begin
      rows <= '0;
      have_rows <= 1'b0;
      entry <= '0;
      entries_used <= '0;
      entries_full <= 1'b0;
      bank <= '0;
      banks_used <= '0;
      banks_full <= 1'b0;
    end else begin
      rows <= rows + RW'(row) - RW'(pop);
      have_rows <= row == pop ? have_rows : row ? have_row : rows > RW'(2);
      if (value && end_step) entry <= entry + lsteps;
      entries_used <= entries_used + (EW + 1)'(open) - (EW + 1)'(entry_free);
      entries_full <= open == entry_free ? entries_full : open && entries_used == (EW + 1)'(ENTRIES - 1);
      bank <= bank + 2'(param);
      banks_used <= banks_used + 3'(param) - 3'(bank_free);
      banks_full <= param == bank_free ? banks_full : param && banks_used == 3'(BANKS - 1);
      assert (!entry_free || entries_used != 0)
      else $error("mat_issue: an entry was freed twice");
      assert (!bank_free || banks_used != 0)
      else $error("mat_issue: a parameter beat was freed twice");
      assert (have_row == (rows != 0) && have_rows == (rows > 1))
      else $error("mat_issue: flags of rows");
      assert (entries_full == (entries_used == (EW + 1)'(ENTRIES)) && banks_full == (banks_used == 3'(BANKS)))
      else $error("mat_issue: flags of entries and banks");
      assert (!active || (last_ls == (ls == lsteps - EW'(1)) && last_beat == (beats_left == 1)
                          && last_step == (steps_left == 1)))
      else $error("mat_issue: flags of the ends of counts");
    end
  end

  // Outputs. An address outside is known a cycle after its step, long before the sums are read.
  logic [31:0] address_q;
  logic [15:0] pc_q, bad_pc, bad_rows;
  logic bad, illegal;
  wire outside = act_en && address_q >= ACT;
  assign act_addr = address_q[$clog2(ACT)-1:0];
  for (genvar c = 0; c < CHANNELS; c++) begin : gen_pop
    (* keep *) logic q;
    always_ff @(posedge clk) q <= pop && !rst;
    assign s_pop[c] = q;
  end
  always_ff @(posedge clk) begin
    act_en <= value && !rst;
    address_q <= address;
    pc_q <= pc;
    bad <= load && next.fault && !rst;
    illegal <= next.illegal;
    bad_pc <= next.pc;
    bad_rows <= next.rows;
    fault <= '{
        valid: (outside || bad) && !rst,
        code: bad && illegal ? FAULT_ILLEGAL : FAULT_ONCHIP_RANGE,
        pc: bad ? bad_pc : pc_q,
        info: bad ? 32'(bad_rows) : address_q
    };
    stat_begin <= load && !rst;
    stat_busy <= value && !rst;
    stat_stream <= active && !blocked && !run && !rst;
    stat_out <= active && blocked && !rst;
    idle <= !active && accepted == issued;
    step <= '{
        param: param && !rst,
        bank: bank,
        scale: run && !need_param && need_scale && !rst,
        index: s_count,
        decode: value && first_ls && !rst,
        format: format,
        half: half,
        unit: kind != KIND_W,
        valid: value && !rst
    };
    acc <= '{valid: value && !rst, first: opens, entry: ENTRY_BITS'(entry + ls)};
    last <= value && last_beat && (!dense || half) && !rst;
  end
endmodule
