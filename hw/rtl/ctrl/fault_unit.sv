// Keeps the first fault of a run (lowest source among those of one cycle) until the next run begins.
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
  logic [SOURCES-1:0] valid;
  for (genvar i = 0; i < SOURCES; i++) begin : gen_valid
    assign valid[i] = faults[i].valid;
  end
  assign hit = status != 0;

  always_ff @(posedge clk) begin
    if (rst || begin_run) begin
      status <= '0;
      fault_pc <= '0;
      fault_info <= '0;
    end else if (enable && !hit && valid != 0) begin
      for (int i = SOURCES - 1; i >= 0; i--) begin
        if (valid[i]) begin
          status <= 32'(faults[i].code);
          fault_pc <= 32'(faults[i].pc);
          fault_info <= faults[i].info;
        end
      end
    end
  end
endmodule
