// Generates the steps of a pass: read addresses of both vector memory ports or of the score buffer, position flags and
// the mask of valid elements. A step is two words of a pair, or one word (or half of one). Hands out addresses in the stage
// after the step and checks every one of them there; `bad` comes another cycle later. Does not know where results go.
module vec_src
  import accllm_vec_pkg::*;
#(
    parameter int VEC = 8,
    parameter int VMEM = 1 << 16,
    parameter int SBUF = 1 << 12
) (
    input  logic               clk,
    input  logic               flush,
    input  vnext_t             next,        // what begins with `init`
    input  logic               init,
    input  vop_t               op,
    input  vsetup_t            setup,
    input  logic    [    31:0] row_start,   // ROPE: first word of cos and sin
    input  logic               step,        // a step is made
    input  logic               row_step,    // copies of that
    input  logic               final_step,
    input  logic               peak,        // SOFTMAX: a row begins, at word `row_word` of the score buffer
    input  logic    [    31:0] row_word,
    input  logic    [    31:0] token_word,  // EMBED, before it begins: where the token is read from
    input  logic               token_read,
    input  logic               scalar_bad,
    output logic               step_final,
    output logic               upper_next,  // the next step is the second half of one
    output logic               row_end,     // the step ends a row
    // Stage 1.
    output tag_t               tag,
    output logic    [VEC-1:0] mask,
    output logic    [    31:0] a_word,
    output logic    [    31:0] b_word,
    output logic               bad          // stage 2
);
  localparam int LV = $clog2(VEC);
  localparam logic [31:0] WORDS = 32'(VMEM / VEC);
  localparam logic [31:0] ROWS = 32'(SBUF / VEC);

  logic [31:0] pa, pb, words, rows, elements;
  (* keep *) logic last, upper;  // not those with their copies
  logic first, last_row, single;
  // Copies of what of the operation decides where the next step is.
  (* keep *) logic doubled, jumps, rope;
  (* keep *) logic leaps;  // the next word is a jump away: jumps && last
  wire complete = upper || !doubled;
  logic whole;         // a word of them is left, at least
  logic setup_whole;   // so it is when a row begins
  wire [31:0] a_next = rope && upper ? pb : pa;
  // Copies of what says that a step ends a row, and is the last one.
  (* keep *) logic row_last, row_upper, final_last, final_upper;
  logic last_next;
  always_comb begin
    last_next = last;
    if (init) last_next = next.setup.words == 32'd1;
    else if (step && complete) last_next = last ? single : words == 32'd2;
  end
  always_ff @(posedge clk) begin
    {row_last, row_upper} <= {last_next, upper_next};
    {final_last, final_upper} <= {last_next, upper_next};
  end

  assign upper_next = !init && (final_step ? doubled && !final_upper : final_upper);
  assign step_final = final_last && last_row && (final_upper || !doubled);
  assign row_end = row_step && row_last && (row_upper || !doubled);

  always_ff @(posedge clk) begin
    upper <= upper_next;
    last <= last_next;
    leaps <= (init ? next.op.pairs || next.op.attq : jumps) && last_next;
    if (init) begin
      pa <= next.uop.a >> LV;
      pb <= next.uop.b >> LV;
      words <= next.setup.words;
      rows <= next.setup.rows;
      elements <= next.setup.elements;
      {whole, setup_whole} <= {2{next.setup.elements[31:LV] != 0}};
      single <= next.setup.words == 32'd1;
      last_row <= next.setup.rows <= next.setup.row_step;
      first <= 1'b1;
      doubled <= next.op.pairs || next.op.halves;
      jumps <= next.op.pairs || next.op.attq;
      rope <= next.op.rope;
    end else if (step) begin
      first <= last && complete;
      if (complete) begin
        pa <= pa + (leaps ? setup.jump : 32'd1);
        pb <= rope && last ? row_start : pb + 32'd1;
        words <= last ? setup.words : words - 32'd1;
        if (last) begin
          rows <= rows - setup.row_step;
          last_row <= {1'b0, rows} <= {setup.row_step, 1'b0};
        end
        if (op.attq && last) begin
          elements <= setup.elements;
          whole <= setup_whole;
        end else if (!setup.endless) begin
          elements <= whole ? elements - 32'(VEC) : '0;
          whole <= elements[31:LV+1] != 0;  // two words or more
        end
      end
    end else if (peak) pa <= row_word;
  end

  // Stage 1.
  logic whole_1, some_1, short_1;
  logic [LV-1:0] tail_1;
  wire [VEC-1:0] tail = ~({VEC{1'b1}} << tail_1);
  wire [VEC-1:0] half = tag.upper ? {{VEC / 2{1'b1}}, {VEC / 2{1'b0}}} : {{VEC / 2{1'b0}}, {VEC / 2{1'b1}}};
  assign mask = (whole_1 ? '1 : tail) & (op.halves ? half : '1);
  always_ff @(posedge clk) begin
    tag.v <= (step || peak) && !flush;
    tag.peak <= peak;
    tag.sink <= 1'b0;
    if (step) begin
      {tag.first, tag.last, tag.upper} <= {first, last, upper};
      whole_1 <= whole || setup.endless;
      some_1 <= setup.endless || elements != 0;
      short_1 <= op.hadx && rows < setup.row_step;
      tail_1 <= elements[LV-1:0];
    end
    if (token_read) a_word <= token_word;
    else if (step) a_word <= a_next;
    if (step) b_word <= op.pairs ? a_next + setup.distance : pb;
    bad <= tag.v && !tag.peak && !flush
        && (op.reads_a && some_1 && a_word >= WORDS || op.reads_b && some_1 && b_word >= WORDS
         || op.softmax && a_word >= ROWS || short_1 || scalar_bad);
    assert (!(step && peak)) else $error("vector steps: a row begins inside another one");
    assert (!(init && tag.v)) else $error("vector steps: an operation begins inside another one");
  end

  wire unused = &{1'b0, op, next, setup};
endmodule
