// What comes before each row of a SOFTMAX: fetches the factors of its scores from the scalar file, waits for the scan of
// the row, and makes one extra step, `peak`, that sends the largest raw scores through the lanes (sink in lane 0, window in
// lane 1) to become the row's largest exponent; a cycle later the row's words may follow. The factors change when the
// peak reaches the memory output stage, after the last word of the row before. The factors of an operation's first row may be
// asked for before it begins. `ready_next` says a cycle before that words may follow, for other operations always.
module vec_rows #(
    parameter int SCALARS = 256
) (
    input  logic                              clk,
    input  logic                              flush,
    input  logic                              early,     // the next operation's factors may be read
    input  logic                              starts,    // an operation begins while nothing runs
    input  logic                              init,      // an operation begins
    input  logic                              softmax,   // it is one
    input  logic        [$clog2(SCALARS)-1:0] window,    // scalars of its first row
    input  logic        [$clog2(SCALARS)-1:0] sink,
    input  logic                              run,
    input  logic                              row_end,
    input  logic                              top_valid,
    input  logic                              peak_3,    // the peak is in stage 3
    input  logic        [               15:0] scale,     // read two cycles ago
    input  logic        [               15:0] zm,
    output logic                              s_en,
    output logic        [$clog2(SCALARS)-1:0] s_addr,
    output logic                              peak,
    output logic                              ready_next,
    output logic signed [               25:0] zq_window,
    output logic signed [               25:0] zq_sink
);
  typedef enum logic [1:0] {OTHER, PEAK, SETTLE, WORDS} phase_t;
  phase_t phase;
  logic [4:0] fetch;  // one bit a cycle: window asked, sink asked, window's product, sink's product, and both taken over
  logic known, asked;  // `asked`: for the next operation
  logic [15:0] zm_q;
  logic [$clog2(SCALARS)-1:0] at_window, at_sink;
  logic signed [25:0] next_window, next_sink;
  logic [31:0] zq;

  assign peak = run && phase == PEAK && known && top_valid;
  assign ready_next = init ? !softmax : phase == OTHER || phase == SETTLE || (phase == WORDS && !row_end);
  assign s_en = fetch[0] || fetch[1];
  assign s_addr = fetch[0] ? at_window : at_sink;

  always_ff @(posedge clk) begin
    zq <= 32'(scale) * 32'(zm_q);
    fetch <= {fetch[3:0], 1'b0};
    if (flush) begin
      fetch <= '0;
      {known, asked} <= '0;
      phase <= OTHER;
    end else begin
      if ((early || starts) && softmax && !asked) begin
        at_window <= window;
        at_sink <= sink;
        zm_q <= zm;
        fetch <= 5'd1;
        known <= 1'b0;
        asked <= !starts;
      end
      if (fetch[3]) next_window <= zq[25:0];
      if (fetch[4]) begin
        next_sink <= zq[25:0];
        known <= 1'b1;
        at_window <= at_window + 1'b1;
        at_sink <= at_sink + 1'b1;
      end
      if (init) begin
        asked <= 1'b0;
        phase <= softmax ? PEAK : OTHER;
      end else begin
        case (phase)
          PEAK:
          if (peak) begin
            phase <= SETTLE;
            known <= 1'b0;
            fetch[0] <= 1'b1;
          end
          SETTLE: phase <= WORDS;
          WORDS: if (row_end) phase <= PEAK;
          default: ;
        endcase
      end
      // Before those of the next row come: they are asked for with the peak, and take longer.
      if (peak_3) begin
        zq_window <= next_window;
        zq_sink <= next_sink;
      end
    end
    assert ($onehot0(fetch)) else $error("score rows: two rows' factors at once");
  end

  wire unused = &{1'b0, zq[31:26]};
endmodule
