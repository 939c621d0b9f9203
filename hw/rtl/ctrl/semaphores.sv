// Fifteen counting semaphores, 1..15. Five requests (in order of priority, one bit a semaphore) may each take one count,
// four signals may each add one. Two requests for the same semaphore are granted one after the other, so a count never
// goes below zero. A signal is counted one cycle after it came, and may be granted in that cycle. A count past 255 is a
// fault and is not stored. Does not know units.
module semaphores
  import accllm_isa_pkg::*;
  import accllm_regs_pkg::*;
  import accllm_types_pkg::*;
  import accllm_ctrl_pkg::*;
(
    input  logic                         clk,
    input  logic                         rst,
    input  logic                         clear,
    input  logic   [     SEMAPHORES:1]   ask     [5],
    output logic   [             4:0]    grant,
    input  raise_t                       raise   [4],
    output fault_t                       fault
);
  localparam int N = SEMAPHORES;
  logic [N:1] available, past;  // a count, or one that came in the cycle before
  logic [N:1] given[5];
  raise_t came[4], late[4], blamed[4];  // the signals, one, two and three cycles after they came
  logic [3:0] guilty, guilty_q;

  always_comb begin
    for (int i = 1; i <= N; i++) begin
      logic taken;
      taken = !available[i];
      for (int w = 0; w < 5; w++) begin
        given[w][i] = ask[w][i] && !taken;
        taken |= ask[w][i];
      end
    end
    for (int w = 0; w < 5; w++) grant[w] = given[w] != 0;
    for (int r = 0; r < 4; r++) guilty[r] = late[r].valid && past[late[r].index];
  end

  for (genvar i = 1; i <= N; i++) begin : gen_count
    logic [7:0] count;
    logic [2:0] add;  // signals that came in the cycle before
    logic [3:0] hits;  // those that come, by who gives them
    logic some, over;
    wire take = given[0][i] || given[1][i] || given[2][i] || given[3][i] || given[4][i];
    wire [8:0] full = {1'b0, count} + {6'd0, add}, less = full - 9'd1;
    wire [8:0] sum = take ? less : full;
    assign {available[i], past[i]} = {some, over};
    // Not one is left: from flags, since `take` is known late.
    wire single = (count == 8'd1 && add == 3'd0) || (count == 8'd0 && add == 3'd1);
    wire left = (count != 0 || add != 0) && !(single && take);
    wire comes = hits != 0;
    wire several = (hits[0] && hits[1]) || (hits[2] && hits[3]) || ((hits[0] || hits[1]) && (hits[2] || hits[3]));
    for (genvar r = 0; r < 4; r++) begin : gen_hit
      assign hits[r] = raise[r].valid && raise[r].which[i];
    end
    always_ff @(posedge clk) begin
      if (rst || clear) begin
        {count, add, some, over} <= '0;
      end else begin
        add <= {&hits, several && !(&hits), ^hits};  // how many
        some <= left || comes;
        over <= sum[8];
        if (!sum[8]) count <= sum[7:0];
        assert (!(take && count == 0 && add == 0)) else $error("semaphore %0d goes below zero", i);
        assert (some == (count != 0 || add != 0)) else $error("semaphore %0d: %0d counts", i, count);
      end
    end
  end

  always_ff @(posedge clk) begin
    came <= raise;
    late <= came;
    for (int r = 0; r < 4; r++) late[r].valid <= came[r].valid && came[r].index != 0;
    blamed <= late;
    guilty_q <= guilty;
    fault <= '0;
    for (int r = 0; r < 4; r++) begin
      if (guilty_q[r]) fault <= '{valid: 1'b1, code: FAULT_SEMAPHORE, pc: blamed[r].pc, info: 32'(blamed[r].index)};
    end
    if (rst || clear) begin
      fault <= '0;
      guilty_q <= '0;
      for (int r = 0; r < 4; r++) {came[r].valid, late[r].valid} <= '0;
    end
  end
endmodule
