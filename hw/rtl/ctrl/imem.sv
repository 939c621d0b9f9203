// Instruction memory: one write port, one read port with data two cycles after `r_en`, held until the next read's.
// The second register stands after the multiplexer that joins the block RAMs. Does not check addresses; the loader and the
// sequencer do.
module imem #(
    parameter int IMEM = 512
) (
    input  logic                    clk,
    input  logic                    w_en,
    input  logic [$clog2(IMEM)-1:0] w_addr,
    input  logic [           255:0] w_data,
    input  logic                    r_en,
    input  logic [$clog2(IMEM)-1:0] r_addr,
    output logic [           255:0] r_data
);
  (* ram_style = "block" *) logic [255:0] mem[IMEM];
  logic [255:0] word;

  always_ff @(posedge clk) begin
    if (w_en) mem[w_addr] <= w_data;
    if (r_en) word <= mem[r_addr];
    r_data <= word;
  end
endmodule
