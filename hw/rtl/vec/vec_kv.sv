// Appends a token to the KV cache. K: the codes of a head make one beat, of a head of 256 two, its scale and base one word, all
// for one channel. V: four codes a channel and step, two bytes of a beat in every channel. A writer gets a request in pieces of
// 8 bytes: a beat of K's codes in eight, everything else in one. A beat outside WRITE_LOW..HIGH is not written and reported.
// Needs at least two words a head and 4 * CHANNELS >= VEC.
module vec_kv
  import accllm_isa_pkg::*;
  import accllm_types_pkg::*;
  import accllm_vec_pkg::*;
#(
    parameter int CHANNELS = 2,
    parameter int VEC = 8
) (
    input  logic                      clk,
    input  logic                      flush,
    input  logic                      init,
    input  vop_t                      op,
    input  uop_t                      uop,
    input  consts_t                   consts,
    input  logic     [        31:0]   write_low,
    input  logic     [        31:0]   write_high,
    input  logic                      valid,
    output logic                      pop,
    input  vresult_t                  result,
    input  logic     [        31:0]   x          [VEC],
    output logic     [CHANNELS-1:0]   w_valid,
    input  logic     [CHANNELS-1:0]   w_ready,
    output logic     [        31:0]   w_beat,
    output logic     [        63:0]   w_strb,
    output logic     [         2:0]   w_part,
    output logic                      w_last,
    output logic     [        63:0]   w_data     [CHANNELS],
    output logic                      pending,
    output logic                      bad,
    output logic     [        31:0]   bad_beat
);
  localparam int KW = 128 / VEC;  // words of 128 codes
  localparam int VW = 4 * CHANNELS / VEC;  // words of a step of V
  if (VW < 1) begin : gen_check
    $error("4 * CHANNELS must be at least VEC");
  end

  // Copies of the record, which is looked at long before results come.
  (* keep *) logic keys, values, values_data, values_left;
  always_ff @(posedge clk) {keys, values, values_data, values_left} <= {op.qk, {3{op.qv}}};
  logic narrow, half;
  logic [$clog2(CHANNELS)-1:0] channel;
  logic [39:0] param, code;
  logic [3:0] word;
  logic [4:0] slot;
  vec_kv_slot #(.CHANNELS(CHANNELS)) u_slot (.*, .value(op.qv));

  // Gathering: words of a head, or of a step of V, until they are handed to the sender.
  logic [3:0] at;  // word in the beat (K) or in the step (V)
  logic full, ends;  // complete; and the last of a head
  logic second;  // K: a head's second beat comes
  logic hand;  // the sender takes over
  logic [31:0] scale_base, code_beat;
  logic [VEC*4-1:0] codes, gathered[KW];
  logic [15:0] four[CHANNELS];
  wire v_last = at == 4'(VW - 1);
  wire k_last = at == 4'(KW - 1);
  wire completes = keys ? result.last || k_last : v_last;
  assign pop = valid && (keys || values) && (!full || hand);
  wire full_next = (pop && completes) || (full && !hand);
  for (genvar l = 0; l < VEC; l++) begin : gen_code
    assign codes[l*4+:4] = x[l][3:0];
    wire unused = &{1'b0, x[l][31:4]};
  end
  for (genvar i = 0; i < KW; i++) begin : gen_word
    wire hit = at == 4'(i) || (narrow && at == 4'(i - KW / 2));
    always_ff @(posedge clk) if (pop && keys && hit) gathered[i] <= codes;
  end
  for (genvar c = 0; c < CHANNELS; c++) begin : gen_four
    localparam int L = (4 * c) % VEC;
    wire hit = VW == 1 || at == 4'(c / (VEC / 4));
    always_ff @(posedge clk) if (pop && values && hit) four[c] <= codes[L*4+:16];
  end
  always_ff @(posedge clk) begin
    if (flush || init) begin
      at <= '0;
      full <= 1'b0;
    end else begin
      if (pop) at <= completes ? '0 : at + 4'd1;
      full <= full_next;
      assert (!(pop && full && !hand)) else $error("KV cache: a word after the last one of a head");
    end
    if (pop) ends <= result.last;
    if (pop && result.first) scale_base <= result.param;
  end

  // Beats of the requests, with their check one cycle later: the head's parameters and codes, or the step of V.
  logic [39:0] head, first_beat, second_beat, next_step;
  logic first_ok, second_ok;
  logic [4:0] settle;  // cycles since `init`: the slot is known after five
  always_ff @(posedge clk) begin
    settle <= init ? '0 : {settle[3:0], 1'b1};
    if (init) head <= '0;
    else if (hand && ends) head <= head + 40'(uop.k);
    if (init) second <= 1'b0;
    else if (hand) second <= keys && !ends;
    if (!settle[4]) next_step <= '0;
    else if (hand && values) next_step <= ends ? '0 : next_step + {8'd0, uop.aux};
    first_beat <= keys ? head + param : head + code + next_step;
    second_beat <= head + code + 40'(second);
    first_ok <= first_beat >= {8'd0, write_low} && first_beat < {8'd0, write_high};
    second_ok <= second_beat >= {8'd0, write_low} && second_beat < {8'd0, write_high};
  end

  // Sending: a head's parameters, then its codes in eight pieces, of a second beat these alone; or a step of V. A writer that is
  // ready has room for a whole request, and only its first piece is handed over with valid and ready.
  typedef enum logic [1:0] {IDLE, FIRST, CODES, PIECES} state_t;
  state_t state;
  logic [CHANNELS-1:0] left;  // channels that have not taken the request
  logic [63:0] held[8];
  wire [CHANNELS-1:0] one = CHANNELS'(1) << channel;
  logic waits;  // left is not 0
  wire taken = !waits;
  wire inside_range = first_ok && (values_left || second_ok);
  // Handed over when there is something and the sender is idle; known a cycle before.
  logic idle_next;
  always_comb begin
    case (state)
      IDLE: idle_next = !(hand && inside_range);
      FIRST: idle_next = taken && values;
      CODES: idle_next = 1'b0;
      default: idle_next = w_last;
    endcase
  end
  logic sends;  // state is not IDLE
  always_ff @(posedge clk) begin
    sends <= !flush && !idle_next;
    hand <= full_next && idle_next && settle[3] && !init && !flush;
    assert (sends == (state != IDLE)) else $error("KV cache: flag of what is sent");
    assert (hand == (state == IDLE && full && settle[4])) else $error("KV cache: flag of what is handed over");
  end
  assign w_valid = state == PIECES ? one : left;
  assign pending = sends || full;

  // Nibble 4s + g of the beat is multiplier 32g + s.
  logic [63:0] pieces[8];
  for (genvar i = 0; i < 128; i++) begin : gen_nibble
    localparam int M = 32 * (i % 4) + i / 4;
    assign pieces[i/16][(i%16)*4+:4] = gathered[M/VEC][(M%VEC)*4+:4];
  end
  for (genvar i = 0; i < 8; i++) begin : gen_piece
    always_ff @(posedge clk) if (hand && keys) held[i] <= pieces[i];
  end

  always_ff @(posedge clk) begin
    bad <= 1'b0;
    left <= left & ~w_ready;
    waits <= (left & ~w_ready) != 0;
    if (flush) begin
      state <= IDLE;
      left <= '0;
      waits <= 1'b0;
    end else begin
      case (state)
        IDLE:
        if (hand) begin
          w_beat <= first_beat[31:0];
          w_strb <= values ? 64'd3 << {slot, 1'b0} : 64'hf << {word, 2'd0};
          w_part <= values ? slot[4:2] : word[3:1];
          w_last <= 1'b1;
          bad <= !inside_range;
          bad_beat <= first_ok ? second_beat[31:0] : first_beat[31:0];
          code_beat <= second_beat[31:0];
          if (inside_range) begin
            left <= values_left ? '1 : second ? '0 : one;
            waits <= !second;
            state <= FIRST;
          end
        end
        FIRST:
        if (taken && values) state <= IDLE;
        else if (taken) begin
          w_beat <= code_beat;
          w_strb <= !narrow ? '1 : half ? {32{2'b10}} : {32{2'b01}};
          w_part <= '0;
          w_last <= 1'b0;
          left <= one;
          waits <= 1'b1;
          state <= CODES;
        end
        CODES:
        if (taken) begin
          w_part <= 3'd1;
          state <= PIECES;
        end
        default: begin
          w_part <= w_part + 3'd1;
          w_last <= w_part == 3'd6;
          if (w_last) state <= IDLE;
        end
      endcase
      assert (state == IDLE || !init) else $error("KV cache: an operation begins before the last request is taken");
    end
  end
  // The piece that comes next.
  logic [2:0] part_next;
  wire [63:0] piece = state == IDLE ? {2{scale_base}} : held[part_next];
  wire move = state == PIECES || (state == IDLE ? hand : taken);
  always_ff @(posedge clk) begin
    if (state == IDLE) part_next <= '0;
    else if (move) part_next <= part_next + 3'd1;
  end
  for (genvar c = 0; c < CHANNELS; c++) begin : gen_channel
    always_ff @(posedge clk) if (move) w_data[c] <= values_data ? {4{four[c]}} : piece;
  end

  wire unused = &{1'b0, op, uop, consts, result};
endmodule
