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
    output logic               pending
);
  localparam int WORDS = 256 / VEC;
  localparam int AW = $clog2(WORDS) + 1;
  // Words written, and up to the end of the last whole block; words read.
  logic [AW-1:0] written, closed, read;
  logic taken, ends, begins, parity, moving;
  logic [3:0] exponent[2], e_q;
  logic [11:0] seen;
  wire [12:0] half = (13'd1 << e_q) >> 1;
  assign pending = written != read || moving || out_valid;

  logic [11:0] over[VEC];
  for (genvar l = 0; l < VEC; l++) begin : gen_lane
    logic [19:0] mem[2*WORDS];
    logic signed [19:0] q;
    wire signed [19:0] h = mask[l] ? x[l][19:0] : 20'd0;
    wire signed [20:0] sum = {q[19], q} + $signed({8'd0, half});
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
      if (read != closed) q <= mem[read];
      if (moving) y[l] <= 8'(sum >>> e_q);
    end
    wire unused = &{1'b0, x[l][31:20]};
  end

  always_ff @(posedge clk) begin
    if (flush || init) begin
      written <= '0;
      closed <= '0;
      read <= '0;
      taken <= 1'b0;
      moving <= 1'b0;
      out_valid <= 1'b0;
    end else begin
      written <= written + AW'(in_valid);
      taken <= in_valid;
      if (taken && ends) closed <= written;
      read <= read + AW'(read != closed);
      moving <= read != closed;
      out_valid <= moving;
    end
    if (in_valid) begin
      ends <= in_last || &written[AW-2:0];
      begins <= written[AW-2:0] == '0;
      parity <= written[AW-1];
    end
    e_q <= exponent[read[AW-1]];
    e <= e_q;
  end

  always_ff @(posedge clk) begin
    automatic logic [11:0] all;
    if (taken) begin
      all = begins ? '0 : seen;
      for (int l = 0; l < VEC; l++) all = all | over[l];
      seen <= all;
      if (ends) exponent[parity] <= 4'($countones(all));
    end
  end
endmodule
