// Fifteen counting semaphores, 1..15. Five requests (in order of priority) may each take one count, four signals may each
// add one. Two requests for the same semaphore are granted one after the other, so a count never goes below zero.
// A count past 255 is a fault and is not stored. Does not know units.
module semaphores
  import accllm_isa_pkg::*;
  import accllm_regs_pkg::*;
  import accllm_types_pkg::*;
(
    input  logic          clk,
    input  logic          rst,
    input  logic          clear,
    input  logic   [ 3:0] want    [5],
    output logic   [ 4:0] grant,
    input  logic   [ 3:0] raise   [4],
    input  logic   [15:0] raise_pc[4],
    output fault_t        fault
);
  logic [7:0] count[SEMAPHORES+1];
  logic [15:0] nonzero;
  logic any;
  assign any = grant != 0 || (raise[0] | raise[1] | raise[2] | raise[3]) != 0;

  assign grant[0] = nonzero[want[0]];
  assign grant[1] = nonzero[want[1]] && want[1] != want[0];
  assign grant[2] = nonzero[want[2]] && want[2] != want[0] && want[2] != want[1];
  assign grant[3] = nonzero[want[3]] && want[3] != want[0] && want[3] != want[1] && want[3] != want[2];
  assign grant[4] = nonzero[want[4]] && want[4] != want[0] && want[4] != want[1] && want[4] != want[2] && want[4] != want[3];

  always_ff @(posedge clk) begin
    fault <= '0;
    if (rst || clear) begin
      for (int i = 0; i <= SEMAPHORES; i++) count[i] <= '0;
      nonzero <= '0;
    end else if (any) begin
      for (int i = 1; i <= SEMAPHORES; i++) begin
        logic [8:0] sum;
        sum = {1'b0, count[i]};
        for (int r = 0; r < 4; r++) if (raise[r] == 4'(i)) sum = sum + 9'd1;
        for (int w = 0; w < 5; w++) if (grant[w] && want[w] == 4'(i)) sum = sum - 9'd1;
        if (sum[8]) begin
          for (int r = 0; r < 4; r++) begin
            if (raise[r] == 4'(i)) fault <= '{valid: 1'b1, code: FAULT_SEMAPHORE, pc: raise_pc[r], info: i};
          end
        end else begin
          count[i] <= sum[7:0];
          nonzero[i] <= sum != 0;
        end
      end
    end
  end
endmodule
