// AXI4-Lite slave protocol: turns the five channels into one-cycle write and read strobes.
// `rd_data` is expected three cycles after `rd_valid` and must then hold until the next `rd_valid`.
// Does not decode addresses and answers OKAY to everything.
module axil_slave (
    input  logic        clk,
    input  logic        rst,
    input  logic [11:0] s_axi_control_awaddr,
    input  logic        s_axi_control_awvalid,
    output logic        s_axi_control_awready,
    input  logic [31:0] s_axi_control_wdata,
    input  logic [ 3:0] s_axi_control_wstrb,
    input  logic        s_axi_control_wvalid,
    output logic        s_axi_control_wready,
    output logic [ 1:0] s_axi_control_bresp,
    output logic        s_axi_control_bvalid,
    input  logic        s_axi_control_bready,
    input  logic [11:0] s_axi_control_araddr,
    input  logic        s_axi_control_arvalid,
    output logic        s_axi_control_arready,
    output logic [31:0] s_axi_control_rdata,
    output logic [ 1:0] s_axi_control_rresp,
    output logic        s_axi_control_rvalid,
    input  logic        s_axi_control_rready,
    output logic        wr_valid,
    output logic [11:0] wr_addr,
    output logic [31:0] wr_data,
    output logic [ 3:0] wr_strb,
    output logic        rd_valid,
    output logic [11:0] rd_addr,
    input  logic [31:0] rd_data
);
  logic aw_held, w_held;
  logic [3:0] reading;  // an address was taken one to four cycles ago
  wire ask = s_axi_control_arvalid && s_axi_control_arready;

  assign s_axi_control_awready = !aw_held && !rst;
  assign s_axi_control_wready = !w_held && !rst;
  assign s_axi_control_bresp = 2'b00;
  assign s_axi_control_rresp = 2'b00;
  assign wr_valid = aw_held && w_held && !s_axi_control_bvalid;
  assign s_axi_control_arready = !s_axi_control_rvalid && reading == 0 && !rst;
  assign rd_valid = reading[0];
  assign s_axi_control_rdata = rd_data;

  always_ff @(posedge clk) begin
    if (s_axi_control_awvalid && s_axi_control_awready) wr_addr <= s_axi_control_awaddr;
    if (ask) rd_addr <= s_axi_control_araddr;
    if (s_axi_control_wvalid && s_axi_control_wready) begin
      wr_data <= s_axi_control_wdata;
      wr_strb <= s_axi_control_wstrb;
    end
    if (rst) begin
      aw_held <= 1'b0;
      w_held <= 1'b0;
      s_axi_control_bvalid <= 1'b0;
      s_axi_control_rvalid <= 1'b0;
      reading <= '0;
    end else begin
      reading <= {reading[2:0], ask};
      if (wr_valid) aw_held <= 1'b0;
      else if (s_axi_control_awvalid) aw_held <= 1'b1;
      if (wr_valid) w_held <= 1'b0;
      else if (s_axi_control_wvalid) w_held <= 1'b1;
      if (wr_valid) s_axi_control_bvalid <= 1'b1;
      else if (s_axi_control_bready) s_axi_control_bvalid <= 1'b0;
      if (reading[3]) s_axi_control_rvalid <= 1'b1;
      else if (s_axi_control_rready) s_axi_control_rvalid <= 1'b0;
      assert ($onehot0(reading) && !(reading != 0 && s_axi_control_rvalid)) else $error("host registers: two reads at once");
    end
  end
endmodule
