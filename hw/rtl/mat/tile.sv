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
    input  logic [         3:0] t1_sidx,
    input  logic                t1_decode,
    input  format_t             t1_format,
    input  logic                t1_half,
    input  logic                t1_unit,
    input  logic                t2_valid,
    input  logic [64*PAIRS-1:0] x      [64],       // T2
    input  logic                t3_valid,
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
  // Multipliers 2i and 2i+1; the nibble of multiplier m is 4 * (m % 32) + m / 32.
  for (genvar i = 0; i < 64; i++) begin : gen_group
    localparam int N = 16 * (2 * i % 32) + 4 * (2 * i / 32);
    wire [32*PAIRS-1:0] sum;
    tile_group #(
        .PAIRS(PAIRS)
    ) group (
        .clk,
        .decode(t1_decode),
        .format(t1_format),
        .half(t1_half),
        .sparse(beat[7*i+:7]),
        .dense0(beat[4*i+:4]),
        .dense1(beat[256+4*i+:4]),
        .four({beat[N+16+:4], beat[N+:4]}),
        .valid(t2_valid),
        .x(x[i]),
        .sum
    );
  end

  logic [63:0] scales;
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
      .scales
  );

  // Sums of 16 products, two lanes in a word.
  for (genvar j = 0; j < 8; j++) begin : gen_sum
    for (genvar p = 0; p < PAIRS; p++) begin : gen_pair
      logic [31:0] q;
      always_ff @(posedge clk)
        if (t3_valid)
          q <= ((gen_group[8*j].sum[32*p+:32] + gen_group[8*j+1].sum[32*p+:32])
              + (gen_group[8*j+2].sum[32*p+:32] + gen_group[8*j+3].sum[32*p+:32]))
             + ((gen_group[8*j+4].sum[32*p+:32] + gen_group[8*j+5].sum[32*p+:32])
              + (gen_group[8*j+6].sum[32*p+:32] + gen_group[8*j+7].sum[32*p+:32]));
      wire [15:0] even = q[15:0];
      wire [15:0] odd = q[31:16] + {15'd0, q[15]};
    end
  end

  logic signed [47:0] d1_sum[LANES*4];
  for (genvar l = 0; l < LANES; l++) begin : gen_lane
    for (genvar g = 0; g < 4; g++) begin : gen_quarter
      wire [15:0] a = l % 2 == 0 ? gen_sum[2*g].gen_pair[l/2].even : gen_sum[2*g].gen_pair[l/2].odd;
      wire [15:0] b = l % 2 == 0 ? gen_sum[2*g+1].gen_pair[l/2].even : gen_sum[2*g+1].gen_pair[l/2].odd;
      tile_acc #(
          .ENTRIES(ENTRIES)
      ) acc (
          .clk,
          .scale_en(t4_valid),
          .a,
          .b,
          .scale_a(scales[16*g+:8]),
          .scale_b(scales[16*g+8+:8]),
          .add_en(t5_valid),
          .first(t5_first),
          .entry(t5_entry),
          .exponent(t5_exp[l]),
          .r_en(d0_valid),
          .r_entry(d0_entry),
          .r_sum(d1_sum[l*4+g])
      );
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
