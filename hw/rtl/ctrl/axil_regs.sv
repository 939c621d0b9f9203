// Registers of docs/registers.md behind AXI4-Lite, with the ap_ctrl_hs/chain handshake and the interrupt.
// Start stays set until the run ends; done and ready are cleared by reading CTRL or by writing continue.
// Settings cannot be changed while a run is going (such writes are ignored); arguments can, they count from the next start.
// Writes are decoded one cycle and stored the next; of reads, every block of sixteen words takes the address, then its word,
// then one of the blocks is chosen.
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
  localparam int FIRST = int'(REG_PROGRAM_ADDR) / 4;  // words that hold what is written: settings,
  localparam int HELD = int'(REG_CHANNEL_BASE) / 4 + 2 * CHANNELS;       // arguments, bases
  localparam int ARG = int'(REG_ARG) / 4;
  localparam int BASE = int'(REG_CHANNEL_BASE) / 4;
  localparam int BLOCKS = 12;                                             // of sixteen words

  logic wr_valid, rd_valid;
  logic [11:0] wr_addr, rd_addr;
  logic [31:0] wr_data, rd_data;
  logic [3:0] wr_strb;
  axil_slave u_slave (.*);

  logic ap_done, ap_ready, gier, ier, isr;
  logic rd_ctrl;  // CTRL is being read
  logic [31:0] last_index, last_value;
  wire [9:0] wa = wr_addr[11:2];
  wire [9:0] ra = rd_addr[11:2];
  wire wr_low = wr_valid && wr_strb[0];
  wire wr_ctrl = wr_low && wa == 10'(REG_CTRL >> 2);

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
      else if (rd_ctrl || (wr_ctrl && wr_data[4])) {ap_done, ap_ready} <= 2'b00;
      if (wr_low && wa == 10'(REG_GIER >> 2)) gier <= wr_data[0];
      if (wr_low && wa == 10'(REG_IER >> 2)) ier <= wr_data[0];
      if (done && ier) isr <= 1'b1;
      else if (wr_low && wa == 10'(REG_ISR >> 2) && wr_data[0]) isr <= !isr;
      if (result_valid) begin
        last_index <= result_index;
        last_value <= result_value;
      end
    end
  end

  // Settings, arguments and bases: one word register each.
  logic [HELD-1:FIRST][31:0] held;
  logic [HELD-1:FIRST] store;
  wire open = !busy && !start;
  for (genvar i = FIRST; i < HELD; i++) begin : gen_held
    localparam bit ALWAYS = i >= ARG && i < ARG + 15;  // arguments may be written during a run
    // Sixteen words have a copy of the reset, of what is written and of which bytes.
    if (i == FIRST || i % 16 == 0) begin : gen_copy
      (* keep *) logic rst_q;
      (* keep *) logic [31:0] data, mask;
      always_ff @(posedge clk) begin
        rst_q <= rst;
        data <= wr_data;
        mask <= {{8{wr_strb[3]}}, {8{wr_strb[2]}}, {8{wr_strb[1]}}, {8{wr_strb[0]}}};
      end
    end
    localparam int C = i / 16 * 16 > FIRST ? i / 16 * 16 : FIRST;
    wire rst_q = gen_held[C].gen_copy.rst_q;
    wire [31:0] data = gen_held[C].gen_copy.data, mask = gen_held[C].gen_copy.mask;
    always_ff @(posedge clk) begin
      store[i] <= wr_valid && wa == 10'(i) && (open || ALWAYS) && !rst;
      if (rst_q) held[i] <= '0;
      else if (store[i]) held[i] <= (held[i] & ~mask) | (data & mask);
    end
  end
  assign settings = '{
          program_addr: held[REG_PROGRAM_ADDR>>2],
          program_len: held[REG_PROGRAM_LEN>>2],
          channel_limit: held[REG_CHANNEL_LIMIT>>2],
          write_low: held[REG_WRITE_LOW>>2],
          write_high: held[REG_WRITE_HIGH>>2],
          aux_limit: held[REG_AUX_LIMIT>>2],
          aux_write_low: held[REG_AUX_WRITE_LOW>>2],
          aux_write_high: held[REG_AUX_WRITE_HIGH>>2],
          watchdog: held[REG_WATCHDOG>>2],
          aux_base: {held[(REG_AUX_BASE>>2)+1], held[REG_AUX_BASE>>2]}
      };
  for (genvar i = 0; i < 15; i++) begin : gen_arg
    assign args[i] = held[ARG+i];
  end
  for (genvar i = 0; i < CHANNELS; i++) begin : gen_base
    assign channel_base[i] = {held[BASE+2*i+1], held[BASE+2*i]};
  end

  // Reads.
  logic [16*BLOCKS-1:0][31:0] words;
  logic [BLOCKS-1:0][31:0] block;
  logic [5:0] at;
  always_comb begin
    words = '0;
    words[REG_CTRL>>2] = {28'd0, ap_ready, !start && !busy, ap_done, start};
    words[REG_GIER>>2] = {31'd0, gier};
    words[REG_IER>>2] = {31'd0, ier};
    words[REG_ISR>>2] = {31'd0, isr};
    for (int i = FIRST; i < HELD; i++) words[i] = held[i];
    words[REG_STATUS>>2] = status;
    words[REG_FAULT_PC>>2] = fault_pc;
    words[REG_FAULT_INFO>>2] = fault_info;
    words[REG_RESULT_INDEX>>2] = last_index;
    words[REG_RESULT_VALUE>>2] = last_value;
    words[REG_VERSION>>2] = {8'(LANES), 8'(CHANNELS), CONTRACT_VERSION};
    for (int i = 0; i < CONFIG_FIELDS; i++) words[int'(REG_CONFIG)/4+i] = config_values[i];
    for (int i = 0; i < COUNTERS; i++) begin
      words[int'(REG_CYCLES)/4+2*i] = counters[i][31:0];
      words[int'(REG_CYCLES)/4+2*i+1] = counters[i][63:32];
    end
  end
  for (genvar b = 0; b < BLOCKS; b++) begin : gen_block
    (* keep *) logic [3:0] low;
    (* keep *) logic valid;
    always_ff @(posedge clk) begin
      {low, valid} <= {ra[3:0], rd_valid};
      if (valid) block[b] <= words[16*b+32'(low)];
    end
  end
  logic [5:0] high;
  always_ff @(posedge clk) begin
    rd_ctrl <= rd_valid && ra == 10'(REG_CTRL >> 2);
    {at, high} <= {high, ra[9:4]};
    rd_data <= at < 6'(BLOCKS) ? block[at[3:0]] : '0;
    if (!rst) assert (!done || start) else $error("a run ends that was not started");
  end
endmodule
