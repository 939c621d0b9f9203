// Walsh-Hadamard transform of the elements of one word, Sylvester order, 32 bits, wrapping. Combinational.
module vec_hadamard #(
    parameter int VEC = 8
) (
    input  logic [31:0] x[VEC],
    output logic [31:0] y[VEC]
);
  localparam int STAGES = $clog2(VEC);
  for (genvar s = 0; s < STAGES; s++) begin : gen_stage
    logic [31:0] in[VEC], out[VEC];
    for (genvar l = 0; l < VEC; l++) begin : gen_lane
      if (s == 0) begin : gen_first
        assign in[l] = x[l];
      end else begin : gen_next
        assign in[l] = gen_stage[s-1].out[l];
      end
      if ((l >> s) % 2 == 0) begin : gen_low
        assign out[l] = in[l] + in[l+(1<<s)];
      end else begin : gen_high
        assign out[l] = in[l-(1<<s)] - in[l];
      end
    end
  end
  for (genvar l = 0; l < VEC; l++) begin : gen_out
    assign y[l] = gen_stage[STAGES-1].out[l];
  end
endmodule
