// Running maximum over ARGMAX operations: value and index of the largest element so far, lowest index among equals.
module vec_argmax #(
    parameter int VEC = 8
) (
    input  logic               clk,
    input  logic               rst,
    input  logic               init,        // an ARGMAX begins
    input  logic               anew,        // and forgets the earlier maximum
    input  logic        [31:0] start,       // index of its first element
    input  logic               word_valid,
    input  logic signed [31:0] word,
    input  logic        [ 4:0] word_lane,
    output logic        [31:0] index,
    output logic signed [31:0] value
);
  logic fresh;
  logic [31:0] at;

  always_ff @(posedge clk) begin
    if (rst) begin
      index <= '0;
      value <= '0;
      fresh <= 1'b0;
    end else if (init) begin
      fresh <= anew;
      at <= start;
    end else if (word_valid) begin
      fresh <= 1'b0;
      at <= at + VEC;
      if (fresh || word > value) begin
        value <= word;
        index <= at + 32'(word_lane);
      end
    end
    assert (!(init && word_valid)) else $error("largest element: an operation begins before the last word of the one before");
  end
endmodule
