// Scalar address of each head in turn: one after the other, or grouped by KV head (`G` neighbours, then `pitch` on).
module vec_heads #(
    parameter int SCALARS = 256
) (
    input  logic                       clk,
    input  logic                       init,
    input  logic [               39:0] base,
    input  logic                       grouped,
    input  logic [                4:0] group,
    input  logic [               15:0] pitch,
    input  logic                       next,
    output logic [$clog2(SCALARS)-1:0] addr,
    output logic                       outside
);
  logic [39:0] at, jump;  // from the last head of a group to the first one of the next
  logic [4:0] in_group;
  logic last;
  wire wrap = grouped && last;
  assign addr = at[$clog2(SCALARS)-1:0];
  assign outside = at >= 40'(SCALARS);

  always_ff @(posedge clk) begin
    jump <= 40'(pitch) - 40'(group) + 40'd1;
    if (init) begin
      at <= base;
      in_group <= '0;
      last <= group == 5'd1;
    end else if (next) begin
      at <= at + (wrap ? jump : 40'd1);
      in_group <= wrap ? '0 : in_group + 5'd1;
      last <= group == (wrap ? 5'd1 : in_group + 5'd2);
    end
  end
endmodule
