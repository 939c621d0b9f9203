// The control part of the engine: host registers, run phases, program loader, sequencer, issue queues, semaphores,
// faults, watchdog and counters. Knows units only by their handshakes; contains no data path and no memory port.
module control
  import accllm_isa_pkg::*;
  import accllm_regs_pkg::*;
  import accllm_types_pkg::*;
  import accllm_ctrl_pkg::*;
#(
    parameter int CHANNELS = 2,
    parameter int LANES = 2,
    parameter int IMEM = 512,
    parameter int MAT_QUEUE = 128,
    parameter int VEC_QUEUE = 128,
    parameter int FAULTS = 4
) (
    input  logic             clk,
    input  logic             rst,
    input  logic      [11:0] s_axi_control_awaddr,
    input  logic             s_axi_control_awvalid,
    output logic             s_axi_control_awready,
    input  logic      [31:0] s_axi_control_wdata,
    input  logic      [ 3:0] s_axi_control_wstrb,
    input  logic             s_axi_control_wvalid,
    output logic             s_axi_control_wready,
    output logic      [ 1:0] s_axi_control_bresp,
    output logic             s_axi_control_bvalid,
    input  logic             s_axi_control_bready,
    input  logic      [11:0] s_axi_control_araddr,
    input  logic             s_axi_control_arvalid,
    output logic             s_axi_control_arready,
    output logic      [31:0] s_axi_control_rdata,
    output logic      [ 1:0] s_axi_control_rresp,
    output logic             s_axi_control_rvalid,
    input  logic             s_axi_control_rready,
    output logic             interrupt,
    input  logic      [31:0] config_values[CONFIG_FIELDS],
    output settings_t        settings,
    output logic      [63:0] channel_base [CHANNELS],
    output logic             clear,                     // pulse to all units
    output logic             stop,                      // a fault is held: begin nothing
    input  logic             drained,                   // of all units and ports
    output consts_t          consts,
    // Prefetcher, matrix unit, vector unit.
    output logic             pre_start_valid,
    input  logic             pre_start_ready,
    output uop_t             pre_uop,
    input  logic             pre_done,
    output logic             mat_start_valid,
    input  logic             mat_start_ready,
    output uop_t             mat_uop,
    input  logic             mat_done,
    output logic             vec_start_valid,
    input  logic             vec_start_ready,
    output uop_t             vec_uop,
    input  logic             vec_done,
    output logic      [15:0] vec_pc,                    // instruction that the vector unit runs
    output logic      [ 1:0] dispatch,                  // an operation goes to the matrix, to the vector unit's queue
    output logic      [31:0] state,                     // who waits: FAULT_INFO bits of STALL; instruction in 31:16
    output logic             busy,                      // a run is on
    output logic             executed,                  // the sequencer is through with instruction `seq_pc`
    output logic      [15:0] seq_pc,
    output logic      [ 2:0] queued,                    // operations of prefetcher, matrix, vector unit wait or run
    // Auxiliary port, client of the loader.
    output logic             rq_valid,
    input  logic             rq_ready,
    output logic      [31:0] rq_beat,
    output logic      [15:0] rq_beats,
    input  logic             rd_valid,
    output logic             rd_ready,
    input  logic     [511:0] rd_data,
    // Reports.
    input  fault_t           unit_faults  [  FAULTS],
    input  logic             progress,                  // a beat, a vector word or a bus transfer moved
    input  logic      [15:0] stall_channel,             // first channel without a beat
    input  events_t          events,
    input  logic             result_valid,
    input  logic      [31:0] result_index,
    input  logic      [31:0] result_value
);
  localparam int OWN = 4;  // fault sources in here, before those of the units
  phase_t phase;
  logic start, done, begin_run, load_start, load_done, seq_start, finished, hit, expired, watchdog_restart;
  logic [31:0] args[15], status, fault_pc, fault_info;
  logic [63:0] counter_values[COUNTERS];
  fault_t faults[OWN+FAULTS];
  assign busy = phase != PHASE_IDLE;
  assign stop = hit;

  axil_regs #(.CHANNELS(CHANNELS), .LANES(LANES)) u_regs (.*, .counters(counter_values));

  logic load;  // settled long before a run's first phase ends
  always_ff @(posedge clk) load <= settings.program_len != 0;
  run_control u_run (.*);

  // Program.
  logic imem_we, imem_re, enable, units_idle;
  logic [$clog2(IMEM)-1:0] imem_waddr, imem_raddr;
  logic [255:0] imem_wdata, imem_rdata;
  logic [15:0] length;
  program_loader #(.IMEM(IMEM)) u_loader (
      .*,
      .start(load_start), .addr(settings.program_addr), .len(settings.program_len), .limit(settings.aux_limit),
      .done(load_done), .fault(faults[0]), .w_en(imem_we), .w_addr(imem_waddr), .w_data(imem_wdata)
  );
  imem #(.IMEM(IMEM)) u_imem (
      .*,
      .w_en(imem_we), .w_addr(imem_waddr), .w_data(imem_wdata),
      .r_en(imem_re), .r_addr(imem_raddr), .r_data(imem_rdata)
  );

  // Sequencer: a matrix operation goes to the matrix unit and to the prefetcher at once.
  logic mat_valid, vec_valid, mat_ready, vec_ready, mat_room, pre_room;
  op_t op, pre_op;
  logic [3:0] pfw;
  always_ff @(posedge clk) enable <= phase == PHASE_RUN && !hit && !rst;
  assign mat_ready = mat_room && pre_room;
  wire mat_taken = mat_valid && mat_ready;
  assign dispatch = {vec_valid && vec_ready, mat_taken};
  wire dispatched = dispatch != 0;
  sequencer #(.IMEM(IMEM)) u_sequencer (
      .*,
      .start(seq_start), .imem_en(imem_re), .imem_addr(imem_raddr), .imem_data(instr_t'(imem_rdata)),
      .pc(seq_pc), .fault(faults[1])
  );
  always_comb begin
    pre_op = op;
    {pre_op.sig1, pre_op.sig0, pre_op.wait1} = '0;
    pre_op.wait0 = pfw;
  end

  // Issue queues. Priority at the semaphores: prefetcher, matrix, vector.
  logic [SEMAPHORES:1] ask[5], no_ask;
  raise_t raise[4], no_raise[2];
  logic [15:0] mat_pc, pre_pc;
  logic [4:0] grant;
  logic pre_active, pre_running, pre_waiting, mat_active, mat_running, mat_waiting, vec_active, vec_running, vec_waiting;
  issue #(.DEPTH(MAT_QUEUE), .FLIGHT(4)) u_issue_pre (
      .*,
      .in_valid(mat_taken), .in_ready(pre_room), .in_op(pre_op),
      .ask0(ask[0]), .ask1(no_ask), .grant0(grant[0]), .grant1(1'b0),
      .start_valid(pre_start_valid), .start_ready(pre_start_ready), .uop(pre_uop), .done(pre_done),
      .raise0(no_raise[0]), .raise1(no_raise[1]),
      .active(pre_active), .running(pre_running), .waiting(pre_waiting), .pc(pre_pc)
  );
  issue #(.DEPTH(MAT_QUEUE), .FLIGHT(4)) u_issue_mat (
      .*,
      .in_valid(mat_taken), .in_ready(mat_room), .in_op(op),
      .ask0(ask[1]), .ask1(ask[2]), .grant0(grant[1]), .grant1(grant[2]),
      .start_valid(mat_start_valid), .start_ready(mat_start_ready), .uop(mat_uop), .done(mat_done),
      .raise0(raise[0]), .raise1(raise[1]),
      .active(mat_active), .running(mat_running), .waiting(mat_waiting), .pc(mat_pc)
  );
  issue #(.DEPTH(VEC_QUEUE), .FLIGHT(4)) u_issue_vec (
      .*,
      .in_valid(vec_valid), .in_ready(vec_ready), .in_op(op),
      .ask0(ask[3]), .ask1(ask[4]), .grant0(grant[3]), .grant1(grant[4]),
      .start_valid(vec_start_valid), .start_ready(vec_start_ready), .uop(vec_uop), .done(vec_done),
      .raise0(raise[2]), .raise1(raise[3]),
      .active(vec_active), .running(vec_running), .waiting(vec_waiting), .pc(vec_pc)
  );
  assign queued = {vec_active, mat_active, pre_active};
  // Queues and units have been empty for some cycles, so that what the last operation did has settled and its faults are in.
  logic [2:0] quiet;
  always_ff @(posedge clk) quiet <= {quiet[1:0], queued == 0 && !dispatched};
  assign units_idle = &quiet;
  semaphores u_semaphores (.*, .fault(faults[2]));

  // Faults: those that an instruction made come before the one that says that nothing moves.
  logic moved, stalled;
  logic [15:0] stall_pc;
  always_ff @(posedge clk) moved <= phase != PHASE_ABORT && (progress || dispatched || pre_done || mat_done || vec_done || imem_we);
  logic restart;
  always_ff @(posedge clk) restart <= watchdog_restart;
  watchdog u_watchdog (.*, .progress(moved), .limit(settings.watchdog));
  wire listens = phase == PHASE_FLUSH || phase == PHASE_LOAD || phase == PHASE_RUN;
  assign stalled = expired && listens;
  always_ff @(posedge clk) stall_pc <= mat_active ? mat_pc : vec_active ? vec_pc : pre_active ? pre_pc : phase == PHASE_RUN ? seq_pc : '0;
  always_comb begin
    state = {stall_pc, 16'd0};
    state[STALL_MAT_WAITS] = mat_waiting;
    state[STALL_MAT_RUNS] = mat_running;
    state[STALL_VEC_WAITS] = vec_waiting;
    state[STALL_VEC_RUNS] = vec_running;
    state[STALL_PRE_WAITS] = pre_waiting;
    state[STALL_PRE_RUNS] = pre_running;
    state[STALL_STREAM] = events.mat_stall_stream;
    state[STALL_LOAD] = phase == PHASE_LOAD;
    state[STALL_FLUSH] = phase == PHASE_FLUSH;
  end
  assign faults[3] = '{
          valid: stalled,
          code: FAULT_STALL,
          pc: stall_pc,
          info: {events.mat_stall_stream ? stall_channel : 16'd0, state[15:0]}
      };
  for (genvar i = 0; i < FAULTS; i++) begin : gen_faults
    assign faults[OWN+i] = unit_faults[i];
  end
  fault_unit #(.SOURCES(OWN + FAULTS)) u_faults (.*, .enable(listens));

  wire mat_idle = !mat_active;
  wire mat_wait = mat_waiting && !mat_running;
  wire vec_wait = vec_waiting && !vec_running;
  wire prefetch_wait = pre_waiting && !pre_running;
  counters u_counters (.*, .running(busy), .vec_busy(vec_running), .counters(counter_values));

  always_ff @(posedge clk) begin
    if (!rst && enable) begin
      assert (!pre_done || pre_running) else $error("prefetcher: done without an operation");
      assert (!mat_done || mat_running) else $error("matrix unit: done without an operation");
      assert (!vec_done || vec_running) else $error("vector unit: done without an operation");
    end
  end

  wire unused = &{1'b0, no_ask, no_raise[0], no_raise[1]};
endmodule
