// Test bench of the vector unit: with vector memory, scalar file and channel writers; activation and score buffer, the
// auxiliary port, the matrix unit's write port and the channels' write buses are ports that the test plays.
module tb_vec
  import accllm_isa_pkg::*;
  import accllm_types_pkg::*;
#(
    parameter int CHANNELS = 2,
    parameter int LANES = 2,
    parameter int VEC = 8,
    parameter int VMEM = 1 << 16,
    parameter int ACT = 512,
    parameter int SBUF = 1 << 12,
    parameter int SCALARS = 256
) (
    input  logic                            clk,
    input  logic                            rst,
    input  logic                            clear,
    input  logic                            start_valid,
    output logic                            start_ready,
    input  logic [      $bits(uop_t)-1:0] uop,
    input  logic [   $bits(consts_t)-1:0] consts,
    output logic                            done,
    output logic                            busy,
    output logic                            fault_valid,
    output logic [                     7:0] fault_code,
    output logic [                    15:0] fault_pc,
    output logic [                    31:0] fault_info,
    output logic [                    31:0] seq,
    input  logic [                    31:0] write_low,
    input  logic [                    31:0] write_high,
    // Matrix writes, and what the vector unit writes.
    input  logic                            mw_valid,
    input  logic [$clog2(VMEM/VEC)-1:0] mw_addr,
    input  logic [                 VEC-1:0] mw_mask,
    input  logic [              VEC*32-1:0] mw_data,
    output logic                            vw_fire,
    output logic [$clog2(VMEM/VEC)-1:0] vw_addr,
    output logic [                 VEC-1:0] vw_mask,
    output logic [              VEC*32-1:0] vw_data,
    // Activation and score buffer.
    output logic                            va_valid,
    output logic [         $clog2(ACT)-1:0] va_addr,
    output logic [               LANES-1:0] va_lanes,
    output logic [                    63:0] va_banks,
    output logic [               VEC*8-1:0] va_even,
    output logic [               VEC*8-1:0] va_odd,
    output logic [                     3:0] va_exp,
    output logic                            sb_r_en,
    output logic [       $clog2(LANES)-1:0] sb_r_lane,
    output logic [        $clog2(SBUF)-1:0] sb_r_addr,
    input  logic [              VEC*32-1:0] sb_r_data,
    output logic                            sb_s_en,
    output logic [       $clog2(LANES)-1:0] sb_s_lane,
    output logic [        $clog2(SBUF)-1:0] sb_s_addr,
    input  logic [              VEC*32-1:0] sb_s_data,
    // Scalars: writes of the unit, of the test, and the matrix unit's read port.
    output logic [                     4:0] vs_w_en,
    output logic [     $clog2(SCALARS)-1:0] vs_w_addr,
    output logic [                    31:0] vs_w_f0,
    output logic [                    21:0] vs_w_f1,
    output logic [                    15:0] vs_w_f2,
    output logic [                    21:0] vs_w_f3,
    input  logic                            ts_valid,
    input  logic [     $clog2(SCALARS)-1:0] ts_addr,
    input  logic [                    31:0] ts_f0,
    input  logic [                    21:0] ts_f1,
    input  logic [                    15:0] ts_f2,
    input  logic [                    21:0] ts_f3,
    input  logic [     $clog2(SCALARS)-1:0] m_addr,
    output logic [                    15:0] m_q_sum,
    // Auxiliary port.
    output logic                            rq_valid,
    input  logic                            rq_ready,
    output logic [                    31:0] rq_beat,
    output logic [                    15:0] rq_beats,
    input  logic                            rd_valid,
    output logic                            rd_ready,
    input  logic [                   511:0] rd_data,
    output logic                            wq_valid,
    input  logic                            wq_ready,
    output logic [                    31:0] wq_beat,
    output logic [                   511:0] wq_data,
    input  logic                            w_idle,
    // Channels.
    input  logic [                    63:0] base    [CHANNELS],
    output logic [            CHANNELS-1:0] awvalid,
    input  logic [            CHANNELS-1:0] awready,
    output logic [                    63:0] awaddr  [CHANNELS],
    output logic [                     7:0] awlen   [CHANNELS],
    output logic [            CHANNELS-1:0] wvalid,
    input  logic [            CHANNELS-1:0] wready,
    output logic [                   511:0] wdata   [CHANNELS],
    output logic [                    63:0] wstrb   [CHANNELS],
    output logic [            CHANNELS-1:0] wlast,
    input  logic [            CHANNELS-1:0] bvalid,
    output logic [            CHANNELS-1:0] bready,
    input  logic [                     1:0] bresp   [CHANNELS],
    output logic                            result_valid,
    output logic [                    31:0] result_index,
    output logic [                    31:0] result_value
);
  fault_t fault;
  logic vm_r_en, vw_valid, vw_ready, vs_r_en;
  logic [$clog2(VMEM/VEC)-1:0] vm_ra_addr, vm_rb_addr;
  logic [VEC*32-1:0] vm_ra_data, vm_rb_data;
  logic [$clog2(SCALARS)-1:0] vs_r_addr;
  logic [31:0] vs_r_f0;
  logic [21:0] vs_r_f1, vs_r_f3;
  logic [15:0] vs_r_f2;
  logic [CHANNELS-1:0] kw_valid, kw_ready, kw_idle, kw_error;
  logic [31:0] kw_beat;
  logic [63:0] kw_strb;
  logic [2:0] kw_part;
  logic kw_last;
  logic [63:0] kw_data[CHANNELS];

  assign {fault_valid, fault_code, fault_pc, fault_info} = fault;
  assign vw_fire = vw_valid && vw_ready;

  // The test answers one cycle after an address; the buffer takes longer.
  logic [VEC*32-1:0] r_data[READ_LATENCY:1], s_data[READ_LATENCY:1];
  assign r_data[1] = sb_r_data;
  assign s_data[1] = sb_s_data;
  always_ff @(posedge clk) begin
    for (int i = 2; i <= READ_LATENCY; i++) begin
      r_data[i] <= r_data[i-1];
      s_data[i] <= s_data[i-1];
    end
  end
  wire vw_ready_next = !mw_valid;
  vec_unit #(
      .CHANNELS(CHANNELS), .LANES(LANES), .VEC(VEC), .VMEM(VMEM), .ACT(ACT), .SBUF(SBUF), .SCALARS(SCALARS)
  ) u_vec (
      .*,
      .sb_r_data(r_data[READ_LATENCY]), .sb_s_data(s_data[READ_LATENCY]),
      .aux_rq_valid(rq_valid), .aux_rq_ready(rq_ready), .aux_rq_beat(rq_beat), .aux_rq_beats(rq_beats),
      .aux_rd_valid(rd_valid), .aux_rd_ready(rd_ready), .aux_rd_data(rd_data), .aux_wq_valid(wq_valid),
      .aux_wq_ready(wq_ready), .aux_wq_beat(wq_beat), .aux_wq_data(wq_data), .aux_w_idle(w_idle)
  );
  vmem #(.VEC(VEC), .VMEM(VMEM)) u_vmem (
      .*, .r_en(vm_r_en), .ra_addr(vm_ra_addr), .rb_addr(vm_rb_addr), .ra_data(vm_ra_data), .rb_data(vm_rb_data)
  );
  wire [4:0] w_en = ts_valid ? '1 : vs_w_en;
  wire [$clog2(SCALARS)-1:0] w_addr = ts_valid ? ts_addr : vs_w_addr;
  wire [31:0] w_f0 = ts_valid ? ts_f0 : vs_w_f0;
  wire [21:0] w_f1 = ts_valid ? ts_f1 : vs_w_f1;
  wire [15:0] w_f2 = ts_valid ? ts_f2 : vs_w_f2;
  wire [21:0] w_f3 = ts_valid ? ts_f3 : vs_w_f3;
  scalar_file #(.SCALARS(SCALARS)) u_scalars (
      .*,
      .r_en(vs_r_en), .r_addr(vs_r_addr), .r_f0(vs_r_f0), .r_f1(vs_r_f1), .r_f2(vs_r_f2), .r_f3(vs_r_f3)
  );
  for (genvar c = 0; c < CHANNELS; c++) begin : gen_channel
    chan_writer u_writer (
        .*,
        .base(base[c]), .w_valid(kw_valid[c]), .w_ready(kw_ready[c]), .w_beat(kw_beat), .w_strb(kw_strb),
        .w_part(kw_part), .w_last(kw_last), .w_data(kw_data[c]), .idle(kw_idle[c]), .error(kw_error[c]), .awvalid(awvalid[c]), .awready(awready[c]),
        .awaddr(awaddr[c]), .awlen(awlen[c]), .wvalid(wvalid[c]), .wready(wready[c]), .wdata(wdata[c]),
        .wstrb(wstrb[c]), .wlast(wlast[c]), .bvalid(bvalid[c]), .bready(bready[c]), .bresp(bresp[c])
    );
  end

  wire unused = &{1'b0, vs_r_f2};
endmodule
