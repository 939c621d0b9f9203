// Activation buffer: ACT words of 256 int8 columns per lane, in 64 banks of 4 columns. One write port (vector unit:
// each lane takes the even or the odd data, bank i the word i modulo VEC/4) and one read port (matrix unit, data one
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
    input  logic                   r_en,
    input  logic [$clog2(ACT)-1:0] r_addr,
    output logic [           31:0] r_data [LANES] [64]
);
  for (genvar l = 0; l < LANES; l++) begin : gen_lane
    for (genvar i = 0; i < 64; i++) begin : gen_bank
      logic [31:0] mem[ACT];
      logic [31:0] q;
      wire [31:0] d = l % 2 == 0 ? w_even[(i%(VEC/4))*32+:32] : w_odd[(i%(VEC/4))*32+:32];
      always_ff @(posedge clk) if (w_valid && w_lanes[l] && w_banks[i]) mem[w_addr] <= d;
      always_ff @(posedge clk) if (r_en) q <= mem[r_addr];
      assign r_data[l][i] = q;
    end
  end
endmodule
