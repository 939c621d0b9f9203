// Puts the results of all tiles in their places: rows and dims in a word of the vector memory, scores in a row of the
// score buffer; registered, one write a cycle. What chooses is registered in copies, one for some 256 bits. Does not check
// addresses (mat_drain did).
module collector
  import accllm_mat_pkg::*;
#(
    parameter int CHANNELS = 2,
    parameter int LANES = 2,
    parameter int VEC = 8,
    parameter int VMEM = 65536,
    parameter int SBUF = 4096,
    parameter bit HOLD = 1'b1,
    localparam int WORDS = 2 * LANES > 4 ? 2 * LANES : 4,
    localparam int NB = 2 * CHANNELS > VEC ? 2 * CHANNELS : VEC
) (
    input  logic                          clk,
    input  logic                          rst,
    input  logic                          place_valid,  // all this one cycle before the results
    input  logic                          place_done,
    // in range, and no more lanes than there are:
    // verilator lint_off UNUSEDSIGNAL
    input  place_t                        place,
    // verilator lint_on UNUSEDSIGNAL
    input  logic [                  31:0] results [CHANNELS][WORDS],
    output logic                          mw_valid,
    output logic [  $clog2(VMEM/VEC)-1:0] mw_addr,
    output logic [               VEC-1:0] mw_mask,
    output logic [            VEC*32-1:0] mw_data,
    output logic                          ms_valid,
    output logic [   $clog2(SBUF/NB)-1:0] ms_row,
    output logic [             LANES-1:0] ms_lanes,
    output logic [                NB-1:0] ms_banks,
    output logic [                  31:0] ms_data [LANES][NB],
    output logic [                  31:0] seq,
    output logic                          done
);
  localparam int DIMS = 4 * CHANNELS;
  localparam int PARTS = DIMS > VEC ? DIMS / VEC : 1;
  // The results' cycle.
  logic row, key, finish;
  // verilator lint_off UNUSEDSIGNAL
  place_t at;
  // verilator lint_on UNUSEDSIGNAL
  always_ff @(posedge clk) begin
    row <= place_valid && place.kind != KIND_K && !rst;
    key <= place_valid && place.kind == KIND_K && !rst;
    finish <= place_done && !rst;
    at <= place;
  end
  // Which part of a word or row, in results of one step.
  wire [31:0] part_w = 32'(at.addr[$clog2(VEC)-1:0]) >> $clog2(CHANNELS);
  wire [31:0] part_v = PARTS > 1 ? 32'd0 : 32'(at.addr[$clog2(VEC)-1:0]) >> $clog2(DIMS);
  wire [31:0] part_k = 32'(at.addr[$clog2(NB)-1:0]) >> (at.pair ? $clog2(2 * CHANNELS) : $clog2(CHANNELS));

  for (genvar e = 0; e < VEC; e++) begin : gen_element
    if (e % 8 == 0) begin : gen_choice
      (* keep *) logic take, is_row;
      (* keep *) logic [1:0] word;
      always_ff @(posedge clk) begin
        take <= place_valid && place.kind != KIND_K;
        is_row <= place.kind == KIND_W;
        word <= place.word;
      end
    end
    wire take = gen_element[e/8*8].gen_choice.take;
    wire is_row = gen_element[e/8*8].gen_choice.is_row;
    wire [1:0] word = gen_element[e/8*8].gen_choice.word;
    logic [31:0] dim[4];
    for (genvar i = 0; i < 4; i++) begin : gen_word
      localparam int D = (i % PARTS * VEC + e) % DIMS;
      assign dim[i] = results[D/4][D%4];
    end
    logic [31:0] q;
    always_ff @(posedge clk) if (take || !HOLD) q <= is_row ? results[e%CHANNELS][0] : dim[word];
    assign mw_data[32*e+:32] = q;
    always_ff @(posedge clk) mw_mask[e] <= is_row ? part_w == e / CHANNELS : part_v == e / DIMS;
  end

  for (genvar b = 0; b < NB; b++) begin : gen_bank
    if (b % 4 == 0) begin : gen_choice
      (* keep *) logic take, pair;
      always_ff @(posedge clk) begin
        take <= place_valid && place.kind == KIND_K;
        pair <= place.pair;
      end
    end
    wire take = gen_bank[b/4*4].gen_choice.take;
    wire pair = gen_bank[b/4*4].gen_choice.pair;
    always_ff @(posedge clk) ms_banks[b] <= part_k == (at.pair ? b / (2 * CHANNELS) : b / CHANNELS);
    for (genvar l = 0; l < LANES; l++) begin : gen_lane
      logic [31:0] q;
      always_ff @(posedge clk)
        if (take || !HOLD) q <= pair ? results[b/2%CHANNELS][2*l+b%2] : results[b%CHANNELS][2*l];
      assign ms_data[l][b] = q;
    end
  end

  always_ff @(posedge clk) begin
    mw_valid <= row && !rst;
    ms_valid <= key && !rst;
    done <= finish && !rst;
    if (row || key || finish) seq <= at.seq;
    mw_addr  <= at.addr[$clog2(VMEM)-1:$clog2(VEC)];
    ms_row   <= at.addr[$clog2(SBUF)-1:$clog2(NB)];
    ms_lanes <= at.lanes[LANES-1:0];
    assert (!(row && at.addr >= VMEM) && !(key && at.addr >= SBUF))
    else $error("collector: a place outside its memory");
  end
endmodule
