// Expires when nothing has moved for `limit` cycles (0 counts as 2^20). Does not know what should have moved.
module watchdog (
    input  logic        clk,
    input  logic        rst,
    input  logic        restart,
    input  logic        progress,
    input  logic [31:0] limit,
    output logic        expired
);
  logic [31:0] count;
  wire [31:0] bound = limit == 0 ? 32'd1 << 20 : limit;
  assign expired = count >= bound;

  always_ff @(posedge clk) begin
    if (rst || restart || progress) count <= '0;
    else if (!expired) count <= count + 32'd1;
  end
endmodule
