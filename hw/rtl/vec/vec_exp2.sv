// 32639 * 2^(-d/4096) for d = top - x >= 0 by table, rounded; 0 where `visible` is low. Without `wide` the result is
// rounded to its upper 8 bits. Four stages, each with its own enable: difference and table, interpolation, shift; the last
// one is the user's register.
module vec_exp2
  import accllm_tables_pkg::*;
(
    input  logic               clk,
    input  logic        [ 2:0] en,
    input  logic               visible,
    input  logic signed [31:0] top,
    input  logic signed [31:0] x,
    input  logic               wide,
    output logic        [15:0] p
);
  typedef logic signed [12:0] falls_t[64];
  function automatic falls_t falls();
    for (int i = 0; i < 64; i++) falls[i] = -$signed({1'b0, EXP2_DELTA[i]});
  endfunction
  localparam falls_t FALL = falls();
  wire [32:0] d = {top[31], top} - {x[31], x};
  logic [15:0] value;
  logic signed [12:0] fall;  // -delta, so that a DSP adds the product to the value
  logic [5:0] low;
  logic [3:0] places, places_1;
  logic zero, zero_1, zero_2;
  logic [21:0] line;  // value * 64 + 63 - delta * low: its upper 16 bits are value - floor(delta * low / 64)
  logic [16:0] moved;  // and half a unit

  always_ff @(posedge clk) begin
    if (en[0]) begin
      value <= EXP2_VALUE[d[11:6]];
      fall <= FALL[d[11:6]];
      low <= d[5:0];
      places <= d[15:12];
      zero <= !visible || d[32:16] != 0;
    end
    if (en[1]) begin
      line <= 22'($signed({1'b0, value, 6'd63}) + 23'(fall) * 23'($signed({1'b0, low})));
      {places_1, zero_1} <= {places, zero};
    end
    if (en[2]) begin
      moved <= {line[21:6], 1'b0} >> places_1;
      zero_2 <= zero_1;
    end
  end

  wire [15:0] rounded = moved[16:1] + {15'd0, moved[0]};
  wire [15:0] narrow = {8'd0, rounded[15:8]} + {15'd0, rounded[7]};
  assign p = zero_2 ? '0 : wide ? rounded : narrow;

  wire unused = &{1'b0, line[5:0]};
endmodule
