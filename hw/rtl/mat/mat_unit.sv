// Matrix unit: one tile per channel under one controller. Takes operations, beats (`s_data` one cycle after `s_pop`; a
// channel's `s_push` says that a beat has come into its FIFO), activation words with exponents and q_sums (all one cycle
// after their address); writes rows and dims to the vector memory (mw_*), scores to the score buffer (ms_*). `seq` is the
// dispatch number of the operation being written or done.
//
// Tiles may stand far away: everything to and from them passes LINK registers. Activations and commands go out over a
// tree: each group of GROUP tiles has registers of its own.
module mat_unit
  import accllm_isa_pkg::*;
  import accllm_types_pkg::*;
  import accllm_mat_pkg::*;
#(
    parameter int CHANNELS = 2,
    parameter int LANES = 2,
    parameter int VEC = 8,
    parameter int FIFO = 64,
    parameter int VMEM = 65536,
    parameter int ACT = 512,
    parameter int SBUF = 4096,
    parameter int SCALARS = 256,
    parameter int LANE_ROWS = 32,
    parameter int LINK = 0,
    parameter bit HOLD = 1'b1,     // data registers keep their value while nothing valid comes (for simulation)
    localparam int NB = 2 * CHANNELS > VEC ? 2 * CHANNELS : VEC
) (
    input  logic                            clk,
    input  logic                            rst,
    input  logic                            clear,
    input  logic                            start_valid,
    output logic                            start_ready,
    input  uop_t                            uop,
    input  consts_t                         consts,
    output logic                            done,
    output fault_t                          fault,
    output logic                            busy,
    input  logic    [         CHANNELS-1:0] s_push,
    input  logic    [                511:0] s_data     [CHANNELS],
    output logic    [         CHANNELS-1:0] s_pop,     // the same for all
    output logic                            act_en,
    output logic    [      $clog2(ACT)-1:0] act_addr,
    input  logic    [                 31:0] act_data   [LANES][64],
    input  logic    [                  3:0] act_exp    [LANES],
    output logic                            qs_en,
    output logic    [  $clog2(SCALARS)-1:0] qs_addr,
    input  logic    [                 15:0] qs_data,
    output logic                            mw_valid,
    output logic    [$clog2(VMEM/VEC)-1:0] mw_addr,
    output logic    [              VEC-1:0] mw_mask,
    output logic    [           VEC*32-1:0] mw_data,
    output logic                            ms_valid,
    output logic    [ $clog2(SBUF/NB)-1:0] ms_row,
    output logic    [            LANES-1:0] ms_lanes,
    output logic    [               NB-1:0] ms_banks,
    output logic    [                 31:0] ms_data    [LANES][NB],
    output logic    [                 31:0] seq,
    output logic                            stat_begin,  // the next operation is begun
    output logic                            stat_busy,   // tiles compute
    output logic                            stat_stream, // waits for beats
    output logic                            stat_out,    // waits for room for results
    output logic                            stat_idle    // no operation
);
  localparam int ENTRIES = 2 * LANE_ROWS / LANES;
  localparam int PAIRS = LANES / 2;
  localparam int WORDS = 2 * LANES > 4 ? 2 * LANES : 4;
  localparam int GROUP = 4;
  if ($clog2(ENTRIES) > ENTRY_BITS || LANES > 2 ** LANE_BITS) begin : gen_check
    $error("mat_unit: more entries or lanes than the records have room for");
  end

  logic flush;
  assign flush = rst || clear;
  step_t step;
  acc_t acc;
  drain_t drain;
  place_t place;
  logic place_valid, place_done;
  logic [3:0] acc_exp[LANES];
  logic [15:0] d3_qsum[LANES];
  mat_ctrl #(
      .CHANNELS(CHANNELS),
      .LANES(LANES),
      .VEC(VEC),
      .FIFO(FIFO),
      .VMEM(VMEM),
      .ACT(ACT),
      .SBUF(SBUF),
      .SCALARS(SCALARS),
      .LANE_ROWS(LANE_ROWS),
      .ENTRIES(ENTRIES),
      .LINK(LINK)
  ) u_ctrl (
      .*,
      .rst(flush)
  );

  logic [15:0] x0[PAIRS*64];
  logic [15:0] x1[PAIRS*64];
  logic [15:0] x2[PAIRS*64];
  logic [15:0] x3[PAIRS*64];
  act_mux #(
      .LANES(LANES)
  ) u_mux (
      .*,
      .format(step.format),
      .half(step.half),
      .a(act_data)
  );
  logic [12:0] x_sum[LANES*4];
  act_sum #(
      .LANES(LANES)
  ) u_act_sums (
      .*,
      .sums(x_sum)
  );

  logic [31:0] results[CHANNELS][WORDS];
  for (genvar g = 0; g < CHANNELS; g += GROUP) begin : gen_group
    localparam int TILES = CHANNELS - g < GROUP ? CHANNELS - g : GROUP;
    logic [15:0] g_x0[PAIRS*64];
    logic [15:0] g_x1[PAIRS*64];
    logic [15:0] g_x2[PAIRS*64];
    logic [15:0] g_x3[PAIRS*64];
    act_link #(
        .PAIRS (PAIRS),
        .STAGES(LINK)
    ) u_act (
        .*,
        .d0(x0),
        .d1(x1),
        .d2(x2),
        .d3(x3),
        .q0(g_x0),
        .q1(g_x1),
        .q2(g_x2),
        .q3(g_x3)
    );
    step_t g_step;
    acc_t g_acc;
    drain_t g_drain;
    link #(
        .WIDTH ($bits(step_t) + $bits(acc_t) + $bits(drain_t)),
        .STAGES(LINK)
    ) u_commands (
        .*,
        .d({step, acc, drain}),
        .q({g_step, g_acc, g_drain})
    );
    logic [12:0] g_sum[LANES*4];
    logic [3:0] g_exp[LANES];
    logic [15:0] g_qsum[LANES];
    for (genvar l = 0; l < LANES; l++) begin : gen_lane
      link #(
          .WIDTH (72),
          .STAGES(LINK)
      ) u_lane (
          .*,
          .d({acc_exp[l], d3_qsum[l], x_sum[4*l], x_sum[4*l+1], x_sum[4*l+2], x_sum[4*l+3]}),
          .q({g_exp[l], g_qsum[l], g_sum[4*l], g_sum[4*l+1], g_sum[4*l+2], g_sum[4*l+3]})
      );
    end

    for (genvar c = g; c < g + TILES; c++) begin : gen_tile
      logic [511:0] beat;
      link #(
          .WIDTH (512),
          .STAGES(LINK)
      ) u_data (
          .*,
          .d(s_data[c]),
          .q(beat)
      );
      logic [31:0] words[WORDS];
      tile #(
          .LANES(LANES),
          .ENTRIES(ENTRIES),
          .HOLD(HOLD)
      ) u_tile (
          .*,
          .step(g_step),
          .x0(g_x0),
          .x1(g_x1),
          .x2(g_x2),
          .x3(g_x3),
          .x_sum(g_sum),
          .acc(g_acc),
          .acc_exp(g_exp),
          .drain(g_drain),
          .d3_qsum(g_qsum),
          .results(words)
      );
      for (genvar i = 0; i < WORDS; i++) begin : gen_word
        link #(
            .WIDTH (32),
            .STAGES(LINK)
        ) u_result (
            .*,
            .d(words[i]),
            .q(results[c][i])
        );
      end
    end
  end

  collector #(
      .CHANNELS(CHANNELS),
      .LANES(LANES),
      .VEC(VEC),
      .VMEM(VMEM),
      .SBUF(SBUF),
      .HOLD(HOLD)
  ) u_collector (
      .*,
      .rst(flush)
  );
endmodule
