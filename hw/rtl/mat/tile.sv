// The arithmetic of one channel: 128 multipliers for LANES lanes, group scales, accumulators per lane-row step, and the
// way from sums to results. Does what mat_issue (`step`, `acc`) and mat_drain (`drain`) say; holds no control state.
//
// Stages: t0 the beat is there (`step` one cycle before it); t1 weights are decoded and the activation word is there;
// t6 sums of 16 products; t9 sums of a beat, added to an entry (`acc` one cycle before). d0 an entry is read (`drain` one
// cycle before it); d8 results. With HOLD data registers keep their value while nothing valid comes, which saves time
// in simulation; without it, for synthesis, none of them has an enable.
module tile
  import accllm_mat_pkg::*;
#(
    parameter int LANES = 2,
    parameter int ENTRIES = 32,
    parameter bit HOLD = 1'b1,
    localparam int PAIRS = LANES / 2,
    localparam int EW = $clog2(ENTRIES),
    localparam int WORDS = 2 * LANES > 4 ? 2 * LANES : 4
) (
    input  logic           clk,
    input  step_t          step,
    input  logic   [511:0] beat,               // t0
    input  logic   [ 15:0] x0      [PAIRS*64], // t1
    input  logic   [ 15:0] x1      [PAIRS*64],
    input  logic   [ 15:0] x2      [PAIRS*64],
    input  logic   [ 15:0] x3      [PAIRS*64],
    input  logic   [ 12:0] x_sum   [LANES*4],  // t4
    // entries are fewer than the field could say:
    // verilator lint_off UNUSEDSIGNAL
    input  acc_t           acc,                // t8
    // verilator lint_on UNUSEDSIGNAL
    input  logic   [  3:0] acc_exp [LANES],    // t8
    input  drain_t         drain,
    input  logic   [ 15:0] d3_qsum [LANES],
    output logic   [ 31:0] results [WORDS]     // d8
);
  // A copy each for weights, scales and parameters, which have hundreds of loads.
  // verilator lint_off UNUSEDSIGNAL
  (* keep *) step_t t0_weights, t0_scale, t0;
  // verilator lint_on UNUSEDSIGNAL
  logic [8:1] valid;
  always_ff @(posedge clk) begin
    t0_weights <= step;
    t0_scale <= step;
    t0 <= step;
    valid <= {valid[7:1], t0.valid};
  end

  wire [1:0] s0[64];
  wire [1:0] s1[64];
  wire [3:0] w0[64];
  wire [3:0] w1[64];
  tile_decode u_weights (
      .*,
      .decode(t0_weights.decode),
      .format(t0_weights.format),
      .half(t0_weights.half)
  );

  logic [63:0] scales;
  logic [31:0] offsets;
  tile_scale u_scale (
      .*,
      .load(t0_scale.scale),
      .decode(t0_scale.decode),
      .format(t0_scale.format),
      .half(t0_scale.half),
      .unit(t0_scale.unit),
      .index(t0_scale.index)
  );

  logic add_en, first;
  logic [EW-1:0] entry;
  always_ff @(posedge clk) begin
    add_en <= acc.valid;
    first  <= acc.first;
    entry  <= acc.entry[EW-1:0];
  end

  drain_t d0, d1;
  always_ff @(posedge clk) begin
    d0 <= drain;
    d1 <= d0;
  end
  wire r_en = d0.valid || !HOLD;

  logic signed [47:0] d1_sum[LANES*4];
  for (genvar p = 0; p < PAIRS; p++) begin : gen_pair
    logic [31:0] sum[8];
    tile_mul #(
        .PAIRS(PAIRS),
        .PAIR (p),
        .HOLD (HOLD)
    ) u_mul (
        .*,
        .valid(valid[5:1])
    );
    for (genvar l = 0; l < 2; l++) begin : gen_lane
      localparam int LANE = 2 * p + l;
      logic [12:0] all[4];
      logic signed [47:0] r_sum[4];
      for (genvar g = 0; g < 4; g++) begin : gen_quarter
        always_ff @(posedge clk) all[g] <= x_sum[4*LANE+g];
        assign d1_sum[4*LANE+g] = r_sum[g];
      end
      tile_acc #(
          .ENTRIES(ENTRIES),
          .ODD(l != 0),
          .HOLD(HOLD)
      ) u_lane (
          .*,
          .valid(valid[8:5]),
          .exponent(acc_exp[LANE]),
          .r_entry(d0.entry[EW-1:0])
      );
    end
  end

  logic [63:0] d1_words;
  tile_params u_params (
      .*,
      .w_en(t0.param),
      .w_bank(t0.bank),
      .w_beat(beat),
      .r_bank(d0.bank),
      .r_pair(d0.param[3:1]),
      .r_words(d1_words)
  );

  tile_finish #(
      .LANES(LANES),
      .HOLD (HOLD)
  ) u_finish (
      .*,
      .d8(results)
  );
endmodule
