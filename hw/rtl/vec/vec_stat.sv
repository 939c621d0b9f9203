// Quantization step of a head from its largest and smallest element: scale and base of K, scale of Q; asks the reciprocal
// unit for 1/scale and hands everything out together. Heads may follow each other every cycle.
module vec_stat (
    input  logic               clk,
    input  logic               flush,
    input  logic               in_valid,
    input  logic               query,      // Q: scale from the largest magnitude
    input  logic signed [31:0] most,
    input  logic signed [31:0] least,
    output logic               ask,        // to the reciprocal unit, whose answer comes five cycles later
    output logic        [15:0] ask_scale,
    output logic        [15:0] scale,      // with the reciprocal
    output logic        [15:0] base,
    output logic               stays       // something is here after this cycle
);
  localparam int ANSWER = 5;
  logic [2+ANSWER:0] valid;
  logic signed [17:0] up, down;  // candidates for the range
  logic down_wins;
  logic [16:0] range;
  logic [15:0] factor;
  logic [32:0] product;
  logic none;  // the quotient is 0: a cycle before it is seen
  logic signed [15:0] least_1, least_2, least_3, least_4;
  logic [15:0] scale_q[ANSWER], base_q[ANSWER];
  wire signed [17:0] most18 = most[17:0], least18 = least[17:0];
  wire signed [18:0] both = 19'(most18) + 19'(least18);
  // Exact quotients for every argument that occurs: 34953 / 2^19 = 1/15, 33027 / 2^22 = 1/127.
  wire [15:0] quotient = query ? 16'(product[32:22]) : 16'(product[32:19]);
  wire [17:0] range18 = down_wins ? down : up;
  wire signed [19:0] middle = 20'(least_4) + {1'b0, ask_scale, 3'd0};
  wire [15:0] bounded = middle > 20'sd32767 ? 16'h7fff : middle[15:0];

  assign ask = valid[3];
  assign stays = valid[1+ANSWER:0] != 0 || in_valid;
  assign scale = scale_q[ANSWER-1];
  assign base = base_q[ANSWER-1];

  always_ff @(posedge clk) begin
    valid <= flush ? '0 : {valid[1+ANSWER:0], in_valid};
    if (in_valid) begin
      up <= query ? most18 + 18'd126 : most18 - least18 + 18'd14;
      down <= 18'd126 - least18;
      down_wins <= query && both < 0;  // -least > most
      least_1 <= least[15:0];
    end
    if (valid[0]) begin
      range <= range18[16:0];
      factor <= query ? 16'd33027 : 16'd34953;
      least_2 <= least_1;
    end
    if (valid[1]) begin
      product <= 33'(range) * 33'(factor);
      none <= query ? range < 17'd127 : range < 17'd15;
      least_3 <= least_2;
    end
    if (valid[2]) begin
      ask_scale <= {quotient[15:1], quotient[0] || none};
      assert (none == (quotient == 0)) else $error("head scale: a quotient of %0d, none: %0d", quotient, none);
      least_4 <= least_3;
    end
    if (valid[2+ANSWER:3] != 0) begin
      scale_q <= '{ask_scale, scale_q[0], scale_q[1], scale_q[2], scale_q[3]};
      base_q <= '{bounded, base_q[0], base_q[1], base_q[2], base_q[3]};
    end
  end

  wire unused = &{1'b0, most, least, range18[17], product[18:0]};
endmodule
