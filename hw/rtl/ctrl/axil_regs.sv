// Registers of docs/registers.md behind AXI4-Lite, with the ap_ctrl_hs/chain handshake and the interrupt.
// Start stays set until the run ends; done and ready are cleared by reading CTRL or by writing continue.
// Settings cannot be changed while a run is going (such writes are ignored); arguments can, they count from the next start.
// Does not run anything: `start` and `done` go to and come from run_control.
module axil_regs
  import accllm_regs_pkg::*;
  import accllm_ctrl_pkg::*;
#(
    parameter int CHANNELS = 2,
    parameter int LANES = 2
) (
    input  logic             clk,
    input  logic             rst,
    input  logic      [11:0] s_axi_control_awaddr,
    input  logic             s_axi_control_awvalid,
    output logic             s_axi_control_awready,
    input  logic      [31:0] s_axi_control_wdata,
    input  logic      [ 3:0] s_axi_control_wstrb,
    input  logic             s_axi_control_wvalid,
    output logic             s_axi_control_wready,
    output logic      [ 1:0] s_axi_control_bresp,
    output logic             s_axi_control_bvalid,
    input  logic             s_axi_control_bready,
    input  logic      [11:0] s_axi_control_araddr,
    input  logic             s_axi_control_arvalid,
    output logic             s_axi_control_arready,
    output logic      [31:0] s_axi_control_rdata,
    output logic      [ 1:0] s_axi_control_rresp,
    output logic             s_axi_control_rvalid,
    input  logic             s_axi_control_rready,
    output logic             interrupt,
    output logic             start,                             // level, until done
    input  logic             busy,
    input  logic             done,                              // pulse: the run ends
    output settings_t        settings,
    output logic      [63:0] channel_base         [   CHANNELS],
    output logic      [31:0] args                 [         15],
    input  logic      [31:0] status,
    input  logic      [31:0] fault_pc,
    input  logic      [31:0] fault_info,
    input  logic             result_valid,
    input  logic      [31:0] result_index,
    input  logic      [31:0] result_value,
    input  logic      [31:0] config_values        [CONFIG_FIELDS],
    input  logic      [63:0] counters             [COUNTERS]
);
  logic wr_valid, rd_valid;
  logic [11:0] wr_addr, rd_addr;
  logic [31:0] wr_data, rd_data, mask;
  logic [3:0] wr_strb;
  axil_slave u_slave (.*);

  logic ap_done, ap_ready, gier, ier, isr;
  logic [31:0] last_index, last_value;
  wire [11:0] wa = {wr_addr[11:2], 2'b00};
  wire [11:0] ra = {rd_addr[11:2], 2'b00};
  wire wr_arg = wa >= REG_ARG && wa < REG_ARG + 12'(4 * 15);
  wire rd_arg = ra >= REG_ARG && ra < REG_ARG + 12'(4 * 15);
  wire wr_base = wa >= REG_CHANNEL_BASE && wa < REG_CHANNEL_BASE + 12'(8 * CHANNELS);
  wire rd_base = ra >= REG_CHANNEL_BASE && ra < REG_CHANNEL_BASE + 12'(8 * CHANNELS);
  wire rd_count = ra >= REG_CYCLES && ra < REG_CYCLES + 12'(8 * COUNTERS);
  localparam int BW = CHANNELS > 1 ? $clog2(CHANNELS) : 1;
  wire [BW-1:0] wr_chan = BW'((wa - REG_CHANNEL_BASE) >> 3);
  wire [BW-1:0] rd_chan = BW'((ra - REG_CHANNEL_BASE) >> 3);
  localparam int CW = $clog2(CONFIG_FIELDS);
  wire [CW-1:0] rd_field = CW'((ra - REG_CONFIG) >> 2);
  wire rd_config = ra >= REG_CONFIG && ra < REG_CONFIG + 12'(4 * CONFIG_FIELDS);
  wire [3:0] rd_counter = 4'((ra - REG_CYCLES) >> 3);
  wire wr_ctrl = wr_valid && wa == REG_CTRL && wr_strb[0];

  assign mask = {{8{wr_strb[3]}}, {8{wr_strb[2]}}, {8{wr_strb[1]}}, {8{wr_strb[0]}}};
  assign interrupt = gier && isr;
  wire unused = &{1'b0, wr_addr[1:0], rd_addr[1:0]};  // registers are words

  // Control handshake.
  always_ff @(posedge clk) begin
    if (rst) begin
      {start, ap_done, ap_ready, gier, ier, isr} <= '0;
      last_index <= '0;
      last_value <= '0;
    end else begin
      if (wr_ctrl && wr_data[0]) start <= 1'b1;
      else if (done) start <= 1'b0;
      if (done) {ap_done, ap_ready} <= 2'b11;
      else if ((rd_valid && ra == REG_CTRL) || (wr_ctrl && wr_data[4])) {ap_done, ap_ready} <= 2'b00;
      if (wr_valid && wa == REG_GIER && wr_strb[0]) gier <= wr_data[0];
      if (wr_valid && wa == REG_IER && wr_strb[0]) ier <= wr_data[0];
      if (done && ier) isr <= 1'b1;
      else if (wr_valid && wa == REG_ISR && wr_strb[0] && wr_data[0]) isr <= !isr;
      if (result_valid) begin
        last_index <= result_index;
        last_value <= result_value;
      end
    end
  end

  // Settings and arguments.
  always_ff @(posedge clk) begin
    if (rst) begin
      settings <= '0;
      for (int i = 0; i < CHANNELS; i++) channel_base[i] <= '0;
      for (int i = 0; i < 15; i++) args[i] <= '0;
    end else if (wr_valid) begin
      if (wr_arg) args[4'((wa-REG_ARG)>>2)] <= (args[4'((wa-REG_ARG)>>2)] & ~mask) | (wr_data & mask);
      if (!busy && !start) begin
        if (wr_base && !wa[2]) channel_base[wr_chan][31:0] <= (channel_base[wr_chan][31:0] & ~mask) | (wr_data & mask);
        if (wr_base && wa[2]) channel_base[wr_chan][63:32] <= (channel_base[wr_chan][63:32] & ~mask) | (wr_data & mask);
        case (wa)
          REG_PROGRAM_ADDR: settings.program_addr <= (settings.program_addr & ~mask) | (wr_data & mask);
          REG_PROGRAM_LEN: settings.program_len <= (settings.program_len & ~mask) | (wr_data & mask);
          REG_CHANNEL_LIMIT: settings.channel_limit <= (settings.channel_limit & ~mask) | (wr_data & mask);
          REG_WRITE_LOW: settings.write_low <= (settings.write_low & ~mask) | (wr_data & mask);
          REG_WRITE_HIGH: settings.write_high <= (settings.write_high & ~mask) | (wr_data & mask);
          REG_AUX_LIMIT: settings.aux_limit <= (settings.aux_limit & ~mask) | (wr_data & mask);
          REG_AUX_WRITE_LOW: settings.aux_write_low <= (settings.aux_write_low & ~mask) | (wr_data & mask);
          REG_AUX_WRITE_HIGH: settings.aux_write_high <= (settings.aux_write_high & ~mask) | (wr_data & mask);
          REG_WATCHDOG: settings.watchdog <= (settings.watchdog & ~mask) | (wr_data & mask);
          REG_AUX_BASE: settings.aux_base[31:0] <= (settings.aux_base[31:0] & ~mask) | (wr_data & mask);
          REG_AUX_BASE + 12'd4: settings.aux_base[63:32] <= (settings.aux_base[63:32] & ~mask) | (wr_data & mask);
          default: ;
        endcase
      end
    end
  end

  // Reads.
  always_ff @(posedge clk) begin
    if (rst) rd_data <= '0;
    else if (rd_valid) begin
      case (ra)
        REG_CTRL: rd_data <= {28'd0, ap_ready, !start && !busy, ap_done, start};
        REG_GIER: rd_data <= {31'd0, gier};
        REG_IER: rd_data <= {31'd0, ier};
        REG_ISR: rd_data <= {31'd0, isr};
        REG_PROGRAM_ADDR: rd_data <= settings.program_addr;
        REG_PROGRAM_LEN: rd_data <= settings.program_len;
        REG_CHANNEL_LIMIT: rd_data <= settings.channel_limit;
        REG_WRITE_LOW: rd_data <= settings.write_low;
        REG_WRITE_HIGH: rd_data <= settings.write_high;
        REG_AUX_LIMIT: rd_data <= settings.aux_limit;
        REG_AUX_WRITE_LOW: rd_data <= settings.aux_write_low;
        REG_AUX_WRITE_HIGH: rd_data <= settings.aux_write_high;
        REG_WATCHDOG: rd_data <= settings.watchdog;
        REG_AUX_BASE: rd_data <= settings.aux_base[31:0];
        REG_AUX_BASE + 12'd4: rd_data <= settings.aux_base[63:32];
        REG_STATUS: rd_data <= status;
        REG_FAULT_PC: rd_data <= fault_pc;
        REG_FAULT_INFO: rd_data <= fault_info;
        REG_RESULT_INDEX: rd_data <= last_index;
        REG_RESULT_VALUE: rd_data <= last_value;
        REG_VERSION: rd_data <= {8'(LANES), 8'(CHANNELS), CONTRACT_VERSION};
        default: begin
          rd_data <= '0;
          if (rd_arg) rd_data <= args[4'((ra-REG_ARG)>>2)];
          if (rd_base) rd_data <= ra[2] ? channel_base[rd_chan][63:32] : channel_base[rd_chan][31:0];
          if (rd_config) rd_data <= config_values[rd_field];
          if (rd_count) rd_data <= ra[2] ? counters[rd_counter][63:32] : counters[rd_counter][31:0];
        end
      endcase
    end
  end
endmodule
