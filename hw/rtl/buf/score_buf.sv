// Score buffer: per lane, SBUF elements of 32 bits in rows of NB = max(2*CHANNELS, VEC) banks. One write port (matrix
// unit: one row, any lanes, any banks) and one read port (vector unit: VEC elements at an element address that is a
// multiple of VEC, data one cycle later, kept while `r_en` is low). Does not check addresses.
module score_buf #(
    parameter int CHANNELS = 2,
    parameter int LANES = 2,
    parameter int VEC = 8,
    parameter int SBUF = 4096,
    localparam int NB = 2 * CHANNELS > VEC ? 2 * CHANNELS : VEC,
    localparam int RW = $clog2(SBUF / NB)
) (
    input  logic                     clk,
    input  logic                     w_valid,
    input  logic [           RW-1:0] w_row,
    input  logic [        LANES-1:0] w_lanes,
    input  logic [           NB-1:0] w_banks,
    input  logic [             31:0] w_data [LANES] [NB],
    input  logic                     r_en,
    input  logic [$clog2(LANES)-1:0] r_lane,
    // the address is a multiple of VEC:
    // verilator lint_off UNUSEDSIGNAL
    input  logic [ $clog2(SBUF)-1:0] r_addr,
    // verilator lint_on UNUSEDSIGNAL
    output logic [       VEC*32-1:0] r_data
);
  localparam int GROUPS = NB / VEC;
  localparam int SEL = LANES * GROUPS;
  // Lane and group of banks, as one number.
  logic [$clog2(SEL)-1:0] sel, sel_q;
  if (GROUPS == 1) begin : gen_whole
    assign sel = r_lane;
  end else begin : gen_part
    assign sel = {r_lane, r_addr[$clog2(NB)-1:$clog2(VEC)]};
  end
  always_ff @(posedge clk) if (r_en) sel_q <= sel;

  for (genvar e = 0; e < VEC; e++) begin : gen_element
    logic [31:0] out[SEL];
    for (genvar s = 0; s < SEL; s++) begin : gen_bank
      localparam int L = s / GROUPS;
      localparam int B = (s % GROUPS) * VEC + e;
      logic [31:0] mem[SBUF/NB];
      logic [31:0] q;
      always_ff @(posedge clk) if (w_valid && w_lanes[L] && w_banks[B]) mem[w_row] <= w_data[L][B];
      always_ff @(posedge clk) if (r_en && sel == ($clog2(SEL))'(s)) q <= mem[r_addr[$clog2(SBUF)-1:$clog2(NB)]];
      assign out[s] = q;
    end
    assign r_data[e*32+:32] = out[sel_q];
  end
endmodule
