// 2^15 * sigmoid(x / 4096) of a signed number by table: 0..32768. Stages, each with its own enable: magnitude, table, the
// table's output register, line; the last sign is for the user's register.
module vec_sigmoid
  import accllm_tables_pkg::*;
(
    input  logic        clk,
    input  logic [ 3:0] en,
    input  logic [31:0] x,
    output logic [15:0] y
);
  (* rom_style = "block" *) logic [27:0] rom[512];
  initial for (int i = 0; i < 512; i++) rom[i] = {SIGMOID_VALUE[i], SIGMOID_DELTA[i]};
  logic [15:0] mag;
  logic [27:0] entry, entry_q;
  logic [6:0] low, low_q;
  logic [3:0] negative, saturated;
  logic [22:0] line;  // value * 128 + delta * low

  always_ff @(posedge clk) begin
    if (en[0]) begin
      mag <= x[31] ? -x[15:0] : x[15:0];
      negative[0] <= x[31];
      // The magnitude has more than 16 bits.
      saturated[0] <= x[31] ? x[31:16] != 16'hffff || x[15:0] == 0 : x[31:16] != 0;
    end
    if (en[1]) begin
      entry <= rom[mag[15:7]];
      low <= mag[6:0];
      {negative[1], saturated[1]} <= {negative[0], saturated[0]};
    end
    if (en[2]) begin
      entry_q <= entry;
      low_q <= low;
      {negative[2], saturated[2]} <= {negative[1], saturated[1]};
    end
    if (en[3]) begin
      line <= {entry_q[27:12], 7'd0} + 23'(entry_q[11:0] * 19'(low_q));
      {negative[3], saturated[3]} <= {negative[2], saturated[2]};
    end
  end

  wire [15:0] positive = saturated[3] ? 16'd32768 : line[22:7];
  assign y = negative[3] ? 16'd32768 - positive : positive;

  wire unused = &{1'b0, line[6:0]};
endmodule
