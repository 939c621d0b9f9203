// The 128 multipliers of a tile for two lanes: select a column each, multiply, add. `x` holds the columns of every group
// of four, for each pair of lanes the bytes {a1, a0}. A DSP multiplies a1 * 2^16 + a0 (its pre-adder joins them) with the
// weight, so that one multiplication serves both lanes, and adds its neighbour's product; `sum` are the sums of 16
// products of either lane, {lane 1, lane 0}, 16 bits each. Registers after the selection, the multiplication, the pair
// and each part of the tree. Does not apply scales. The loops are kept as loops, see tile_decode.
module tile_mul #(
    parameter int PAIRS = 1,
    parameter int PAIR = 0,    // of the lanes
    parameter bit HOLD = 1'b1
) (
    input  logic        clk,
    input  logic [ 5:1] valid,            // in stages t1 to t5, for HOLD
    input  logic [ 1:0] s0     [64],      // t1
    input  logic [ 1:0] s1     [64],
    input  logic [ 3:0] w0     [64],
    input  logic [ 3:0] w1     [64],
    input  logic [15:0] x0     [PAIRS*64],
    input  logic [15:0] x1     [PAIRS*64],
    input  logic [15:0] x2     [PAIRS*64],
    input  logic [15:0] x3     [PAIRS*64],
    output logic [31:0] sum    [8]        // t6
);
  // t2: operands.
  logic [15:0] a[64], b[64];
  logic [3:0] va[64], vb[64];
  always_ff @(posedge clk) begin
    if (valid[1] || !HOLD) begin : select
      logic [15:0] p[64], q[64];
      // verilator unroll_disable
      for (int i = 0; i < 64; i++) begin
        p[i] = ({16{s0[i] == 2'd0}} & x0[64*PAIR+i]) | ({16{s0[i] == 2'd1}} & x1[64*PAIR+i])
             | ({16{s0[i] == 2'd2}} & x2[64*PAIR+i]);
        q[i] = ({16{s1[i] == 2'd1}} & x1[64*PAIR+i]) | ({16{s1[i] == 2'd2}} & x2[64*PAIR+i])
             | ({16{s1[i] == 2'd3}} & x3[64*PAIR+i]);
      end
      a <= p;
      b <= q;
      va <= w0;
      vb <= w1;
    end
  end

  // t3: products.
  logic signed [31:0] ma[64], mb[64];
  always_ff @(posedge clk) begin
    if (valid[2] || !HOLD) begin : multiply
      logic signed [31:0] p[64], q[64];
      // verilator unroll_disable
      for (int i = 0; i < 64; i++) begin
        automatic logic signed [31:0] ja, jb;
        ja = (32'($signed(a[i][15:8])) <<< 16) + 32'($signed(a[i][7:0]));
        jb = (32'($signed(b[i][15:8])) <<< 16) + 32'($signed(b[i][7:0]));
        p[i] = ja * 32'($signed(va[i]));
        q[i] = jb * 32'($signed(vb[i]));
      end
      ma <= p;
      mb <= q;
    end
  end

  // t4: sums of two.
  logic signed [31:0] pr[64];
  always_ff @(posedge clk) begin
    if (valid[3] || !HOLD) begin : pairs
      logic signed [31:0] q[64];
      // verilator unroll_disable
      for (int i = 0; i < 64; i++) q[i] = ma[i] + mb[i];
      pr <= q;
    end
  end

  // t5: of eight. t6: of sixteen; what the low lane borrowed goes back.
  logic signed [31:0] eight[16];
  always_ff @(posedge clk) begin
    if (valid[4] || !HOLD) begin : fours
      logic signed [31:0] q[16];
      for (int h = 0; h < 2; h++) begin
        // verilator unroll_disable
        for (int j = 0; j < 8; j++)
          q[8*h+j] = (pr[32*h+j] + pr[32*h+8+j]) + (pr[32*h+16+j] + pr[32*h+24+j]);
      end
      eight <= q;
    end
    if (valid[5] || !HOLD) begin : add
      logic [31:0] q[8];
      // verilator unroll_disable
      for (int j = 0; j < 8; j++) begin
        automatic logic [31:0] s;
        s = eight[j] + eight[8+j];
        q[j] = s + {15'd0, s[15], 16'd0};
      end
      sum <= q;
    end
  end
endmodule
