// Where a token goes in the KV cache (docs/formats.md section 2): channel, half and beats of K relative to the head, block
// and slot of V. Registered on `init`.
module vec_kv_slot
  import accllm_isa_pkg::*;
  import accllm_types_pkg::*;
#(
    parameter int CHANNELS = 2
) (
    input  logic                         clk,
    input  logic                         init,
    input  uop_t                         uop,
    input  consts_t                      consts,
    input  logic                         value,     // V
    output logic                         narrow,    // K: two tokens a beat
    output logic                         half,      // K: which of them
    output logic [$clog2(CHANNELS)-1:0] channel,
    output logic [                 39:0] param,     // K: parameter beat
    output logic [                  3:0] word,      // K: and word in it
    output logic [                 39:0] code,      // first code beat
    output logic [                  4:0] slot       // V: slot of the block
);
  localparam int LC = $clog2(CHANNELS);
  wire [31:0] pointer = uop.b >= consts.ring ? uop.b - consts.ring : uop.b;
  wire sink = uop.m < consts.n_sink;
  wire two = consts.hdp == 64;
  // K.
  wire [31:0] place = sink ? uop.m : pointer;
  wire [31:0] pair = two ? place >> 1 : place;
  wire [31:0] step = pair >> LC;
  wire [39:0] region = sink ? '0 : {8'd0, consts.k_window};
  wire [39:0] chunk = two ? 40'(step[31:3]) * 40'd9 : 40'(step[31:4]) * 40'd17;
  wire [39:0] first = {8'd0, uop.c} + region + chunk;
  // V.
  wire [32:0] row = sink ? {1'b0, uop.m} : {1'b0, consts.sink_pad} + {1'b0, pointer};

  always_ff @(posedge clk) begin
    if (init) begin
      narrow <= two;
      half <= place[0];
      channel <= pair[LC-1:0];
      param <= first;
      word <= two ? {step[2:0], place[0]} : step[3:0];
      code <= value ? {8'd0, uop.c} + 40'(row[32:5]) : first + 40'd1 + (two ? 40'(step[2:0]) : 40'(step[3:0]));
      slot <= row[4:0];
    end
  end

  wire unused = &{1'b0, uop, consts};
endmodule
