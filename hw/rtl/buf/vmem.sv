// Vector memory: VMEM/VEC words of VEC x 32 bits, two elements in a word of memory. Two read ports (data READ_LATENCY cycles
// later, kept while nothing is read) and one write port, which the matrix unit has first: its writes are registered here,
// and `vw_ready` is low while one is made. A word read in the cycle of its write is the old one. Does not check addresses.
module vmem
  import accllm_types_pkg::READ_LATENCY;
#(
    parameter int VEC = 8,
    parameter int VMEM = 1 << 16,
    localparam int AW = $clog2(VMEM / VEC)
) (
    input  logic              clk,
    input  logic              r_en,
    input  logic [    AW-1:0] ra_addr,
    input  logic [    AW-1:0] rb_addr,
    output logic [VEC*32-1:0] ra_data,
    output logic [VEC*32-1:0] rb_data,
    input  logic              mw_valid,
    input  logic [    AW-1:0] mw_addr,
    input  logic [   VEC-1:0] mw_mask,
    input  logic [VEC*32-1:0] mw_data,
    input  logic              vw_valid,
    output logic              vw_ready,
    input  logic [    AW-1:0] vw_addr,
    input  logic [   VEC-1:0] vw_mask,
    input  logic [VEC*32-1:0] vw_data
);
  if (READ_LATENCY != 3) begin : gen_check
    $error("vmem: memory, output register and one more are three cycles");
  end
  logic m_valid;
  logic [AW-1:0] m_addr;
  logic [VEC-1:0] m_mask;
  assign vw_ready = !m_valid;

  always_ff @(posedge clk) begin
    m_valid <= mw_valid;
    if (mw_valid) begin
      m_addr <= mw_addr;
      m_mask <= mw_mask;
    end
  end

  for (genvar l = 0; l < VEC; l += 2) begin : gen_bank
    // One copy for each read port.
    (* ram_style = "ultra" *) logic [63:0] mem_a[VMEM/VEC];
    (* ram_style = "ultra" *) logic [63:0] mem_b[VMEM/VEC];
    // Copies of what chooses and enables.
    (* keep *) logic first, r_en_1, r_en_2;
    always_ff @(posedge clk) begin
      first <= mw_valid;
      {r_en_2, r_en_1} <= {r_en_1, r_en};
    end
    logic [63:0] m_data, a_1, a_2, a_3, b_1, b_2, b_3;
    wire [63:0] d = first ? m_data : vw_data[l*32+:64];
    wire [AW-1:0] w_addr = first ? m_addr : vw_addr;
    wire [1:0] w_mask = first ? m_mask[l+:2] : vw_valid ? vw_mask[l+:2] : '0;
    always_ff @(posedge clk) if (mw_valid) m_data <= mw_data[l*32+:64];
    always_ff @(posedge clk) begin
      for (int i = 0; i < 2; i++) if (w_mask[i]) mem_a[w_addr][32*i+:32] <= d[32*i+:32];
      if (r_en) a_1 <= mem_a[ra_addr];
    end
    always_ff @(posedge clk) begin
      for (int i = 0; i < 2; i++) if (w_mask[i]) mem_b[w_addr][32*i+:32] <= d[32*i+:32];
      if (r_en) b_1 <= mem_b[rb_addr];
    end
    always_ff @(posedge clk) begin
      if (r_en_1) a_2 <= a_1;
      if (r_en_1) b_2 <= b_1;
      if (r_en_2) a_3 <= a_2;
      if (r_en_2) b_3 <= b_2;
    end
    assign ra_data[l*32+:64] = a_3;
    assign rb_data[l*32+:64] = b_3;
  end
endmodule
