// Appends a token to the KV cache. K: the codes of a head make one beat, its scale and base one word, both for one channel.
// V: four codes a channel and step, two bytes of a beat in every channel. A beat outside WRITE_LOW..HIGH is not written and
// reported. One request at a time; `stall` while it is not taken. Needs at least two words a head and 4 * CHANNELS >= VEC.
module vec_kv
  import accllm_isa_pkg::*;
  import accllm_types_pkg::*;
  import accllm_vec_pkg::*;
#(
    parameter int CHANNELS = 2,
    parameter int VEC = 8
) (
    input  logic                    clk,
    input  logic                    flush,
    input  logic                    adv,
    input  vop_t                    op,
    input  uop_t                    uop,
    input  consts_t                 consts,
    input  logic                    init,
    input  logic [            31:0] write_low,
    input  logic [            31:0] write_high,
    input  logic [            31:0] param_word,      // of the head whose first codes are there
    input  logic                    o_v,
    input  logic                    o_first,
    input  logic                    o_last,
    input  logic [            31:0] o          [VEC],
    output logic [    CHANNELS-1:0] w_valid,
    input  logic [    CHANNELS-1:0] w_ready,
    output logic [            31:0] w_beat,
    output logic [            63:0] w_strb,
    output logic [           511:0] w_data     [CHANNELS],
    output logic                    stall,
    output logic                    pending,
    output logic                    bad,
    output logic [            31:0] bad_beat
);
  localparam int KW = 128 / VEC;  // words of 128 codes
  localparam int VW = 4 * CHANNELS / VEC;  // words of a step of V
  if (VW < 1) begin : gen_check
    $error("4 * CHANNELS must be at least VEC");
  end

  logic narrow, half;
  logic [$clog2(CHANNELS)-1:0] channel;
  logic [39:0] param, code, head, at;
  logic [3:0] word;
  logic [4:0] slot;
  vec_kv_slot #(.CHANNELS(CHANNELS)) u_slot (.value(op.qv), .*);

  wire key = o_v && op.qk, value = o_v && op.qv;
  logic [3:0] kw;  // word in the head (K) or in the step (V)
  logic key_first, key_done;  // in the cycle before: the first, the last codes of a head came
  logic [31:0] param_q;
  logic [VEC*4-1:0] codes, gathered[KW];
  logic [511:0] beat;

  for (genvar l = 0; l < VEC; l++) begin : gen_code
    assign codes[l*4+:4] = o[l][3:0];
  end
  for (genvar i = 0; i < KW; i++) begin : gen_word
    wire hit = kw == 4'(i) || (narrow && kw == 4'(i - KW / 2));
    always_ff @(posedge clk) if (adv && key && hit) gathered[i] <= codes;
  end
  // Parameters go to every word, strobes choose. Codes: nibble 4s + g is multiplier 32g + s.
  wire put_param = adv && key_first;
  wire put_code = adv && key_done;
  always_ff @(posedge clk) begin
    if (put_param) beat <= {16{param_q}};
    if (put_code) begin
      for (int s = 0; s < 32; s++) begin
        for (int g = 0; g < 4; g++) begin
          beat[(4*s+g)*4+:4] <= gathered[(32*g+s)/VEC][((32*g+s)%VEC)*4+:4];
        end
      end
    end
  end
  for (genvar c = 0; c < CHANNELS; c++) begin : gen_channel
    logic [15:0] four;
    localparam int L = (4 * c) % VEC;
    wire hit = VW == 1 || kw == 4'(c / (VEC / 4));
    always_ff @(posedge clk) if (adv && value && hit) four <= codes[L*4+:16];
    assign w_data[c] = op.qv ? {32{four}} : beat;
  end

  // The request that is being made: parameters after the first word, codes after the last one.
  wire [39:0] want_beat = put_param ? head + param : op.qk ? head + code : at;
  wire want = put_param || put_code || (adv && value && kw == 4'(VW - 1));
  wire inside_range = want_beat >= {8'd0, write_low} && want_beat < {8'd0, write_high};
  logic request, everywhere;
  logic restart;  // `code` is there one cycle after `init`
  wire ready = everywhere ? &w_ready : w_ready[channel];
  assign stall = request && !ready;
  assign w_valid = !request ? '0 : everywhere ? {CHANNELS{ready}} : CHANNELS'(1) << channel;
  assign pending = request || key_first || key_done;
  assign bad = want && !inside_range;
  assign bad_beat = want_beat[31:0];

  always_ff @(posedge clk) begin
    if (flush) begin
      request <= 1'b0;
      {key_first, key_done} <= '0;
    end else if (adv) begin
      request <= want && inside_range;
      {key_first, key_done} <= {key && o_first, key && o_last};
      assert (!(key_first && key_done)) else $error("KV cache: two writes at once");
    end
    if (adv && key && o_first) param_q <= param_word;
    if (want) begin
      w_beat <= want_beat[31:0];
      everywhere <= op.qv;
      w_strb <= op.qv ? 64'd3 << {slot, 1'b0}
              : put_param ? 64'hf << {word, 2'd0}
              : !narrow ? '1 : half ? {32{2'b10}} : {32{2'b01}};
    end
    if (init) begin
      head <= '0;
      kw <= '0;
    end else if (adv && (key || value)) begin
      kw <= o_last || (value && kw == 4'(VW - 1)) ? '0 : kw + 4'd1;
    end
    // K: the next head after the codes of this one. V: the next step after this one.
    if (!init && put_code) head <= head + 40'(uop.k);
    else if (!init && adv && value && o_last) head <= head + 40'(uop.k);
    restart <= init;
    if (restart) at <= code;
    else if (adv && value && kw == 4'(VW - 1)) at <= o_last ? head + 40'(uop.k) + code : at + {8'd0, uop.aux};
  end

  wire unused = &{1'b0, op, uop, consts};
endmodule
