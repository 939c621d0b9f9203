// Place of the highest one of 32 bits, 0 where there is none (`none`). Registers after the first step: in every four bits
// whether there is one and which is the highest; the second step, which of the eight fours, has none.
module vec_leading (
    input  logic        clk,
    input  logic        en,
    input  logic [31:0] x,
    output logic [ 4:0] lead,
    output logic        none
);
  logic [7:0] any, high, odd;  // of each four: a one, the highest is bit 2 or 3, is bit 1 or 3
  logic [7:0] first;           // the four with the highest one
  always_ff @(posedge clk) begin
    for (int g = 0; g < 8; g++) begin
      if (en) any[g] <= x[4*g+:4] != 0;
      if (en) high[g] <= x[4*g+2] || x[4*g+3];
      if (en) odd[g] <= x[4*g+3] || (x[4*g+1] && !x[4*g+2]);
    end
  end
  assign none = any == 0;
  always_comb begin
    for (int g = 0; g < 8; g++) first[g] = any[g] && (any >> (g + 1)) == 0;
    lead[1:0] = {(first & high) != 0, (first & odd) != 0};
    lead[2] = (first & 8'haa) != 0;
    lead[3] = (first & 8'hcc) != 0;
    lead[4] = any[7:4] != 0;
  end
endmodule
