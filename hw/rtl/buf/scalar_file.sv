// Scalar file: f0 {base, scale}, f1 {k, r}, f2 q_sum, f3 {k, r} of the probability sum. `w_en` bits: scale of f0, f1, f2,
// f3, base of f0. Reads give data one cycle later; the vector unit's (`r_`) are kept while `r_en` is low. Does not check
// addresses.
module scalar_file #(
    parameter int SCALARS = 256,
    localparam int AW = $clog2(SCALARS)
) (
    input  logic          clk,
    input  logic [   4:0] w_en,
    input  logic [AW-1:0] w_addr,
    input  logic [  31:0] w_f0,
    input  logic [  21:0] w_f1,
    input  logic [  15:0] w_f2,
    input  logic [  21:0] w_f3,
    input  logic          r_en,
    input  logic [AW-1:0] r_addr,
    output logic [  31:0] r_f0,
    output logic [  21:0] r_f1,
    output logic [  15:0] r_f2,
    output logic [  21:0] r_f3,
    input  logic [AW-1:0] m_addr,
    output logic [  15:0] m_q_sum
);
  logic [15:0] scale[SCALARS], base[SCALARS], f2[SCALARS];
  logic [21:0] f1[SCALARS], f3[SCALARS];

  always_ff @(posedge clk) begin
    if (w_en[0]) scale[w_addr] <= w_f0[15:0];
    if (w_en[1]) f1[w_addr] <= w_f1;
    if (w_en[2]) f2[w_addr] <= w_f2;
    if (w_en[3]) f3[w_addr] <= w_f3;
    if (w_en[4]) base[w_addr] <= w_f0[31:16];
    if (r_en) begin
      r_f0 <= {base[r_addr], scale[r_addr]};
      r_f1 <= f1[r_addr];
      r_f2 <= f2[r_addr];
      r_f3 <= f3[r_addr];
    end
    m_q_sum <= f2[m_addr];
  end
endmodule
