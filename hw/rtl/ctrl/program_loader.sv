// Copies the program from auxiliary memory into the instruction memory, two instructions a beat.
// Refuses (fault PROGRAM) what does not fit the instruction memory or lies outside auxiliary memory; the program that
// was loaded before is lost only when the copying has begun. Does not look at the instructions.
module program_loader
  import accllm_regs_pkg::*;
  import accllm_types_pkg::*;
#(
    parameter int IMEM = 512
) (
    input  logic                           clk,
    input  logic                           rst,
    input  logic                           clear,
    input  logic                           start,     // pulse
    input  logic   [                 31:0] addr,
    input  logic   [                 31:0] len,       // at least 1
    input  logic   [                 31:0] limit,
    output logic                           done,      // pulse
    output logic   [                 15:0] length,    // of the program that is loaded, 0 = none
    output fault_t                         fault,
    output logic                           rq_valid,
    input  logic                           rq_ready,
    output logic   [                 31:0] rq_beat,
    output logic   [                 15:0] rq_beats,
    input  logic                           rd_valid,
    output logic                           rd_ready,
    input  logic   [                511:0] rd_data,
    output logic                           w_en,
    output logic   [$clog2(IMEM)-1:0]      w_addr,
    output logic   [                255:0] w_data
);
  logic busy;
  logic [15:0] at, left;  // next instruction to write, and how many
  logic last;             // only one
  wire [15:0] beats = 16'(len[15:1]) + 16'(len[0]);
  // The settings do not change while a run is on, so these are right long before the start.
  logic [32:0] past;
  logic too_long, outside, begun, refused;

  // The low half of a beat is written in the first cycle, the high half (with the pop) in the second.
  assign w_en = busy && rd_valid;
  assign w_addr = at[$clog2(IMEM)-1:0];
  assign w_data = at[0] ? rd_data[511:256] : rd_data[255:0];
  assign rd_ready = busy && (at[0] || last);

  always_ff @(posedge clk) begin
    too_long <= len > 32'(IMEM);
    past <= {1'b0, addr} + 33'(beats);
    outside <= past > {1'b0, limit};
    done <= 1'b0;
    fault <= '0;
    begun <= start && !rst && !clear && !(too_long || outside);
    refused <= start && !rst && !clear && (too_long || outside);
    if (rst) begin
      busy <= 1'b0;
      rq_valid <= 1'b0;
      length <= '0;
    end else if (clear) begin
      busy <= 1'b0;
      rq_valid <= 1'b0;
    end else begin
      if (refused) fault <= '{valid: 1'b1, code: FAULT_PROGRAM, pc: '0, info: too_long ? len : addr};
      if (begun) begin
        busy <= 1'b1;
        rq_valid <= 1'b1;
        length <= '0;
      end
      if (rq_valid && rq_ready) rq_valid <= 1'b0;
      if (w_en) begin
        if (last) begin
          busy <= 1'b0;
          done <= 1'b1;
          length <= len[15:0];
        end
      end
    end
    if (begun) begin
      rq_beat <= addr;
      rq_beats <= beats;
      at <= '0;
      left <= len[15:0];
      last <= len[15:0] == 16'd1;
    end else if (w_en) begin
      at <= at + 16'd1;
      left <= left - 16'd1;
      last <= left == 16'd2;
    end
    if (!rst && !clear) begin
      assert (!busy || last == (left == 16'd1)) else $error("program loader: flag of the last instruction");
    end
  end
endmodule
