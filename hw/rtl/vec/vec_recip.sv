// Reciprocal of a 32-bit number by table: 1/s = r * 2^-15 * 2^-k; 0 counts as 1. Five cycles, one a cycle: chosen, leading
// one, normalized, table, interpolated.
module vec_recip
  import accllm_tables_pkg::*;
(
    input  logic        clk,
    input  logic        rst,
    input  logic        in_valid,
    input  logic        wide,      // of s, else of t
    input  logic [31:0] s,
    input  logic [15:0] t,
    output logic        out_valid,
    output logic [15:0] r,
    output logic [ 5:0] k,
    output logic        stays      // something is here after this cycle
);
  logic [3:0] valid;
  logic [31:0] s0, s1;
  logic [4:0] lead, k1, k2, k3, k4;
  logic [30:16] norm;
  logic [15:0] value;
  typedef logic signed [12:0] falls_t[128];
  function automatic falls_t falls();
    for (int i = 0; i < 128; i++) falls[i] = -$signed({1'b0, RECIP_DELTA[i]});
  endfunction
  localparam falls_t FALL = falls();
  logic signed [12:0] fall;  // -delta, so that a DSP adds the product to the value
  logic [7:0] low;
  logic [23:0] line;  // value * 256 + 255 - delta * low: its upper 16 bits are value - floor(delta * low / 256)
  wire [31:0] moved = s1 << ~k1;  // 31 - k1
  assign stays = valid[2:0] != 0 || in_valid;
  assign r = line[23:8];
  assign k = {1'b0, k4};

  logic none;
  wire [31:0] chosen = wide ? s : {16'd0, t};
  vec_leading u_leading (.*, .en(in_valid), .x(chosen));

  always_ff @(posedge clk) begin
    if (rst) {out_valid, valid} <= '0;
    else {out_valid, valid} <= {valid, in_valid};
    if (in_valid) s0 <= chosen;
    if (valid[0]) begin
      s1 <= {s0[31:1], s0[0] || none};
      k1 <= lead;
    end
    if (valid[1]) begin
      norm <= moved[30:16];
      k2 <= k1;
    end
    if (valid[2]) begin
      value <= RECIP_VALUE[norm[30:24]];
      fall <= FALL[norm[30:24]];
      low <= norm[23:16];
      k3 <= k2;
    end
    if (valid[3]) begin
      line <= 24'($signed({1'b0, value, 8'd255}) + 25'(fall) * 25'($signed({1'b0, low})));
      k4 <= k3;
    end
  end

  wire unused = &{1'b0, moved[31], moved[15:0], line[7:0]};
endmodule
