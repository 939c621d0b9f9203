// Reciprocal square root of a 64-bit number by table: 1/sqrt(s) = r * 2^-15 * 2^-e; 0 counts as 1. Three cycles.
module vec_rsqrt
  import accllm_tables_pkg::*;
(
    input  logic        clk,
    input  logic        rst,
    input  logic        in_valid,
    input  logic [63:0] s,
    output logic        out_valid,
    output logic [15:0] r,
    output logic [ 5:0] e
);
  logic [1:0] valid;
  logic [63:0] s1;
  logic [4:0] lead, e1, e2;  // half the largest even exponent
  logic [15:0] value;
  logic [11:0] delta;
  logic [6:0] low;
  wire [63:0] norm = s1 << {~e1, 1'b0};  // 62 - 2 * e1
  wire [8:0] segment = norm[63:55] - 9'd128;
  wire [18:0] slope = {7'd0, delta} * {12'd0, low};

  always_comb begin
    lead = '0;
    for (int i = 1; i < 32; i++) if (s[2*i+:2] != 0) lead = 5'(i);
  end

  always_ff @(posedge clk) begin
    if (rst) {out_valid, valid} <= '0;
    else {out_valid, valid} <= {valid, in_valid};
    if (in_valid) begin
      s1 <= s == 0 ? 64'd1 : s;
      e1 <= lead;
    end
    if (valid[0]) begin
      value <= RSQRT_VALUE[segment];
      delta <= RSQRT_DELTA[segment];
      low <= norm[54:48];
      e2 <= e1;
    end
    if (valid[1]) begin
      r <= value - {4'd0, slope[18:7]};
      e <= {1'b0, e2};
    end
  end

  wire unused = &{1'b0, norm[47:0], slope[6:0]};
endmodule
