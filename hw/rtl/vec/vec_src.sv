// Generates the steps of a pass: read addresses of both vector memory ports or of the score buffer, position flags and
// the mask of valid elements. A step is two words of a pair, or one word (or half of one). Checks every address that it
// hands out. Does not know where results go.
module vec_src
  import accllm_isa_pkg::*;
  import accllm_vec_pkg::*;
#(
    parameter int VEC = 8,
    parameter int VMEM = 1 << 16,
    parameter int SBUF = 1 << 12
) (
    input  logic               clk,
    input  vop_t               op,
    input  uop_t               uop,
    input  vsetup_t            setup,
    input  logic               init,
    input  logic               run,
    input  logic               adv,
    input  logic               peak,        // SOFTMAX: a row begins, at word `row_word` of the score buffer
    input  logic    [    31:0] row_word,
    input  logic               ready,       // steps may be made
    input  logic               scalar_bad,
    output logic               step,
    output logic               step_final,
    output logic               first,       // first step of a row
    output logic               last,        // last word of a row
    output logic               upper,       // second step of a word
    output logic    [VEC-1:0] mask,
    output logic    [    31:0] a_word,
    output logic    [    31:0] b_word,
    output logic               bad
);
  localparam int LV = $clog2(VEC);
  localparam logic [31:0] WORDS = 32'(VMEM / VEC);
  localparam logic [31:0] ROWS = 32'(SBUF / VEC);

  logic [31:0] pa, pb, words, rows, elements;
  wire doubled = op.pairs || op.halves;
  wire last_row = rows <= setup.row_step;
  wire whole = elements >= 32'(VEC);
  wire some = elements != 0;
  wire [VEC-1:0] tail = ~({VEC{1'b1}} << elements[LV-1:0]);
  wire [VEC-1:0] half = upper ? {{VEC / 2{1'b1}}, {VEC / 2{1'b0}}} : {{VEC / 2{1'b0}}, {VEC / 2{1'b1}}};

  assign a_word = op.rope && upper ? pb : pa;
  assign b_word = op.pairs ? a_word + setup.distance : pb;
  assign last = words == 32'd1;
  assign step_final = last && last_row && (upper || !doubled);
  assign mask = (whole ? '1 : tail) & (op.halves ? half : '1);
  assign bad = run && (op.reads_a && some && a_word >= WORDS || op.reads_b && some && b_word >= WORDS
                    || op.softmax && ready && pa >= ROWS || op.hadx && rows < setup.row_step || scalar_bad);
  assign step = run && adv && ready && !bad;

  always_ff @(posedge clk) begin
    if (init) begin
      pa <= uop.a >> LV;
      pb <= uop.b >> LV;
      words <= setup.words;
      rows <= setup.rows;
      elements <= setup.elements;
      first <= 1'b1;
      upper <= 1'b0;
    end else if (step) begin
      first <= last && (upper || !doubled);
      upper <= doubled && !upper;
      if (upper || !doubled) begin
        pa <= pa + 32'd1 + ((op.pairs || op.attq) && last ? setup.distance : 32'd0);
        pb <= op.rope && last ? uop.b >> LV : pb + 32'd1;
        words <= last ? setup.words : words - 32'd1;
        if (last) rows <= rows - setup.row_step;
        if (op.attq && last) elements <= setup.elements;
        else if (!(&elements)) elements <= whole ? elements - 32'(VEC) : '0;
      end
    end else if (peak) pa <= row_word;
  end

  wire unused = &{1'b0, op, uop, setup};
endmodule
