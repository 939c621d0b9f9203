// Elements of the beats that come from auxiliary memory, one word of them per step: 16 or 32 bits each.
module vec_load #(
    parameter int VEC = 8
) (
    input  logic         clk,
    input  logic         init,
    input  logic         i32,
    input  logic         take,     // a step uses the current elements
    input  logic         last,     // the last step of the operation
    input  logic [511:0] rd_data,
    output logic         rd_ready,
    output logic [ 31:0] x      [VEC]
);
  localparam int N16 = 32 / VEC;
  localparam int N32 = VEC < 16 ? 16 / VEC : 1;
  logic [1:0] part;
  wire [1:0] most = i32 ? 2'(N32 - 1) : 2'(N16 - 1);
  assign rd_ready = take && (part == most || last);

  always_ff @(posedge clk) begin
    if (init) part <= '0;
    else if (take) part <= rd_ready ? '0 : part + 2'd1;
  end

  for (genvar l = 0; l < VEC; l++) begin : gen_lane
    logic [15:0] e16[4];
    logic [31:0] e32[4];
    for (genvar p = 0; p < 4; p++) begin : gen_part
      assign e16[p] = rd_data[((p%N16)*VEC+l)*16+:16];
      assign e32[p] = rd_data[(((p%N32)*VEC+l)%16)*32+:32];
    end
    assign x[l] = i32 ? e32[part] : {{16{e16[part][15]}}, e16[part]};
  end
endmodule
