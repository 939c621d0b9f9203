// Turns SILU's 20-bit results into int8 with one exponent for 256 columns (docs/numerics.md): keeps the words of a block
// until it knows the smallest exponent with which all of them round to int8, then hands them on, rounded, while the next
// block comes in: a word a cycle. Holds two blocks; does not know addresses.
module vec_block #(
    parameter int VEC = 8
) (
    input  logic               clk,
    input  logic               flush,
    input  logic               init,       // an operation begins, and with it a block
    input  logic               in_valid,
    input  logic               in_last,    // of the operation
    input  logic [VEC-1:0]     mask,       // elements; the others count as 0
    input  logic [     31:0]   x    [VEC], // -2^19..255*2^11-1
    output logic               out_valid,
    output logic [      7:0]   y    [VEC],
    output logic [      3:0]   e,
    output logic               stays       // something is here after this cycle, also if nothing comes in
);
  localparam int WORDS = 256 / VEC;
  localparam int AW = $clog2(WORDS) + 1;
  // Words written, and up to the end of the last whole block; words read.
  (* keep *) logic [AW-1:0] read;  // not one with its copies
  logic [AW-1:0] written, closed;
  // Of the word that was written: its exponents in stage 1, those of all its elements in 2, of the block in 3.
  typedef struct packed {
    logic v, begins, ends;
    logic [AW-1:0] next;  // word after it
  } word_t;
  word_t flow[3:1];
  logic moving, rounding;
  logic [3:0] exponent[2], e_q, e_r;
  logic [11:0] all, seen, joined;
  wire held = read != closed;
  wire [AW-1:0] filled = written - read;
  wire [AW-1:0] read_next = flush || init ? '0 : read + AW'(held);

  logic [11:0] over[VEC];
  for (genvar l = 0; l < VEC; l++) begin : gen_lane
    logic [19:0] mem[2*WORDS];
    logic signed [19:0] q;
    logic signed [20:0] moved;  // with half a unit
    // Eight lanes have a copy of the place that is read.
    if (l % 8 == 0) begin : gen_place
      (* keep *) logic [AW-1:0] at;
      always_ff @(posedge clk) at <= read_next;
    end
    wire signed [19:0] h = mask[l] ? x[l][19:0] : 20'd0;
    // Bit j: does not fit with exponent j.
    wire [11:0] above;
    assign above[0] = h > 20'sd127 || h < -20'sd128;
    for (genvar j = 1; j < 12; j++) begin : gen_exponent
      localparam logic signed [19:0] HIGH = 20'((255 << (j - 1)) - 1);
      localparam logic signed [19:0] LOW = 20'(-(257 << (j - 1)));
      assign above[j] = h > HIGH || h < LOW;
    end
    always_ff @(posedge clk) begin
      if (in_valid) begin
        mem[written] <= h;
        over[l] <= above;
      end
      if (held) q <= mem[gen_lane[l/8*8].gen_place.at];
      if (moving) moved <= $signed({q, 1'b0}) >>> e_q;
      if (rounding) y[l] <= moved[8:1] + {7'd0, moved[0]};
    end
    wire unused = &{1'b0, x[l][31:20], moved[20:9]};
  end

  always_ff @(posedge clk) begin
    if (flush || init) begin
      written <= '0;
      closed <= '0;
      for (int s = 1; s <= 3; s++) flow[s] <= '0;
      {stays, moving, rounding, out_valid} <= '0;
    end else begin
      written <= written + AW'(in_valid);
      flow[1] <= '{v: in_valid, begins: written[AW-2:0] == '0, ends: in_last || &written[AW-2:0], next: written + 1'b1};
      for (int s = 2; s <= 3; s++) flow[s] <= flow[s-1];
      if (flow[3].v && flow[3].ends) closed <= flow[3].next;
      stays <= in_valid || written != read || moving;
      moving <= held;
      rounding <= moving;
      out_valid <= rounding;
      assert (stays == (written != read || moving || rounding)) else $error("block exponents: flag of what is here");
      assert (!in_valid || filled != '1) else $error("block exponents: no room");
    end
    read <= read_next;
    e_q <= exponent[read[AW-1]];
    e_r <= e_q;
    e <= e_r;
  end

  // The block's parity is that of its first word; a block that ends inside has the same one before its end.
  wire [AW-1:0] last_word = flow[3].next - 1'b1;
  always_comb begin
    joined = '0;
    for (int l = 0; l < VEC; l++) joined = joined | over[l];
  end
  always_ff @(posedge clk) begin
    if (flow[1].v) all <= joined;
    if (flow[2].v) seen <= (flow[2].begins ? '0 : seen) | all;
    if (flow[3].v && flow[3].ends) exponent[last_word[AW-1]] <= 4'($countones(seen));
  end

  wire unused = &{1'b0, last_word};
endmodule
