// Where a token goes in the KV cache (docs/formats.md section 2): channel, half and beats of K relative to the head, block
// and slot of V. From stable operands, five cycles later.
module vec_kv_slot
  import accllm_isa_pkg::*;
  import accllm_types_pkg::*;
#(
    parameter int CHANNELS = 2
) (
    input  logic                         clk,
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
  wire two = consts.hdp == 64;
  logic wide;  // K: two beats a token
  logic [31:0] reduced, pointer, place;
  logic [39:0] region, chunk, in_chunk;
  logic [32:0] row;
  logic sink;
  wire [31:0] pair = narrow ? place >> 1 : place;
  wire [31:0] step = pair >> LC;
  // Beats before the chunk of a step: 9 of 8 steps, 17 of 16, or 33.
  wire [39:0] chunks = narrow ? 40'(step[31:3]) : 40'(step[31:4]);
  wire [4:0] after = narrow ? {2'd0, step[2:0]} : wide ? {step[3:0], 1'b0} : {1'b0, step[3:0]};  // and in it
  wire [39:0] first = region + chunk;

  always_ff @(posedge clk) begin
    narrow <= two;
    wide <= consts.hdp == 256;
    // First and second: the slot.
    reduced <= uop.b - consts.ring;
    pointer <= uop.b >= consts.ring ? reduced : uop.b;
    sink <= uop.m < consts.n_sink;
    // Third: its place among the slots; its row of V.
    place <= sink ? uop.m : pointer;
    row <= sink ? {1'b0, uop.m} : {1'b0, consts.sink_pad} + {1'b0, pointer};
    region <= {8'd0, uop.c} + (sink ? '0 : {8'd0, consts.k_window});
    // Fourth.
    half <= place[0];
    channel <= pair[LC-1:0];
    word <= narrow ? {step[2:0], place[0]} : step[3:0];
    chunk <= chunks + (narrow ? chunks << 3 : wide ? chunks << 5 : chunks << 4);
    in_chunk <= 40'(after) + 40'd1;
    slot <= row[4:0];
    // Fifth.
    param <= first;
    code <= value ? {8'd0, uop.c} + 40'(row[32:5]) : first + in_chunk;
  end

  wire unused = &{1'b0, uop, consts};
endmodule
