// STAGES plain registers one after the other, without reset and without enable (0: a wire).
module delay_line #(
    parameter int WIDTH  = 1,
    parameter int STAGES = 1
) (
    input  logic             clk,
    input  logic [WIDTH-1:0] d,
    output logic [WIDTH-1:0] q
);
  if (STAGES == 0) begin : gen_wire
    assign q = d;
    wire unused = &{1'b0, clk};
  end else begin : gen_registers
    logic [WIDTH-1:0] stage[STAGES];
    always_ff @(posedge clk) begin
      stage[0] <= d;
      for (int i = 1; i < STAGES; i++) stage[i] <= stage[i-1];
    end
    assign q = stage[STAGES-1];
  end
endmodule
