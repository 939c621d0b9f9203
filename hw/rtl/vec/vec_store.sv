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
    output logic             pop,
    input  vresult_t         result,
    input  logic     [ 31:0] x       [VEC],
    output logic             wq_valid,
    input  logic             wq_ready,
    output logic     [ 31:0] wq_beat,
    output logic     [511:0] wq_data
);
  localparam int PARTS = VEC < 16 ? 16 / VEC : 1;
  logic part;
  wire last = result.last && (result.upper || !halves);
  assign pop = valid && store && !wq_valid;  // the port takes a beat every second cycle anyway

  always_ff @(posedge clk) begin
    if (flush || init) begin
      part <= 1'b0;
      wq_valid <= 1'b0;
    end else begin
      if (wq_ready) wq_valid <= 1'b0;
      if (pop) begin
        part <= PARTS == 2 && !part;
        wq_valid <= PARTS == 1 || part || last;
      end
    end
    assert (flush || !(init && wq_valid)) else $error("store: an operation begins before the last beat is taken");
    if (init) wq_beat <= beat;
    else if (wq_valid && wq_ready) wq_beat <= wq_beat + 32'd1;
  end

  for (genvar e = 0; e < 16; e++) begin : gen_element
    logic [31:0] q;
    if (VEC == 8) begin : gen_8
      always_ff @(posedge clk) if (pop && part == 1'(e / 8)) q <= x[e%8];
    end else if (VEC == 16) begin : gen_16
      always_ff @(posedge clk) if (pop) q <= x[e];
    end else begin : gen_32
      always_ff @(posedge clk) if (pop) q <= result.upper ? x[e+16] : x[e];
    end
    assign wq_data[e*32+:32] = q;
  end

  wire unused = &{1'b0, result};
endmodule
