// Activation buffer: ACT words of 256 int8 columns and an exponent per lane, in 64 banks of 4 columns. One write port
// (vector unit: each lane takes the even or the odd data, bank i the word i modulo VEC/4, the exponent with bank 0) and one read port (matrix unit, data one
// cycle later, kept while `r_en` is low). Does not check addresses.
module act_buf #(
    parameter int LANES = 2,
    parameter int VEC = 8,
    parameter int ACT = 512
) (
    input  logic                   clk,
    input  logic                   w_valid,
    input  logic [$clog2(ACT)-1:0] w_addr,
    input  logic [      LANES-1:0] w_lanes,
    input  logic [           63:0] w_banks,
    input  logic [      VEC*8-1:0] w_even,
    input  logic [      VEC*8-1:0] w_odd,
    input  logic [            3:0] w_exp,
    input  logic                   r_en,
    input  logic [$clog2(ACT)-1:0] r_addr,
    output logic [           31:0] r_data [LANES] [64],
    output logic [            3:0] r_exp  [LANES]
);
  for (genvar l = 0; l < LANES; l++) begin : gen_lane
    (* ram_style = "ultra" *)logic [2047:0] mem[ACT];
    logic [2047:0] q;
    wire [VEC*8-1:0] d = l % 2 == 0 ? w_even : w_odd;
    always_ff @(posedge clk) begin
      if (w_valid && w_lanes[l]) begin
        for (int i = 0; i < 64; i++) if (w_banks[i]) mem[w_addr][32*i+:32] <= d[(i%(VEC/4))*32+:32];
      end
    end
    always_ff @(posedge clk) if (r_en) q <= mem[r_addr];
    logic [3:0] exponents[ACT];
    logic [3:0] e;
    always_ff @(posedge clk) begin
      if (w_valid && w_lanes[l] && w_banks[0]) exponents[w_addr] <= w_exp;
      if (r_en) e <= exponents[r_addr];
    end
    assign r_exp[l] = e;
    for (genvar i = 0; i < 64; i++) begin : gen_bank
      assign r_data[l][i] = q[32*i+:32];
    end
  end
endmodule
