// Reciprocal of a 32-bit number by table: 1/s = r * 2^-15 * 2^-k; 0 counts as 1. Three cycles, one a cycle.
module vec_recip
  import accllm_tables_pkg::*;
(
    input  logic        clk,
    input  logic        rst,
    input  logic        in_valid,
    input  logic [31:0] s,
    output logic        out_valid,
    output logic [15:0] r,
    output logic [ 5:0] k
);
  logic [1:0] valid;
  logic [31:0] s1;
  logic [4:0] lead, k1, k2;
  logic [15:0] value;
  logic [11:0] delta;
  logic [7:0] low;
  wire [31:0] norm = s1 << ~k1;  // 31 - k1
  wire [19:0] slope = {8'd0, delta} * {12'd0, low};

  always_comb begin
    lead = '0;
    for (int i = 1; i < 32; i++) if (s[i]) lead = 5'(i);
  end

  always_ff @(posedge clk) begin
    if (rst) {out_valid, valid} <= '0;
    else {out_valid, valid} <= {valid, in_valid};
    if (in_valid) begin
      s1 <= s == 0 ? 32'd1 : s;
      k1 <= lead;
    end
    if (valid[0]) begin
      value <= RECIP_VALUE[norm[30:24]];
      delta <= RECIP_DELTA[norm[30:24]];
      low <= norm[23:16];
      k2 <= k1;
    end
    if (valid[1]) begin
      r <= value - {4'd0, slope[19:8]};
      k <= {1'b0, k2};
    end
  end

  wire unused = &{1'b0, norm[31], norm[15:0], slope[7:0]};
endmodule
