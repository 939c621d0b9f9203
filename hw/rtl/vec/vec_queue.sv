// Results on their way to who may have to wait: vector memory, the KV cache, auxiliary memory. Counts from a step on, so
// that a step begins only when its result will find room: nothing between here and there ever waits.
module vec_queue
  import accllm_vec_pkg::*;
#(
    parameter int VEC = 8,
    parameter int DEPTH = 32
) (
    input  logic                  clk,
    input  logic                  flush,
    input  logic                  step,          // a step begins whose result comes here
    output logic                  room_next,     // for a step and its second half, after this cycle
    input  logic                  push,
    input  vresult_t              in,
    input  logic     [VEC-1:0]    in_mask,
    input  logic     [   31:0]    in_x    [VEC],
    (* keep *) output logic       valid,
    (* keep *) output logic       valid_copy,
    output logic                  more,          // than one
    input  logic                  pop,
    output vresult_t              out,
    output logic     [VEC-1:0]    out_mask,
    output logic     [   31:0]    out_x   [VEC]
);
  localparam int AW = $clog2(DEPTH);
  logic [AW-1:0] wr;
  (* keep *) logic [AW-1:0] rd;  // not one with its copies
  logic [AW:0] level, claimed;
  wire [AW-1:0] rd_next = flush ? '0 : pop ? rd + AW'(1) : rd;
  assign room_next = claimed <= (AW + 1)'(DEPTH - 4);
  vresult_t info[DEPTH];
  logic [VEC-1:0] masks[DEPTH];

  always_ff @(posedge clk) begin
    rd <= rd_next;
    if (push) begin
      info[wr] <= in;
      masks[wr] <= in_mask;
    end
    if (flush) begin
      wr <= '0;
      {level, claimed} <= '0;
      {valid, valid_copy, more} <= '0;
    end else begin
      wr <= wr + AW'(push);
      if (push != pop) level <= level + (pop ? '1 : (AW + 1)'(1));
      {valid, valid_copy} <= {2{more || push || (valid && !pop)}};
      more <= push == pop ? more : push ? valid : level > (AW + 1)'(2);
      if (step != pop) claimed <= claimed + (pop ? '1 : (AW + 1)'(1));
      assert (!push || level != (AW + 1)'(DEPTH)) else $error("result queue: push into full");
      assert (!pop || valid) else $error("result queue: pop of empty");
      assert (valid == (level != 0) && more == (level > 1)) else $error("result queue: flags of %0d results", level);
      assert (level <= claimed && claimed <= (AW + 1)'(DEPTH))
      else $error("result queue: %0d results, %0d places claimed", level, claimed);
    end
  end
  assign out = info[rd];
  assign out_mask = masks[rd];
  for (genvar l = 0; l < VEC; l++) begin : gen_lane
    // Eight lanes have a copy of the place that is read.
    if (l % 8 == 0) begin : gen_place
      (* keep *) logic [AW-1:0] at;
      always_ff @(posedge clk) at <= rd_next;
    end
    logic [31:0] mem[DEPTH];
    always_ff @(posedge clk) if (push) mem[wr] <= in_x[l];
    assign out_x[l] = mem[gen_lane[l/8*8].gen_place.at];
  end
endmodule
