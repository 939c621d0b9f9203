// Test bench of the vector unit's function tables: each block alone, so that all arguments can be tried. Every one gets a
// new argument each cycle.
module tb_tables (
    input  logic        clk,
    input  logic        rst,
    input  logic        en,
    input  logic [31:0] sigmoid_x,
    output logic [15:0] sigmoid_y,    // four cycles later
    input  logic [31:0] exp2_top,
    input  logic [31:0] exp2_x,
    input  logic        exp2_wide,
    input  logic        exp2_visible,
    output logic [15:0] exp2_p,       // three cycles later
    input  logic [31:0] recip_s,
    output logic        recip_valid,
    output logic [15:0] recip_r,
    output logic [ 5:0] recip_k,
    output logic        recip_stays,
    input  logic [63:0] rsqrt_s,
    output logic        rsqrt_valid,
    output logic [15:0] rsqrt_r,
    output logic [ 5:0] rsqrt_e
);
  wire [2:0] exp2_en = {3{en}};
  wire [3:0] sigmoid_en = {4{en}};
  vec_sigmoid u_sigmoid (.*, .en(sigmoid_en), .x(sigmoid_x), .y(sigmoid_y));
  vec_exp2 u_exp2 (
      .*,
      .en(exp2_en), .visible(exp2_visible), .top(exp2_top), .x(exp2_x), .wide(exp2_wide), .p(exp2_p)
  );
  // Numbers of 16 bits come at the narrow input.
  wire recip_wide = recip_s[31:16] != 0;
  vec_recip u_recip (
      .*,
      .in_valid(en), .wide(recip_wide), .s(recip_s), .t(recip_s[15:0]), .out_valid(recip_valid), .r(recip_r),
      .k(recip_k), .stays(recip_stays)
  );
  vec_rsqrt u_rsqrt (.*, .in_valid(en), .s(rsqrt_s), .out_valid(rsqrt_valid), .r(rsqrt_r), .e(rsqrt_e));
endmodule
