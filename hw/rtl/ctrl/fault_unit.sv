// Keeps the first fault of a run (lowest source among those of one cycle) until the next run begins. Reports are taken into
// registers first, so a fault is held, with `hit`, two cycles after it was reported.
// Does not stop anything itself: run_control does, on `hit`.
module fault_unit
  import accllm_types_pkg::*;
#(
    parameter int SOURCES = 8
) (
    input  logic          clk,
    input  logic          rst,
    input  logic          begin_run,
    input  logic          enable,
    input  fault_t        faults    [SOURCES],
    output logic          hit,                  // a fault is held
    output logic   [31:0] status,
    output logic   [31:0] fault_pc,
    output logic   [31:0] fault_info
);
  fault_t report[SOURCES], first;

  // Copies of who reports: for its words, for the rest.
  (* keep *) logic [SOURCES-1:0] valid_info, valid_rest;
  always_comb begin
    first = '0;
    for (int i = SOURCES - 1; i >= 0; i--) begin
      if (valid_info[i]) first.info = report[i].info;
      if (valid_rest[i]) {first.valid, first.code, first.pc} = {1'b1, report[i].code, report[i].pc};
    end
  end

  always_ff @(posedge clk) begin
    report <= faults;
    for (int i = 0; i < SOURCES; i++) {valid_info[i], valid_rest[i]} <= {2{faults[i].valid && enable && !rst && !begin_run}};
    if (rst || begin_run) begin
      {hit, status, fault_pc, fault_info} <= '0;
    end else if (first.valid && !hit) begin
      hit <= 1'b1;
      status <= 32'(first.code);
      fault_pc <= 32'(first.pc);
      fault_info <= first.info;
    end
    if (!rst) assert (!(first.valid && first.code == 0)) else $error("a fault without a code");
  end
endmodule
