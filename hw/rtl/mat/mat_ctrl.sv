// Control of all tiles: queue of operations, rows of beats, the issue and drain walkers, q_sums, and the delay lines that
// bring their commands and the exponents of MATW's activation words to the stages that need them. All outputs to the
// tiles are in step with one another as a tile wants them (tile.sv); LINK more cycles on the way change nothing, as
// beats, activations and commands take as long, and `place` waits for LINK both ways.
// After a fault nothing is issued or drained until `rst` (which is also the engine's clear).
module mat_ctrl
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
    parameter int ENTRIES = 32,
    parameter int LINK = 0
) (
    input  logic                           clk,
    input  logic                           rst,
    input  logic                           start_valid,
    output logic                           start_ready,
    input  uop_t                           uop,
    input  consts_t                        consts,
    input  logic                           done,
    output fault_t                         fault,
    output logic                           busy,
    input  logic    [        CHANNELS-1:0] s_push,
    output logic    [        CHANNELS-1:0] s_pop,
    output logic                           act_en,
    output logic    [     $clog2(ACT)-1:0] act_addr,
    input  logic    [                 3:0] act_exp    [LANES],
    output logic                           qs_en,
    output logic    [ $clog2(SCALARS)-1:0] qs_addr,
    input  logic    [                15:0] qs_data,
    output step_t                          step,
    output acc_t                           acc,
    output logic    [                 3:0] acc_exp    [LANES],
    output drain_t                         drain,
    output logic    [                15:0] d3_qsum    [LANES],
    output logic                           place_valid,
    output logic                           place_done,
    output place_t                         place,
    output logic                           stat_begin,
    output logic                           stat_busy,
    output logic                           stat_stream,
    output logic                           stat_out,
    output logic                           stat_idle
);
  localparam int SW = $clog2(LANE_ROWS / LANES);
  mat_op_t ops[SLOTS];
  logic [2:0] accepted, loaded;
  logic taken, halt, entry_free, bank_free, finished, row;
  fault_t issue_fault, drain_fault, qsum_fault;
  logic [2:0] flight;

  mat_queue #(
      .LANES(LANES),
      .VEC(VEC),
      .LANE_ROWS(LANE_ROWS)
  ) u_queue (
      .*,
      .retire(done)
  );

  beat_rows #(
      .CHANNELS(CHANNELS),
      .FIFO(FIFO)
  ) u_beats (
      .*,
      .push(s_push)
  );

  acc_t c1_acc;
  logic c1_last;
  mat_issue #(
      .CHANNELS(CHANNELS),
      .FIFO(FIFO),
      .ACT(ACT),
      .ENTRIES(ENTRIES)
  ) u_issue (
      .*,
      .acc(c1_acc),
      .last(c1_last),
      .fault(issue_fault),
      .idle(stat_idle)
  );

  // From the step (c1) to its sums: a tile wants their command nine cycles later, as the exponents, which come with the
  // activation word.
  delay_line #(
      .WIDTH ($bits(acc_t)),
      .STAGES(9)
  ) u_to_acc (
      .*,
      .d(c1_acc),
      .q(acc)
  );
  logic unit;
  always_ff @(posedge clk) unit <= step.unit;
  for (genvar l = 0; l < LANES; l++) begin : gen_exponent
    logic [3:0] c3;
    always_ff @(posedge clk) c3 <= unit ? '0 : act_exp[l];
    delay_line #(
        .WIDTH (4),
        .STAGES(7)
    ) u_to_sums (
        .*,
        .d(c3),
        .q(acc_exp[l])
    );
  end
  // An entry's last sums are there when a read that begins now comes to the tile.
  logic [7:0] ends;
  assign finished = ends[7];
  always_ff @(posedge clk) ends <= rst ? '0 : {ends[6:0], c1_last};

  logic [1:0] drain_slot;
  logic [SW-1:0] drain_step;
  logic d2_valid, d2_done;
  place_t d2_place;
  mat_drain #(
      .CHANNELS(CHANNELS),
      .LANES(LANES),
      .VEC(VEC),
      .VMEM(VMEM),
      .SBUF(SBUF),
      .ENTRIES(ENTRIES)
  ) u_walk (
      .*,
      .score_row(consts.score_row),
      .place(d2_place),
      .place_valid(d2_valid),
      .place_done(d2_done),
      .fault(drain_fault)
  );

  // From the read of the sums to the results in the collector.
  localparam int WAY = 7 + 2 * LINK;
  logic [WAY-1:0] valids, dones;
  assign place_valid = valids[WAY-1];
  assign place_done = dones[WAY-1];
  always_ff @(posedge clk) begin
    valids <= rst ? '0 : {valids[WAY-2:0], d2_valid};
    dones  <= rst ? '0 : {dones[WAY-2:0], d2_done};
  end
  delay_line #(
      .WIDTH ($bits(place_t)),
      .STAGES(WAY)
  ) u_to_place (
      .*,
      .d(d2_place),
      .q(place)
  );

  logic [15:0] q_sum[LANES];
  wire keys = drain.valid && drain.kind == KIND_K;
  mat_qsum #(
      .LANES(LANES),
      .LANE_ROWS(LANE_ROWS),
      .SCALARS(SCALARS)
  ) u_qsum (
      .*,
      .r_en(keys),
      .r_slot(drain_slot),
      .r_step(drain_step),
      .r_sum(q_sum),
      .fault(qsum_fault)
  );
  for (genvar l = 0; l < LANES; l++) begin : gen_qsum
    delay_line #(
        .WIDTH (16),
        .STAGES(3)
    ) u_to_products (
        .*,
        .d(q_sum[l]),
        .q(d3_qsum[l])
    );
  end

  assign fault = issue_fault.valid ? issue_fault : qsum_fault.valid ? qsum_fault : drain_fault;
  assign busy = flight != 0;
  always_ff @(posedge clk) begin
    if (rst) begin
      halt <= 1'b0;
      flight <= '0;
    end else begin
      halt <= halt || fault.valid;
      flight <= flight + 3'(start_valid && start_ready) - 3'(done);
      assert (flight <= 3'(SLOTS))
      else $error("mat_ctrl: %0d operations", flight);
    end
  end
endmodule
