// Vector memory: VMEM/VEC words of VEC x 32 bits. Two read ports (data one cycle later, kept while `r_en` is low) and one
// write port, which the matrix unit has first: `vw_ready` is low while it writes. A word read in the cycle of its write is
// the old one. Does not check addresses.
module vmem #(
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
  wire [AW-1:0] w_addr = mw_valid ? mw_addr : vw_addr;
  wire [VEC-1:0] w_mask = mw_valid ? mw_mask : vw_valid ? vw_mask : '0;
  assign vw_ready = !mw_valid;

  for (genvar l = 0; l < VEC; l++) begin : gen_bank
    // One copy for each read port.
    (* ram_style = "ultra" *) logic [31:0] mem_a[VMEM/VEC];
    (* ram_style = "ultra" *) logic [31:0] mem_b[VMEM/VEC];
    logic [31:0] qa, qb;
    wire [31:0] d = mw_valid ? mw_data[l*32+:32] : vw_data[l*32+:32];
    always_ff @(posedge clk) begin
      if (w_mask[l]) mem_a[w_addr] <= d;
      if (r_en) qa <= mem_a[ra_addr];
    end
    always_ff @(posedge clk) begin
      if (w_mask[l]) mem_b[w_addr] <= d;
      if (r_en) qb <= mem_b[rb_addr];
    end
    assign ra_data[l*32+:32] = qa;
    assign rb_data[l*32+:32] = qb;
  end
endmodule
