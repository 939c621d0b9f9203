// Largest of every IN / OUT <= 4 neighbours, the first one among equals, with its lane. One stage; all pairs are compared
// at the same time.
module vec_best #(
    parameter int IN = 8,
    parameter int OUT = 2
) (
    input  logic               clk,
    input  logic               en,
    input  logic signed [31:0] x     [ IN],
    input  logic        [ 4:0] x_lane[ IN],
    output logic signed [31:0] y     [OUT],
    output logic        [ 4:0] y_lane[OUT]
);
  localparam int N = IN / OUT;
  if (N < 1 || N > 4 || N * OUT != IN) begin : gen_check
    $error("vec_best: 1, 2 or 4 elements a group");
  end
  for (genvar g = 0; g < OUT; g++) begin : gen_group
    logic [N-1:0] wins;  // better than all before, as good as all after
    for (genvar i = 0; i < N; i++) begin : gen_element
      logic [N-1:0] ahead;
      for (genvar j = 0; j < N; j++) begin : gen_other
        if (j < i) begin : gen_before
          assign ahead[j] = x[g*N+i] > x[g*N+j];
        end else if (j > i) begin : gen_after
          assign ahead[j] = x[g*N+i] >= x[g*N+j];
        end else begin : gen_self
          assign ahead[j] = 1'b1;
        end
      end
      assign wins[i] = &ahead;
    end
    logic [31:0] value;
    logic [4:0] lane;
    always_comb begin
      value = '0;
      lane = '0;
      for (int i = 0; i < N; i++) begin
        value = value | (wins[i] ? x[g*N+i] : 32'd0);
        lane = lane | (wins[i] ? x_lane[g*N+i] : 5'd0);
      end
    end
    always_ff @(posedge clk) begin
      if (en) begin
        assert ($onehot(wins)) else $error("vec_best: %b are the largest", wins);
        y[g] <= value;
        y_lane[g] <= lane;
      end
    end
  end
endmodule
