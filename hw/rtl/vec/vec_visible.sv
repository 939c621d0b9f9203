// Which slots of a score word a query sees: sinks up to its own position, then window slots by their distance behind the
// ring pointer. Steps word by word with the source; `sink` comes one cycle after the step, `mask` three. Slots and distances
// are taken as at most 2^30. The operands must be stable for five cycles before `init`.
module vec_visible
  import accllm_isa_pkg::*;
  import accllm_types_pkg::*;
#(
    parameter int VEC = 8
) (
    input  logic               clk,
    input  logic    [    31:0] position,
    input  logic    [    31:0] ring_pointer,
    input  consts_t            consts,
    input  logic               init,
    input  logic               again,         // a row begins
    input  logic               step,
    output logic               sink,          // the word lies in the sink region
    output logic    [VEC-1:0] mask
);
  localparam logic [31:0] MOST = 32'h4000_0000;
  localparam int W = 34;

  // Number of sinks and of window tokens in sight; the reduced ring pointer. In stages, from stable operands.
  logic [32:0] next, past;
  logic [31:0] reduced, sinks, window, ring, pointer, ahead, sink_slots, sink_sight, sight;
  logic [33:0] around;  // one more than `ahead` and the ring
  logic none;
  always_ff @(posedge clk) begin
    next <= {1'b0, position} + 33'd1;
    reduced <= ring_pointer - consts.ring;
    pointer <= ring_pointer >= consts.ring ? reduced : ring_pointer;
    ring <= consts.ring > MOST ? MOST : consts.ring;
    sink_slots <= consts.sink_pad > MOST ? MOST : consts.sink_pad;
    // Second.
    past <= next - {1'b0, consts.n_sink};
    none <= next < {1'b0, consts.n_sink};
    sinks <= next < {1'b0, consts.n_sink} ? next[31:0] : consts.n_sink;
    // Third.
    window <= none ? '0 : past < {1'b0, consts.n_window} ? past[31:0] : consts.n_window;
    sink_sight <= sinks > MOST ? MOST : sinks;
    ahead <= pointer > MOST ? MOST : pointer;
    // Fourth.
    sight <= window > MOST ? MOST : window;
    around <= W'(ahead) + W'(ring) + W'(1);
  end

  // Slot l of a word is seen if l < bound[0] in the sink region, else if l < bound[1] (it lies before the pointer, by
  // `ahead` - l) and not l < bound[2] (`sight` is too short for that), or not l < bound[1] (a ring further) but l < bound[3]
  // and not l < bound[4].
  logic signed [W-1:0] start[5], bound[5];
  logic [31:0] sink_start, sink_left;
  logic in_sink;
  assign in_sink = sink_left != 0;
  always_ff @(posedge clk) begin
    if (init) begin
      start[0] <= W'(sink_sight);
      start[1] <= W'(ahead) + W'(1);
      start[2] <= W'(ahead) - W'(sight) + W'(1);
      start[3] <= around;
      start[4] <= around - W'(sight);
      sink_start <= sink_slots;
    end
    if (again) begin
      bound <= start;
      sink_left <= sink_start;
    end else if (step) begin
      if (in_sink) begin
        bound[0] <= bound[0] - W'(VEC);
        sink_left <= sink_left - VEC;
      end else begin
        for (int i = 1; i < 5; i++) bound[i] <= bound[i] - W'(VEC);
      end
    end
  end

  // Clipped to 0..VEC, then compared with every slot, then joined.
  logic [5:0] clipped[5];
  for (genvar i = 0; i < 5; i++) begin : gen_bound
    wire less = bound[i][W-1];
    wire more = !less && bound[i][W-2:5] != 0;
    always_ff @(posedge clk) begin
      if (step) clipped[i] <= less ? 6'd0 : more ? 6'd32 : bound[i][5:0];
    end
  end
  logic step_1, step_2, sink_2;
  always_ff @(posedge clk) begin
    {step_2, step_1} <= {step_1, step};
    if (step_1) sink_2 <= sink;
    if (step) sink <= in_sink;
  end
  for (genvar l = 0; l < VEC; l++) begin : gen_lane
    logic [4:0] under;
    // l < number, as a table: a comparison would be a carry chain.
    localparam logic [63:0] ABOVE = {64{1'b1}} << (l + 1);
    for (genvar i = 0; i < 5; i++) begin : gen_under
      always_ff @(posedge clk) if (step_1) under[i] <= ABOVE[clipped[i]];
    end
    always_ff @(posedge clk) if (step_2) mask[l] <= sink_2 ? under[0] : under[1] ? !under[2] : under[3] && !under[4];
  end

  wire unused = &{1'b0, consts};
endmodule
