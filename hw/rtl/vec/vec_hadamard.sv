// Walsh-Hadamard transform of the elements of one word, Sylvester order, 32 bits, wrapping, in three registers: two stages
// before the first one, which loads on `en`, two more before the second one, and what is left before the third one, each a
// cycle later.
module vec_hadamard #(
    parameter int VEC = 8
) (
    input  logic        clk,
    input  logic        en,
    input  logic [31:0] x  [VEC],
    output logic [31:0] y  [VEC]
);
  localparam int STAGES = $clog2(VEC);
  logic en_2, en_3;
  always_ff @(posedge clk) {en_3, en_2} <= {en_2, en};
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
      if (s == 1) begin : gen_register
        always_ff @(posedge clk) if (en) out[l] <= sum[l];
      end else if (s == 3 || (s == 2 && STAGES == 3)) begin : gen_second
        always_ff @(posedge clk) if (en_2) out[l] <= sum[l];
      end else begin : gen_through
        assign out[l] = sum[l];
      end
    end
  end
  for (genvar l = 0; l < VEC; l++) begin : gen_out
    always_ff @(posedge clk) if (en_3) y[l] <= gen_stage[STAGES-1].out[l];
  end
endmodule
