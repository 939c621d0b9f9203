// Where each score row of a group lies: its lane and its first word, from row `m` on. Does not check addresses.
module vec_score_row #(
    parameter int LANES = 2,
    parameter int WORD = 32
) (
    input  logic                     clk,
    input  logic                     init,
    input  logic [             31:0] m,
    input  logic [         WORD-1:0] base,  // first word of row m's lane step
    input  logic [         WORD-1:0] step,  // words between lane steps
    input  logic                     next,
    output logic [$clog2(LANES)-1:0] lane,
    output logic [         WORD-1:0] word
);
  always_ff @(posedge clk) begin
    if (init) begin
      lane <= m[$clog2(LANES)-1:0];
      word <= base;
    end else if (next) begin
      lane <= lane + 1'b1;
      if (&lane) word <= word + step;
    end
  end

  wire unused = &{1'b0, m};
endmodule
