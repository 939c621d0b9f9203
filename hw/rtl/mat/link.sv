// STAGES plain registers of a long way (0: a wire), which synthesis neither joins with those of another way nor makes a
// shift register of: they are placed along the way.
module link #(
    parameter int WIDTH  = 1,
    parameter int STAGES = 0
) (
    input  logic             clk,
    input  logic [WIDTH-1:0] d,
    output logic [WIDTH-1:0] q
);
  if (STAGES == 0) begin : gen_wire
    assign q = d;
    wire unused = &{1'b0, clk};
  end else begin : gen_stages
    for (genvar s = 0; s < STAGES; s++) begin : gen_stage
      (* keep, shreg_extract = "no" *) logic [WIDTH-1:0] r;
      if (s == 0) begin : gen_first
        always_ff @(posedge clk) r <= d;
      end else begin : gen_next
        always_ff @(posedge clk) r <= gen_stage[s-1].r;
      end
    end
    assign q = gen_stage[STAGES-1].r;
  end
endmodule
