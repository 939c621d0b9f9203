// Score buffer: per lane, SBUF elements of 32 bits in rows of NB = max(2*CHANNELS, VEC) banks. One write port (matrix
// unit: one row, any lanes, any banks) and two read ports, each with a copy of its own (vector unit, lanes `r_` and scan
// `s_`: VEC elements at an element address that is a multiple of VEC, data READ_LATENCY cycles later, kept while nothing is
// read). Block memories with their output registers. Does not check addresses.
module score_buf
  import accllm_types_pkg::READ_LATENCY;
#(
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
    output logic [       VEC*32-1:0] r_data,
    input  logic                     s_en,
    input  logic [$clog2(LANES)-1:0] s_lane,
    // the addresses are multiples of VEC:
    // verilator lint_off UNUSEDSIGNAL
    input  logic [ $clog2(SBUF)-1:0] r_addr,
    input  logic [ $clog2(SBUF)-1:0] s_addr,
    // verilator lint_on UNUSEDSIGNAL
    output logic [       VEC*32-1:0] s_data
);
  if (READ_LATENCY != 3) begin : gen_check
    $error("score_buf: memory, output register and selection are three cycles");
  end
  localparam int GROUPS = NB / VEC;
  localparam int SEL = LANES * GROUPS;
  localparam int SW = $clog2(SEL);
  // Lane and group of banks, as one number.
  logic [SW-1:0] r_sel, s_sel, r_sel_1, s_sel_1, r_sel_2, s_sel_2;
  logic r_en_1, r_en_2, s_en_1, s_en_2;
  if (GROUPS == 1) begin : gen_whole
    assign r_sel = r_lane;
    assign s_sel = s_lane;
  end else begin : gen_part
    assign r_sel = {r_lane, r_addr[$clog2(NB)-1:$clog2(VEC)]};
    assign s_sel = {s_lane, s_addr[$clog2(NB)-1:$clog2(VEC)]};
  end
  always_ff @(posedge clk) begin
    {r_sel_2, r_sel_1} <= {r_sel_1, r_sel};
    {s_sel_2, s_sel_1} <= {s_sel_1, s_sel};
    {r_en_2, r_en_1} <= {r_en_1, r_en};
    {s_en_2, s_en_1} <= {s_en_1, s_en};
  end

  for (genvar e = 0; e < VEC; e++) begin : gen_element
    logic [31:0] r_out[SEL], s_out[SEL], r_3, s_3;
    for (genvar s = 0; s < SEL; s++) begin : gen_bank
      localparam int L = s / GROUPS;
      localparam int B = (s % GROUPS) * VEC + e;
      (* ram_style = "block" *) logic [31:0] r_mem[SBUF/NB];
      (* ram_style = "block" *) logic [31:0] s_mem[SBUF/NB];
      logic [31:0] r_q, s_q;
      wire write = w_valid && w_lanes[L] && w_banks[B];
      always_ff @(posedge clk) begin
        if (write) r_mem[w_row] <= w_data[L][B];
        if (r_en && r_sel == SW'(s)) r_q <= r_mem[r_addr[$clog2(SBUF)-1:$clog2(NB)]];
      end
      always_ff @(posedge clk) begin
        if (write) s_mem[w_row] <= w_data[L][B];
        if (s_en && s_sel == SW'(s)) s_q <= s_mem[s_addr[$clog2(SBUF)-1:$clog2(NB)]];
      end
      always_ff @(posedge clk) begin
        if (r_en_1 && r_sel_1 == SW'(s)) r_out[s] <= r_q;
        if (s_en_1 && s_sel_1 == SW'(s)) s_out[s] <= s_q;
      end
    end
    always_ff @(posedge clk) begin
      if (r_en_2) r_3 <= r_out[r_sel_2];
      if (s_en_2) s_3 <= s_out[s_sel_2];
    end
    assign r_data[e*32+:32] = r_3;
    assign s_data[e*32+:32] = s_3;
  end
endmodule
