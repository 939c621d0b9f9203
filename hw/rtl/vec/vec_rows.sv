// What comes before each row of a SOFTMAX: fetches the factors of its scores from the scalar file, waits for the scan of
// the row, and makes one extra step, `peak`, that sends the largest raw scores through the lanes (sink in lane 0, window in
// lane 1) to become the row's largest exponent; a cycle later the row's words may follow. The factors change when the
// peak reaches the lanes' second stage, behind the last word of the row before. Other operations are always `ready`.
module vec_rows #(
    parameter int SCALARS = 256
) (
    input  logic                              clk,
    input  logic                              softmax,
    input  logic                              checking,  // an operation begins; its first window factor is being read
    input  logic                              run,
    input  logic                              adv,
    input  logic        [$clog2(SCALARS)-1:0] window,    // scalars of the first row
    input  logic        [$clog2(SCALARS)-1:0] sink,
    input  logic                              row_end,
    input  logic                              top_valid,
    input  logic                              peak_1,    // the peak is in stage 1
    input  logic        [               15:0] scale,
    input  logic        [               15:0] zm,
    output logic                              s_en,
    output logic        [$clog2(SCALARS)-1:0] s_addr,
    output logic                              peak,
    output logic                              ready,
    output logic signed [               25:0] zq_window,
    output logic signed [               25:0] zq_sink
);
  typedef enum logic [1:0] {PEAK, SETTLE, WORDS} phase_t;
  typedef enum logic [1:0] {ASK, TAKE_WINDOW, TAKE_SINK, KNOWN} fetch_t;
  phase_t phase;
  fetch_t fetch;
  logic [$clog2(SCALARS)-1:0] at_window, at_sink;
  logic signed [25:0] next_window, next_sink;
  wire [31:0] zq = 32'(scale) * 32'(zm);

  assign peak = softmax && run && adv && phase == PEAK && fetch == KNOWN && top_valid;
  assign ready = !softmax || phase == WORDS;
  assign s_en = softmax && adv && (fetch == ASK || fetch == TAKE_WINDOW);
  assign s_addr = fetch == ASK ? at_window : at_sink;

  always_ff @(posedge clk) begin
    if (checking) begin
      at_window <= window;
      at_sink <= sink;
      fetch <= TAKE_WINDOW;
      phase <= PEAK;
    end else if (softmax && adv) begin
      case (fetch)
        ASK: fetch <= TAKE_WINDOW;
        TAKE_WINDOW: begin
          next_window <= zq[25:0];
          at_window <= at_window + 1'b1;
          fetch <= TAKE_SINK;
        end
        TAKE_SINK: begin
          next_sink <= zq[25:0];
          at_sink <= at_sink + 1'b1;
          fetch <= KNOWN;
        end
        default: if (peak) fetch <= ASK;
      endcase
      case (phase)
        PEAK: if (peak) phase <= SETTLE;
        SETTLE: phase <= WORDS;
        default: if (row_end) phase <= PEAK;
      endcase
      if (peak_1) begin
        zq_window <= next_window;
        zq_sink <= next_sink;
      end
    end
  end

  wire unused = &{1'b0, zq[31:26]};
endmodule
