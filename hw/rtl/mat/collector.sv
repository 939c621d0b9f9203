// Puts the results of all tiles in their places: rows and dims in a word of the vector memory, scores in a row of the
// score buffer; registered, one write a cycle. Does not check addresses (mat_drain did).
module collector
  import accllm_mat_pkg::*;
#(
    parameter int CHANNELS = 2,
    parameter int LANES = 2,
    parameter int VEC = 8,
    parameter int VMEM = 65536,
    parameter int SBUF = 4096,
    localparam int NB = 2 * CHANNELS > VEC ? 2 * CHANNELS : VEC
) (
    input  logic                          clk,
    input  logic                          rst,
    input  logic                          d5_valid,
    input  kind_t                         d5_kind,
    input  logic                          d5_pair,
    input  logic [                   1:0] d5_word,
    input  logic [             LANES-1:0] d5_lanes,
    // in range:
    // verilator lint_off UNUSEDSIGNAL
    input  logic [                  31:0] d5_addr,
    // verilator lint_on UNUSEDSIGNAL
    input  logic [                  31:0] d5_seq,
    input  logic                          d5_done,
    input  logic [                  31:0] w       [CHANNELS],
    input  logic [                  31:0] v       [4*CHANNELS],
    input  logic [                  31:0] k       [CHANNELS][LANES*2],
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
  localparam int WORDS = DIMS > VEC ? DIMS / VEC : 1;
  wire row = d5_valid && d5_kind != KIND_K;
  wire key = d5_valid && d5_kind == KIND_K;
  // Which part of a word or row, in results of one step.
  wire [31:0] part_w = 32'(d5_addr[$clog2(VEC)-1:0]) >> $clog2(CHANNELS);
  wire [31:0] part_v = WORDS > 1 ? 32'd0 : 32'(d5_addr[$clog2(VEC)-1:0]) >> $clog2(DIMS);
  wire [31:0] part_k = 32'(d5_addr[$clog2(NB)-1:0]) >> (d5_pair ? $clog2(2 * CHANNELS) : $clog2(CHANNELS));

  for (genvar e = 0; e < VEC; e++) begin : gen_element
    logic [31:0] dim[4];
    for (genvar i = 0; i < 4; i++) begin : gen_word
      assign dim[i] = v[(i%WORDS*VEC+e)%DIMS];
    end
    logic [31:0] q;
    logic mask;
    always_ff @(posedge clk) begin
      if (row) begin
        q <= d5_kind == KIND_W ? w[e%CHANNELS] : dim[d5_word];
        mask <= d5_kind == KIND_W ? part_w == e / CHANNELS : part_v == e / DIMS;
      end
    end
    assign mw_data[32*e+:32] = q;
    assign mw_mask[e] = mask;
  end

  for (genvar b = 0; b < NB; b++) begin : gen_bank
    logic on;
    always_ff @(posedge clk)
      if (key) on <= part_k == (d5_pair ? b / (2 * CHANNELS) : b / CHANNELS);
    assign ms_banks[b] = on;
    for (genvar l = 0; l < LANES; l++) begin : gen_lane
      logic [31:0] q;
      always_ff @(posedge clk) if (key) q <= d5_pair ? k[b/2%CHANNELS][2*l+b%2] : k[b%CHANNELS][2*l];
      assign ms_data[l][b] = q;
    end
  end

  always_ff @(posedge clk) begin
    mw_valid <= row && !rst;
    ms_valid <= key && !rst;
    done <= d5_done && !rst;
    if (d5_valid || d5_done) seq <= d5_seq;
    if (row) mw_addr <= d5_addr[$clog2(VMEM)-1:$clog2(VEC)];
    if (key) begin
      ms_row   <= d5_addr[$clog2(SBUF)-1:$clog2(NB)];
      ms_lanes <= d5_lanes;
    end
  end
endmodule
