// Collects words of 32-bit elements from the result queue into beats and offers them to the auxiliary port's write client.
module vec_store
  import accllm_vec_pkg::*;
#(
    parameter int VEC = 8
) (
    input  logic             clk,
    input  logic             flush,
    input  logic             init,
    input  logic     [ 31:0] beat,           // first beat
    input  logic             store,
    input  logic             halves,
    input  logic             valid,          // a word, or half of one
    input  logic             valid_copy,
    output logic             pop,
    input  vresult_t         result,
    input  logic     [ 31:0] x       [VEC],
    (* keep *) output logic  wq_valid,       // not one with its copy
    input  logic             wq_ready,
    output logic     [ 31:0] wq_beat,
    output logic     [511:0] wq_data
);
  localparam int PARTS = VEC < 16 ? 16 / VEC : 1;
  logic part;
  wire last = result.last && (result.upper || !halves);
  // Copies: what takes a result from the queue, and what loads the beat; the operation is looked at long before its results
  // come. Halves come in turn.
  (* keep *) logic takes, takes_data, full_data, upper;
  assign pop = valid && takes && !wq_valid;  // the port takes a beat every second cycle anyway
  wire load = valid_copy && takes_data && !full_data;
  logic full_next;
  always_comb begin
    full_next = pop ? PARTS == 1 || part || last : wq_valid && !wq_ready;
    if (flush || init) full_next = 1'b0;
  end

  always_ff @(posedge clk) begin
    {takes, takes_data} <= {2{store}};
    {wq_valid, full_data} <= {2{full_next}};
    if (flush || init) begin
      {part, upper} <= '0;
    end else if (pop) begin
      part <= PARTS == 2 && !part;
      upper <= halves && !upper;
    end
    assert (flush || !pop || result.upper == upper) else $error("store: half of a word out of its turn");
    assert (flush || !(init && wq_valid)) else $error("store: an operation begins before the last beat is taken");
    if (init) wq_beat <= beat;
    else if (wq_valid && wq_ready) wq_beat <= wq_beat + 32'd1;
  end

  for (genvar e = 0; e < 16; e++) begin : gen_element
    logic [31:0] q;
    if (VEC == 8) begin : gen_8
      always_ff @(posedge clk) if (load && part == 1'(e / 8)) q <= x[e%8];
    end else if (VEC == 16) begin : gen_16
      always_ff @(posedge clk) if (load) q <= x[e];
    end else begin : gen_32
      always_ff @(posedge clk) if (load) q <= upper ? x[e+16] : x[e];
    end
    assign wq_data[e*32+:32] = q;
  end

  wire unused = &{1'b0, result};
endmodule
