// Keeps the beats that come from auxiliary memory and hands their elements out, one word of them per step: 16 or 32 bits
// each. `ready_next` says a cycle before that a step may begin; its elements are then there when it is in the memory output
// stage.
module vec_load #(
    parameter int VEC = 8
) (
    input  logic         clk,
    input  logic         flush,
    input  logic         init,
    input  logic         i32,
    input  logic         step,      // a step begins
    input  logic         take,      // a step is in stage 3: its elements follow
    input  logic         pass,      // a copy of that
    output logic         ready_next,
    input  logic         rd_valid,
    output logic         rd_ready,
    input  logic [511:0] rd_data,
    output logic [ 31:0] x      [VEC]
);
  localparam int N16 = 32 / VEC;
  localparam int N32 = VEC < 16 ? 16 / VEC : 1;
  localparam int DEPTH = 8;
  localparam int AW = $clog2(DEPTH);
  logic [511:0] mem[DEPTH];
  logic [AW-1:0] wr, rd;
  logic [AW:0] level;
  logic [AW+2:0] words;  // that no step has asked for
  logic [1:0] part;
  wire [1:0] most = i32 ? 2'(N32 - 1) : 2'(N16 - 1);
  wire push = rd_valid && rd_ready;
  assign ready_next = push || words > (AW + 3)'(1) || (words != 0 && !step);
  wire pop = take && part == most;
  wire [AW:0] level_next = level + (AW + 1)'(push) - (AW + 1)'(pop);

  always_ff @(posedge clk) begin
    if (push) mem[wr] <= rd_data;
    if (flush || init) begin
      {wr, rd, part} <= '0;
      level <= '0;
      words <= '0;
      rd_ready <= init && !flush;
    end else begin
      wr <= wr + AW'(push);
      rd <= rd + AW'(pop);
      level <= level_next;
      rd_ready <= level_next < (AW + 1)'(DEPTH);
      words <= words + (push ? (AW + 3)'(most) + 1'b1 : '0) - (AW + 3)'(step);
      if (take) part <= pop ? '0 : part + 2'd1;
      assert (!step || words != 0) else $error("load: a step without elements");
      assert (!take || level != 0) else $error("load: no beat to take from");
      assert (level <= (AW + 1)'(DEPTH)) else $error("load: %0d beats", level);
    end
  end

  wire [511:0] beat = mem[rd];
  for (genvar l = 0; l < VEC; l++) begin : gen_lane
    logic [15:0] e16[4];
    logic [31:0] e32[4];
    for (genvar p = 0; p < 4; p++) begin : gen_part
      assign e16[p] = beat[((p%N16)*VEC+l)*16+:16];
      assign e32[p] = beat[(((p%N32)*VEC+l)%16)*32+:32];
    end
    always_ff @(posedge clk) begin
      if (pass) x[l] <= i32 ? e32[part] : {{16{e16[part][15]}}, e16[part]};
    end
  end
endmodule
