// Quantization step of a head from its largest and smallest element: scale and base of K, scale of Q; asks the reciprocal
// unit for 1/scale and hands everything out together. Heads may follow each other every cycle.
module vec_stat (
    input  logic               clk,
    input  logic               flush,
    input  logic               in_valid,
    input  logic               query,      // Q: scale from the largest magnitude
    input  logic signed [31:0] most,
    input  logic signed [31:0] least,
    output logic               ask,        // to the reciprocal unit, whose answer comes three cycles later
    output logic        [15:0] ask_scale,
    output logic        [15:0] scale,      // with the reciprocal
    output logic        [15:0] base,
    output logic               pending
);
  logic [4:0] valid;
  logic [16:0] range;
  logic signed [15:0] least_1, least_2;
  logic [15:0] scale_3[2:0], base_3[2:0];
  wire signed [17:0] most18 = most[17:0], least18 = least[17:0];
  wire signed [17:0] mag = -least18 > most18 ? -least18 : most18;
  wire [17:0] wide_range = query ? mag + 18'd126 : most18 - least18 + 18'd14;
  // Exact quotients for every argument that occurs: 34953 / 2^19 = 1/15, 33027 / 2^22 = 1/127.
  wire [32:0] product = {16'd0, range} * (query ? 33'd33027 : 33'd34953);
  wire [15:0] quotient = query ? 16'(product[32:22]) : 16'(product[32:19]);
  wire signed [19:0] middle = 20'(least_2) + {1'b0, ask_scale, 3'd0};
  wire [15:0] bounded = middle > 20'sd32767 ? 16'h7fff : middle[15:0];

  assign ask = valid[1];
  assign pending = valid != 0 || in_valid;
  assign scale = scale_3[2];
  assign base = base_3[2];

  always_ff @(posedge clk) begin
    valid <= flush ? '0 : {valid[3:0], in_valid};
    if (in_valid) begin
      range <= wide_range[16:0];
      least_1 <= least[15:0];
    end
    if (valid[0]) begin
      ask_scale <= quotient == 0 ? 16'd1 : quotient;
      least_2 <= least_1;
    end
    if (valid[4:1] != 0) begin
      scale_3 <= '{scale_3[1], scale_3[0], ask_scale};
      base_3 <= '{base_3[1], base_3[0], bounded};
    end
  end

  wire unused = &{1'b0, most, least, wide_range[17], product[18:0]};
endmodule
