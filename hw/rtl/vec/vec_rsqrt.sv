// Reciprocal square root of a 64-bit number by table: 1/sqrt(s) = r * 2^-15 * 2^-e; 0 counts as 1. Six cycles: taken,
// leading pair of bits, normalized, a line of every 64 of the table, one of these, interpolated.
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
  logic [4:0] valid;
  logic [63:0] s0, s1;
  logic [4:0] lead, e1, e2, e3, e4, e5;  // half the largest even exponent
  logic [8:0] segment;
  logic [6:0] part, part_3;
  logic [2:0] block;
  logic [15:0] values[6];
  logic signed [12:0] fallen[6];
  logic [15:0] value;
  typedef logic signed [12:0] falls_t[384];
  function automatic falls_t falls();
    for (int i = 0; i < 384; i++) falls[i] = -$signed({1'b0, RSQRT_DELTA[i]});
  endfunction
  localparam falls_t FALL = falls();
  logic signed [12:0] fall;  // -delta, so that a DSP adds the product to the value
  logic [6:0] low;
  logic [22:0] line;  // value * 128 + 127 - delta * low: its upper 16 bits are value - floor(delta * low / 128)
  wire [63:0] norm = s1 << {~e1, 1'b0};  // 62 - 2 * e1
  assign r = line[22:7];
  assign e = {1'b0, e5};

  logic none;
  logic [31:0] pairs;  // with a one
  for (genvar i = 0; i < 32; i++) begin : gen_pair
    assign pairs[i] = s[2*i+:2] != 0;
  end
  vec_leading u_leading (.*, .en(in_valid), .x(pairs));

  always_ff @(posedge clk) begin
    if (rst) {out_valid, valid} <= '0;
    else {out_valid, valid} <= {valid, in_valid};
    if (in_valid) s0 <= s;
    if (valid[0]) begin
      s1 <= {s0[63:1], s0[0] || none};
      e1 <= lead;
    end
    if (valid[1]) begin
      segment <= {norm[63:62] - 2'd1, norm[61:55]};
      part <= norm[54:48];
      e2 <= e1;
    end
    if (valid[2]) begin
      for (int b = 0; b < 6; b++) begin
        values[b] <= RSQRT_VALUE[9'(64*b)+9'(segment[5:0])];
        fallen[b] <= FALL[9'(64*b)+9'(segment[5:0])];
      end
      block <= segment[8:6];
      part_3 <= part;
      e3 <= e2;
    end
    if (valid[3]) begin
      value <= values[block];
      fall <= fallen[block];
      low <= part_3;
      e4 <= e3;
    end
    if (valid[4]) begin
      line <= 23'($signed({1'b0, value, 7'd127}) + 24'(fall) * 24'($signed({1'b0, low})));
      e5 <= e4;
    end
  end

  wire unused = &{1'b0, norm[47:0], line[6:0]};
endmodule
