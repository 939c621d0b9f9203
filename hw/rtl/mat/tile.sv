// The arithmetic of one channel: 128 multipliers for LANES lanes, group scales, accumulators per lane-row step, and the
// way from sums to results. Does what mat_issue (t1..t5) and mat_drain (d0..d4) say; holds no control state.
module tile
  import accllm_mat_pkg::*;
#(
    parameter int LANES = 2,
    parameter int ENTRIES = 32,
    localparam int PAIRS = LANES / 2,
    localparam int EW = $clog2(ENTRIES),
    localparam int LW = $clog2(LANES)
) (
    input  logic                clk,
    input  logic [       511:0] beat,              // T1
    input  logic                t1_param,
    input  logic [         1:0] t1_bank,
    input  logic                t1_scale,
    input  logic [         2:0] t1_sidx,
    input  logic                t1_decode,
    input  format_t             t1_format,
    input  logic                t1_half,
    input  logic                t1_unit,
    input  logic                t2_valid,
    input  logic [        31:0] x0     [PAIRS*64],  // T2
    input  logic [        31:0] x1     [PAIRS*64],
    input  logic [        31:0] x2     [PAIRS*64],
    input  logic [        31:0] x3     [PAIRS*64],
    input  logic                t3_valid,
    input  logic [        31:0] x_sum  [PAIRS*4],   // T4
    input  logic                t4_valid,
    input  logic                t5_valid,
    input  logic                t5_first,
    input  logic [      EW-1:0] t5_entry,
    input  logic [         3:0] t5_exp [LANES],
    input  logic                d0_valid,
    input  logic [      EW-1:0] d0_entry,
    input  logic [         1:0] d0_bank,
    input  logic [         2:0] d0_words,
    input  logic                d1_valid,
    input  kind_t               d1_kind,
    input  logic [      LW-1:0] d1_lane,
    input  logic                d1_second,
    input  logic                d2_valid,
    input  kind_t               d2_kind,
    input  logic                d2_wide,
    input  logic                d2_pair,
    input  logic [        15:0] d2_qsum[LANES],
    input  logic                d3_valid,
    input  kind_t               d3_kind,
    input  logic                d4_valid,
    input  kind_t               d4_kind,
    output logic [        31:0] d5_w,
    output logic [        31:0] d5_v   [4],
    output logic [        31:0] d5_k   [LANES*2]
);
  wire [1:0] s0[64];
  wire [1:0] s1[64];
  wire [3:0] w0[64];
  wire [3:0] w1[64];
  tile_decode weights (
      .clk,
      .decode(t1_decode),
      .format(t1_format),
      .half(t1_half),
      .beat,
      .s0,
      .s1,
      .w0,
      .w1
  );

  logic [63:0] scales;
  logic [31:0] offsets;
  tile_scale scale (
      .clk,
      .load(t1_scale),
      .decode(t1_decode),
      .format(t1_format),
      .half(t1_half),
      .unit(t1_unit),
      .index(t1_sidx),
      .beat,
      .t2_valid,
      .t3_valid,
      .scales,
      .offsets
  );

  logic signed [47:0] d1_sum[LANES*4];
  for (genvar p = 0; p < PAIRS; p++) begin : gen_pair
    wire [31:0] sum[8];
    wire [31:0] all[4];
    for (genvar g = 0; g < 4; g++) begin : gen_all
      assign all[g] = x_sum[4*p+g];
    end
    tile_mul #(
        .PAIRS(PAIRS),
        .PAIR(p)
    ) mul (
        .clk,
        .t2_valid,
        .s0,
        .s1,
        .w0,
        .w1,
        .x0,
        .x1,
        .x2,
        .x3,
        .t3_valid,
        .sum
    );
    for (genvar l = 0; l < 2; l++) begin : gen_lane
      wire signed [47:0] r_sum[4];
      tile_acc #(
          .ENTRIES(ENTRIES),
          .ODD(l != 0)
      ) acc (
          .clk,
          .scale_en(t4_valid),
          .sum,
          .scales,
          .all,
          .offsets,
          .add_en(t5_valid),
          .first(t5_first),
          .entry(t5_entry),
          .exponent(t5_exp[2*p+l]),
          .r_en(d0_valid),
          .r_entry(d0_entry),
          .r_sum
      );
      for (genvar g = 0; g < 4; g++) begin : gen_quarter
        assign d1_sum[(2*p+l)*4+g] = r_sum[g];
      end
    end
  end

  logic [63:0] d1_words;
  tile_params params (
      .clk,
      .w_en(t1_param),
      .w_bank(t1_bank),
      .w_beat(beat),
      .r_en(d0_valid),
      .r_bank(d0_bank),
      .r_pair(d0_words),
      .r_words(d1_words)
  );
  tile_finish #(
      .LANES(LANES)
  ) finish (
      .clk,
      .d1_valid,
      .d1_kind,
      .d1_lane,
      .d1_second,
      .d1_words,
      .d1_sum,
      .d2_valid,
      .d2_kind,
      .d2_wide,
      .d2_pair,
      .d2_qsum,
      .d3_valid,
      .d3_kind,
      .d4_valid,
      .d4_kind,
      .d5_w,
      .d5_v,
      .d5_k
  );
endmodule
