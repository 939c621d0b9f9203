// Which slots of a score word a query sees: sinks up to its own position, then window slots by their distance behind the
// ring pointer. Steps word by word with the source. Slots and distances are taken as at most 2^30.
module vec_visible
  import accllm_isa_pkg::*;
  import accllm_types_pkg::*;
#(
    parameter int VEC = 8
) (
    input  logic               clk,
    input  uop_t               uop,
    input  consts_t            consts,
    input  logic               init,
    input  logic               again,
    input  logic               step,
    output logic               sink,  // the word lies in the sink region
    output logic    [VEC-1:0] mask
);
  localparam logic [31:0] MOST = 32'h4000_0000;

  // Number of sinks and of window tokens in sight; the reduced ring pointer.
  wire [32:0] next = {1'b0, uop.a} + 33'd1;
  wire [31:0] sinks = next < {1'b0, consts.n_sink} ? next[31:0] : consts.n_sink;
  wire [32:0] past = next - {1'b0, consts.n_sink};
  wire none = next < {1'b0, consts.n_sink};
  wire [31:0] window = none ? '0 : past < {1'b0, consts.n_window} ? past[31:0] : consts.n_window;
  wire [31:0] pointer = uop.b >= consts.ring ? uop.b - consts.ring : uop.b;

  logic signed [31:0] slot, sight, ahead, ring, sink_slots, sink_sight;
  assign sink = slot < sink_slots;

  always_ff @(posedge clk) begin
    if (init) begin
      sight <= window > MOST ? MOST : window;
      ring <= consts.ring > MOST ? MOST : consts.ring;
      sink_slots <= consts.sink_pad > MOST ? MOST : consts.sink_pad;
      sink_sight <= sinks > MOST ? MOST : sinks;
    end
    if (init || again) begin
      slot <= '0;
      ahead <= pointer > MOST ? MOST : pointer;
    end else if (step) begin
      slot <= slot + VEC;
      if (!sink) ahead <= ahead - VEC;
    end
  end

  for (genvar l = 0; l < VEC; l++) begin : gen_lane
    wire signed [31:0] back = ahead - l;
    wire signed [31:0] behind = back < 0 ? back + ring : back;
    assign mask[l] = sink ? slot + l < sink_sight : behind >= 0 && behind < sight;
  end

  wire unused = &{1'b0, uop, consts};
endmodule
