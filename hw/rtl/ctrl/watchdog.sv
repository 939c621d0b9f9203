// Expires when nothing has moved for `limit` cycles (0 counts as 2^20). `expired` comes one cycle after the count is
// reached. Does not know what should have moved.
module watchdog (
    input  logic        clk,
    input  logic        rst,
    input  logic        restart,
    input  logic        progress,
    input  logic [31:0] limit,
    output logic        expired
);
  logic [31:0] count, bound;
  wire reached = count >= bound;

  always_ff @(posedge clk) begin
    bound <= limit == 0 ? 32'd1 << 20 : limit;
    expired <= reached && !(rst || restart || progress);
    if (rst || restart || progress) count <= '0;
    else if (!reached) count <= count + 32'd1;
  end
endmodule
