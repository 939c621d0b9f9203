// First-in first-out memory with a registered read: `r_data` changes one cycle after `r_pop`, and keeps its value
// until the next one. A word can be popped in the cycle after it was written. Does not limit writes or reads: the writer
// reserves room, the reader counts words.
module stream_fifo #(
    parameter int WIDTH = 512,
    parameter int DEPTH = 64
) (
    input  logic             clk,
    input  logic             rst,
    input  logic             clear,
    input  logic             w_valid,
    input  logic [WIDTH-1:0] w_data,
    output logic             r_valid,
    input  logic             r_pop,
    output logic [WIDTH-1:0] r_data
);
  localparam int AW = $clog2(DEPTH);
  (* ram_style = "ultra" *)logic [WIDTH-1:0] mem[DEPTH];
  logic [AW-1:0] w_at, r_at;
  logic [AW:0] level;

  assign r_valid = level != 0;

  always_ff @(posedge clk) begin
    if (w_valid) mem[w_at] <= w_data;
    if (r_pop) r_data <= mem[r_at];
  end

  always_ff @(posedge clk) begin
    if (rst || clear) begin
      w_at  <= '0;
      r_at  <= '0;
      level <= '0;
    end else begin
      w_at  <= w_at + AW'(w_valid);
      r_at  <= r_at + AW'(r_pop);
      if (w_valid != r_pop) level <= r_pop ? level - (AW + 1)'(1) : level + (AW + 1)'(1);
      assert (!r_pop || r_valid)
      else $error("stream_fifo: pop from empty");
      assert (!w_valid || !level[AW])
      else $error("stream_fifo: push to full");
    end
  end
endmodule
