// Register stages of the activations' way to a group of tiles (0: wires); a group has its own, so that a flip-flop
// reaches one place only.
module act_link #(
    parameter int PAIRS  = 1,
    parameter int STAGES = 0
) (
    input  logic        clk,
    input  logic [15:0] d0  [PAIRS*64],
    input  logic [15:0] d1  [PAIRS*64],
    input  logic [15:0] d2  [PAIRS*64],
    input  logic [15:0] d3  [PAIRS*64],
    output logic [15:0] q0  [PAIRS*64],
    output logic [15:0] q1  [PAIRS*64],
    output logic [15:0] q2  [PAIRS*64],
    output logic [15:0] q3  [PAIRS*64]
);
  if (STAGES == 0) begin : gen_wire
    assign q0 = d0;
    assign q1 = d1;
    assign q2 = d2;
    assign q3 = d3;
    wire unused = &{1'b0, clk};
  end else begin : gen_stages
    for (genvar s = 0; s < STAGES; s++) begin : gen_stage
      (* keep, shreg_extract = "no" *) logic [15:0] r0[PAIRS*64], r1[PAIRS*64], r2[PAIRS*64], r3[PAIRS*64];
      if (s == 0) begin : gen_first
        always_ff @(posedge clk) begin
          r0 <= d0;
          r1 <= d1;
          r2 <= d2;
          r3 <= d3;
        end
      end else begin : gen_next
        always_ff @(posedge clk) begin
          r0 <= gen_stage[s-1].r0;
          r1 <= gen_stage[s-1].r1;
          r2 <= gen_stage[s-1].r2;
          r3 <= gen_stage[s-1].r3;
        end
      end
    end
    assign q0 = gen_stage[STAGES-1].r0;
    assign q1 = gen_stage[STAGES-1].r1;
    assign q2 = gen_stage[STAGES-1].r2;
    assign q3 = gen_stage[STAGES-1].r3;
  end
endmodule
