// Counts complete rows of beats, one beat of every channel: `row` pulses once for each, some cycles after its last beat
// came into its FIFO. No path goes through all channels in one cycle: three candidates, each the number of a row, go
// round three stages (compare with the beats of every channel; meet eight channels; meet all) and three rows further
// when their row is complete. Rows become complete in order, so that the number of pulses never exceeds that of rows.
module beat_rows #(
    parameter int CHANNELS = 2,
    parameter int FIFO = 64
) (
    input  logic                clk,
    input  logic                rst,
    input  logic [CHANNELS-1:0] push,  // a beat came into that channel's FIFO
    output logic                row
);
  localparam int GROUPS = (CHANNELS + 7) / 8;
  // Candidates are at most FIFO + 3 from the beats that came.
  localparam int W = $clog2(FIFO) + 3;
  logic [W-1:0] ask, meet, last;
  logic [CHANNELS-1:0] has;
  logic [GROUPS-1:0] group;
  assign row = &group;

  for (genvar c = 0; c < CHANNELS; c++) begin : gen_channel
    logic [W-1:0] came;
    wire [W-1:0] ahead = ask - came;  // negative: more came than the candidate's number
    always_ff @(posedge clk) begin
      came <= rst ? '0 : came + W'(push[c]);
      has[c] <= ahead[W-1] && !rst;
    end
  end
  for (genvar g = 0; g < GROUPS; g++) begin : gen_group
    localparam int HIGH = 8 * g + 8 < CHANNELS ? 8 * g + 8 : CHANNELS;
    always_ff @(posedge clk) group[g] <= &has[HIGH-1:8*g] && !rst;
  end
  always_ff @(posedge clk) begin
    if (rst) begin
      ask  <= W'(0);
      meet <= W'(1);
      last <= W'(2);
    end else begin
      ask  <= last + (row ? W'(3) : W'(0));
      meet <= ask;
      last <= meet;
    end
  end
endmodule
