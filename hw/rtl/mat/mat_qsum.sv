// Fetches q_sum of the lane rows of MATK operations from the scalar file, ahead of the scores; kept per operation slot.
// `loaded` counts operations (modulo 8) whose sums are here, operations that need none included.
module mat_qsum
  import accllm_types_pkg::*;
  import accllm_regs_pkg::*;
  import accllm_mat_pkg::*;
#(
    parameter int LANES = 2,
    parameter int LANE_ROWS = 32,
    parameter int SCALARS = 256,
    localparam int STEPS = LANE_ROWS / LANES,
    localparam int SW = $clog2(STEPS)
) (
    input  logic                        clk,
    input  logic                        rst,
    input  logic                        halt,
    input  logic    [              2:0] accepted,
    input  mat_op_t                     ops     [SLOTS],
    output logic    [              2:0] loaded,
    output logic                        qs_en,
    output logic    [$clog2(SCALARS)-1:0] qs_addr,
    input  logic    [             15:0] qs_data,           // one cycle later
    input  logic                        r_en,
    input  logic    [              1:0] r_slot,
    input  logic    [           SW-1:0] r_step,
    output logic    [             15:0] r_sum   [LANES],   // one cycle later
    output fault_t                      fault
);
  localparam int LW = $clog2(LANES);
  // The rest is for the walkers:
  // verilator lint_off UNUSEDSIGNAL
  mat_op_t op;
  // verilator lint_on UNUSEDSIGNAL
  assign op = ops[loaded[1:0]];
  logic running, last, busy_q, last_q;
  logic [15:0] left, pc;
  logic [31:0] at;
  logic [SW+LW-1:0] row, row_q;
  wire needs = op.kind == KIND_K && !op.empty && !op.fault;
  wire avail = accepted != loaded && !halt && !running && !last_q;
  wire outside = at >= SCALARS;

  assign qs_en = running;
  assign qs_addr = at[$clog2(SCALARS)-1:0];

  always_ff @(posedge clk) begin
    if (rst) begin
      running <= 1'b0;
      busy_q <= 1'b0;
      last_q <= 1'b0;
      loaded <= '0;
      fault <= '0;
    end else begin
      running <= running ? !last && !halt : avail && needs;
      busy_q <= running;
      last_q <= running && last;
      loaded <= loaded + 3'(last_q || (avail && !needs));
      fault  <= '{valid: running && outside, code: FAULT_ONCHIP_RANGE, pc: pc, info: at};
      assert (!running || accepted != loaded)
      else $error("mat_qsum: sums of an operation that is not there");
    end
    if (running) begin
      at   <= at + 32'd1;
      row  <= row + (SW + LW)'(1);
      left <= left - 16'd1;
      last <= left == 16'd2;
    end else begin
      at   <= op.aux;
      row  <= '0;
      left <= op.rows;
      last <= op.rows == 16'd1;
      pc   <= op.pc;
    end
    row_q <= row;
  end

  for (genvar l = 0; l < LANES; l++) begin : gen_lane
    logic [15:0] mem[SLOTS*STEPS];
    logic [15:0] q;
    always_ff @(posedge clk)
      if (busy_q && row_q[LW-1:0] == LW'(l)) mem[{loaded[1:0], row_q[LW+:SW]}] <= qs_data;
    always_ff @(posedge clk) if (r_en) q <= mem[{r_slot, r_step}];
    assign r_sum[l] = q;
  end
endmodule
