// Writes results to vector memory: takes them from the result queue and waits while the matrix unit writes. A result outside
// is not written and reported.
module vec_dst
  import accllm_vec_pkg::*;
#(
    parameter int VEC = 8,
    parameter int VMEM = 1 << 16
) (
    input  logic                                  clk,
    input  logic                                  flush,
    input  logic                                  init,
    input  logic     [                  31:0]     c,         // first element
    input  vop_t                                  op,
    input  vsetup_t                               setup,
    input  logic                                  valid,
    input  logic                                  valid_copy,
    output logic                                  pop,
    input  vresult_t                              result,
    input  logic     [               VEC-1:0]     mask,
    input  logic     [                  31:0]     x     [VEC],
    (* keep *) output logic                       vw_valid,
    input  logic                                  ready_next, // `vw_ready`, a cycle before
    output logic     [$clog2(VMEM/VEC)-1:0]     vw_addr,
    output logic     [               VEC-1:0]     vw_mask,
    output logic     [            VEC*32-1:0]     vw_data,
    output logic                                  stays,     // a word waits for the matrix unit's
    output logic                                  bad
);
  localparam int LV = $clog2(VEC);
  // The word that comes next. Of a pair the words are `distance` apart; after its second one, one on from the first, and after
  // the last pair of a row one on from the second.
  logic [31:0] word, back;
  // Copies: `ready` of `vw_ready`, and what loads the words. The operation's record is looked at long before its results come.
  (* keep *) logic ready, ready_copy, takes, takes_copy, holds_copy;
  wire outside = word >= 32'(VMEM / VEC);
  wire complete = !op.halves || result.upper;
  assign pop = valid && takes && (!vw_valid || ready);
  wire load = valid_copy && takes_copy && (!holds_copy || ready_copy);
  wire holds = !flush && (pop ? !outside : vw_valid && !ready);
  wire turns_bad = pop && outside;
  assign stays = vw_valid && !ready;
  wire [31:0] after = word + 32'd1, forth = word + setup.distance, backward = word + back;
  logic [31:0] word_next;
  always_comb begin
    if (!op.pairs) word_next = complete ? after : word;
    else if (!result.upper) word_next = forth;
    else word_next = result.last ? after : backward;
  end

  always_ff @(posedge clk) begin
    {ready, ready_copy} <= {2{ready_next}};
    {takes, takes_copy} <= {2{op.to_vmem}};
    {vw_valid, holds_copy} <= {2{holds}};
    back <= 32'd1 - setup.distance;
    if (init) word <= c >> LV;
    else if (pop) word <= word_next;
    bad <= turns_bad && !flush;
    if (pop) begin
      vw_addr <= word[$clog2(VMEM/VEC)-1:0];
      vw_mask <= mask;
    end
    assert (!(init && vw_valid)) else $error("vector results: an operation begins before the last word is written");
  end
  for (genvar l = 0; l < VEC; l++) begin : gen_lane
    logic [31:0] q;
    always_ff @(posedge clk) if (load) q <= x[l];
    assign vw_data[l*32+:32] = q;
  end

  wire unused = &{1'b0, op, setup, result};
endmodule
