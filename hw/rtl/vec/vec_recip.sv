// Reciprocal of a 32-bit number by table: 1/s = r * 2^-15 * 2^-k; 0 counts as 1. Four cycles, one a cycle: leading one,
// normalized, table, interpolated.
module vec_recip
  import accllm_tables_pkg::*;
(
    input  logic        clk,
    input  logic        rst,
    input  logic        in_valid,
    input  logic [31:0] s,
    output logic        out_valid,
    output logic [15:0] r,
    output logic [ 5:0] k,
    output logic        stays      // something is here after this cycle
);
  logic [2:0] valid;
  logic [31:0] s1;
  logic [4:0] lead, k1, k2, k3, k4;
  logic [30:16] norm;
  logic [15:0] value;
  logic [11:0] delta;
  logic [7:0] low;
  logic [23:0] line;  // value * 256 + 255 - delta * low: its upper 16 bits are value - floor(delta * low / 256)
  wire [31:0] moved = s1 << ~k1;  // 31 - k1
  assign stays = valid[1:0] != 0 || in_valid;
  assign r = line[23:8];
  assign k = {1'b0, k4};

  // Leading one: in each group of four, and among the groups.
  logic [7:0] any, first;
  always_comb begin
    lead = '0;
    for (int g = 0; g < 8; g++) any[g] = s[4*g+:4] != 0;
    for (int g = 0; g < 8; g++) begin
      first[g] = any[g] && (any >> (g + 1)) == 0;
      lead = lead | ({5{first[g]}} & {3'(g), s[4*g+3] || s[4*g+2], s[4*g+3] || (s[4*g+1] && !s[4*g+2])});
    end
  end

  always_ff @(posedge clk) begin
    if (rst) {out_valid, valid} <= '0;
    else {out_valid, valid} <= {valid, in_valid};
    if (in_valid) begin
      s1 <= s == 0 ? 32'd1 : s;
      k1 <= lead;
    end
    if (valid[0]) begin
      norm <= moved[30:16];
      k2 <= k1;
    end
    if (valid[1]) begin
      value <= RECIP_VALUE[norm[30:24]];
      delta <= RECIP_DELTA[norm[30:24]];
      low <= norm[23:16];
      k3 <= k2;
    end
    if (valid[2]) begin
      line <= {value, 8'd255} - 24'(delta * 20'(low));
      k4 <= k3;
    end
  end

  wire unused = &{1'b0, moved[31], moved[15:0], line[7:0]};
endmodule
