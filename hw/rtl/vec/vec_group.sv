// Eight lanes with registered copies of what controls them, so that no register drives every lane: the operation, its
// constants, and the valid bits and scalars of each stage.
module vec_group
  import accllm_vec_pkg::*;
#(
    parameter int FIRST = 0  // number of the first lane
) (
    input  logic               clk,
    input  logic               flush,
    input  vop_t               op,
    input  vconst_t            constants,
    input  vscalar_t           scalar,          // stage 4
    input  tag_t               tag_3,
    input  logic signed [31:0] zmax,
    input  logic        [ 7:0] visible_12,
    input  vtop_t              top,             // stage 4, of a peak
    input  logic        [31:0] ra        [8],
    input  logic        [31:0] rb        [8],
    input  logic        [31:0] sc        [8],
    input  logic        [31:0] ld        [8],
    input  logic        [31:0] hw        [8],
    output logic        [31:0] a         [8],
    output logic signed [57:0] p         [8],
    output logic signed [31:0] s         [8],
    output logic        [31:0] o         [8]
);
  // Copies. They must not be merged with those of other groups.
  (* keep *) vop_t op_q;
  (* keep *) vconst_t constants_q;
  (* keep *) logic [ST_RESULT-1:4] v;
  (* keep *) logic [ST_BOUND:4] peak;
  (* keep *) logic signed [31:0] zmax_q;
  (* keep *) logic signed [25:0] factor_q, factor_0;
  (* keep *) logic [15:0] base_q;
  (* keep *) logic [7:0] visible;
  (* keep *) logic [5:0] shift_5, shift_9, shift_10, shift_2;
  (* keep *) logic upper_4, upper_5;
  logic sink_4;
  wire to_factor = op_q.silu ? v[ST_SIGMOID] : v[ST_OPERAND] && !op_q.early;
  wire result = op_q.queued || op_q.to_act;
  logic [ST_RESULT:1] en;
  always_comb begin
    en = '0;
    en[ST_OPERAND] = v[ST_MEMORY];
    en[ST_SIGMOID:ST_EXTRA] = op_q.silu ? v[ST_SIGMOID-1:ST_OPERAND] : '0;
    en[ST_FACTOR] = to_factor;
    en[ST_BOUND:ST_PARTIAL] = v[ST_SHIFT:ST_FACTOR];
    en[ST_PARTIAL_2] = op_q.late && v[ST_BOUND] && !peak[ST_BOUND];
    en[ST_PRODUCT_2] = op_q.early ? v[ST_OPERAND] : v[ST_PARTIAL_2];
    en[ST_SHIFT_2] = v[ST_PRODUCT_2];
    en[ST_FINE] = !op_q.softmax && v[ST_SHIFT_2];
    en[ST_RESULT] = result && (op_q.middle ? v[ST_BOUND] : op_q.softmax ? v[ST_SHIFT_2] : v[ST_FINE]);
  end

  // Peaks do not pass the stages of SILU.
  always_ff @(posedge clk) begin
    op_q <= op;
    constants_q <= constants;
    zmax_q <= zmax;
    visible <= visible_12;
    if (flush) v <= '0;
    else v <= {en[ST_FINE:ST_OPERAND], tag_3.v};
    peak <= {peak[ST_SHIFT:ST_FACTOR], peak[ST_OPERAND], 3'd0, peak[ST_MEMORY], tag_3.peak};
    sink_4 <= tag_3.sink;
    {upper_5, upper_4} <= {upper_4, tag_3.upper};
    base_q <= scalar.base;
    factor_q <= op_q.softmax && sink_4 ? scalar.factor_sink : scalar.factor;
    factor_0 <= op_q.softmax && (sink_4 || peak[ST_MEMORY]) ? scalar.factor_sink : scalar.factor;
    {shift_10, shift_9, shift_5} <= {shift_9, shift_5, scalar.shift};
    shift_2 <= constants.shift_2;
  end

  // Of a peak, the largest raw scores: sinks in lane 0, window in lane 1.
  for (genvar l = 0; l < 8; l++) begin : gen_lane
    logic signed [25:0] factor;
    logic [31:0] raw;
    if (FIRST + l == 0) begin : gen_sink
      assign factor = factor_0;
      assign raw = peak[ST_MEMORY] ? top.sink : sc[l];
    end else if (FIRST + l == 1) begin : gen_window
      assign factor = factor_q;
      assign raw = peak[ST_MEMORY] ? top.window : sc[l];
    end else begin : gen_other
      assign factor = factor_q;
      assign raw = sc[l];
    end
    vec_lane u_lane (
        .*,
        .op_next(op), .ra(ra[l]), .rb(rb[l]), .sc(raw), .ld(ld[l]), .hw(hw[l]),
        .base(base_q), .constants(constants_q), .zmax(zmax_q), .visible(visible[l]), .a(a[l]),
        .p(p[l]), .s(s[l]), .o(o[l])
    );
  end

  wire unused = &{1'b0, scalar, tag_3, top, peak, factor_0, op_q};
endmodule
