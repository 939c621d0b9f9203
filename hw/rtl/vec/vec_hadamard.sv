// Walsh-Hadamard transform of the elements of one word, Sylvester order, 32 bits, wrapping: the first stages up to a
// register that loads on `en`, the others after it.
module vec_hadamard #(
    parameter int VEC = 8
) (
    input  logic        clk,
    input  logic        en,
    input  logic [31:0] x  [VEC],
    output logic [31:0] y  [VEC]
);
  localparam int STAGES = $clog2(VEC);
  localparam int BEFORE = 3;  // stages before the register
  for (genvar s = 0; s < STAGES; s++) begin : gen_stage
    logic [31:0] in[VEC], sum[VEC], out[VEC];
    for (genvar l = 0; l < VEC; l++) begin : gen_lane
      if (s == 0) begin : gen_first
        assign in[l] = x[l];
      end else begin : gen_next
        assign in[l] = gen_stage[s-1].out[l];
      end
      if ((l >> s) % 2 == 0) begin : gen_low
        assign sum[l] = in[l] + in[l+(1<<s)];
      end else begin : gen_high
        assign sum[l] = in[l-(1<<s)] - in[l];
      end
      if (s == BEFORE - 1) begin : gen_register
        always_ff @(posedge clk) if (en) out[l] <= sum[l];
      end else begin : gen_through
        assign out[l] = sum[l];
      end
    end
  end
  for (genvar l = 0; l < VEC; l++) begin : gen_out
    assign y[l] = gen_stage[STAGES-1].out[l];
  end
endmodule
