// The lanes, in groups of eight, and the transform across them.
module vec_lanes
  import accllm_vec_pkg::*;
#(
    parameter int VEC = 8
) (
    input  logic                   clk,
    input  logic                   flush,
    input  vop_t                   op,
    input  vconst_t                constants,
    input  vscalar_t               scalar,
    input  tag_t                   tag_3,
    input  tag_t                   tag_5,
    input  logic        [VEC-1:0] mask_12,
    input  vtop_t                  top_4,
    input  logic signed [    31:0] zmax,
    input  logic     [VEC*32-1:0] ra_data,
    input  logic     [VEC*32-1:0] rb_data,
    input  logic     [VEC*32-1:0] sc_data,
    input  logic        [    31:0] ld      [VEC],
    output logic        [    31:0] a       [VEC],
    output logic signed [    57:0] p       [VEC],
    output logic signed [    31:0] s       [VEC],
    output logic        [    31:0] o       [VEC]
);
  logic [31:0] hw[VEC];
  logic hadamard_en;
  assign hadamard_en = tag_5.v && op.hadw;
  vec_hadamard #(.VEC(VEC)) u_hadamard (.*, .en(hadamard_en), .x(a), .y(hw));

  for (genvar g = 0; g < VEC; g += 8) begin : gen_group
    logic [31:0] ra_g[8], rb_g[8], sc_g[8], ld_g[8], hw_g[8], a_g[8], o_g[8];
    logic signed [57:0] p_g[8];
    logic signed [31:0] s_g[8];
    for (genvar l = 0; l < 8; l++) begin : gen_lane
      assign ra_g[l] = ra_data[(g+l)*32+:32];
      assign rb_g[l] = rb_data[(g+l)*32+:32];
      assign sc_g[l] = sc_data[(g+l)*32+:32];
      assign ld_g[l] = ld[g+l];
      assign hw_g[l] = hw[g+l];
      assign a[g+l] = a_g[l];
      assign p[g+l] = p_g[l];
      assign s[g+l] = s_g[l];
      assign o[g+l] = o_g[l];
    end
    vec_group #(.FIRST(g)) u_group (
        .*,
        .visible_12(mask_12[g+:8]), .top(top_4), .ra(ra_g),
        .rb(rb_g), .sc(sc_g), .ld(ld_g), .hw(hw_g), .a(a_g), .p(p_g), .s(s_g), .o(o_g)
    );
  end

  wire unused = &{1'b0, op, tag_5};
endmodule
