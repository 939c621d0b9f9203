// Matrix unit: one tile per channel under one controller. Takes operations, beats (`s_data` one cycle after `s_pop`),
// activation words with exponents and q_sums (all one cycle after their address); writes rows and dims to the vector memory (mw_*),
// scores to the score buffer (ms_*). `seq` is the dispatch number of the operation being written or done.
module mat_unit
  import accllm_isa_pkg::*;
  import accllm_types_pkg::*;
  import accllm_mat_pkg::*;
#(
    parameter int CHANNELS = 2,
    parameter int LANES = 2,
    parameter int VEC = 8,
    parameter int VMEM = 65536,
    parameter int ACT = 512,
    parameter int SBUF = 4096,
    parameter int SCALARS = 256,
    parameter int LANE_ROWS = 32,
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
    input  logic    [         CHANNELS-1:0] s_valid,
    input  logic    [                511:0] s_data     [CHANNELS],
    output logic                            s_pop,
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
  localparam int EW = $clog2(ENTRIES);
  localparam int LW = $clog2(LANES);
  wire flush = rst || clear;

  logic t1_param, t1_scale, t1_decode, t1_half, t1_unit, t1_valid, t2_valid, t3_valid, t4_valid, t5_valid, t5_first;
  logic d0_valid, d1_valid, d2_valid, d3_valid, d4_valid, d5_valid, d1_second, d2_wide, d2_pair, d5_pair, d5_done;
  logic [1:0] t1_bank, d0_bank, d5_word;
  logic [2:0] d0_words;
  logic [2:0] t1_sidx;
  format_t t1_format;
  kind_t d1_kind, d2_kind, d3_kind, d4_kind, d5_kind;
  logic [EW-1:0] t5_entry, d0_entry;
  logic [3:0] t5_exp[LANES];
  logic [LW-1:0] d1_lane;
  logic [LANES-1:0] d5_lanes;
  logic [15:0] d2_qsum[LANES];
  logic [31:0] d5_addr, d5_seq;
  mat_ctrl #(
      .CHANNELS(CHANNELS),
      .LANES(LANES),
      .VEC(VEC),
      .VMEM(VMEM),
      .ACT(ACT),
      .SBUF(SBUF),
      .SCALARS(SCALARS),
      .LANE_ROWS(LANE_ROWS),
      .ENTRIES(ENTRIES)
  ) ctrl (
      .rst(flush),
      .*
  );

  logic [31:0] x0[PAIRS*64];
  logic [31:0] x1[PAIRS*64];
  logic [31:0] x2[PAIRS*64];
  logic [31:0] x3[PAIRS*64];
  act_mux #(
      .LANES(LANES)
  ) mux (
      .clk,
      .valid(t1_valid),
      .format(t1_format),
      .half(t1_half),
      .a(act_data),
      .x0,
      .x1,
      .x2,
      .x3
  );

  logic [31:0] x_sum[PAIRS*4];
  act_sum #(
      .PAIRS(PAIRS)
  ) sums (
      .clk,
      .t2_valid,
      .t3_valid,
      .x0,
      .x1,
      .x_sum
  );

  logic [31:0] w[CHANNELS];
  logic [31:0] v[4*CHANNELS];
  logic [31:0] k[CHANNELS][LANES*2];
  for (genvar c = 0; c < CHANNELS; c++) begin : gen_tile
    logic [31:0] dims[4];
    tile #(
        .LANES(LANES),
        .ENTRIES(ENTRIES)
    ) tile (
        .beat(s_data[c]),
        .d5_w(w[c]),
        .d5_v(dims),
        .d5_k(k[c]),
        .*
    );
    for (genvar g = 0; g < 4; g++) begin : gen_dim
      assign v[4*c+g] = dims[g];
    end
  end

  collector #(
      .CHANNELS(CHANNELS),
      .LANES(LANES),
      .VEC(VEC),
      .VMEM(VMEM),
      .SBUF(SBUF)
  ) collector (
      .rst(flush),
      .*
  );
endmodule
