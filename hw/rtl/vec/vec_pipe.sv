// Valid bits, position flags, masks and shift amounts that go down the lanes' pipeline beside the data. Everything moves
// when `adv` is high. Stages: 1 memory output, 2 operands, 3 factors, 4 first product, 5 shifted, 6 second product; then
// the results (`o_`), which operations reach from stage 2, 4 or 6.
module vec_pipe
  import accllm_vec_pkg::*;
#(
    parameter int VEC = 8
) (
    input  logic           clk,
    input  logic           flush,
    input  logic           adv,
    input  vop_t           op,
    input  logic           step,
    input  logic           first,
    input  logic           last,
    input  logic           upper,
    input  logic           sink,
    input  logic           peak,       // a step for the maximum only, without results
    input  logic [VEC-1:0] mask,
    input  logic [    5:0] shift_2,    // of the step in stage 2
    output logic [    6:1] v,
    output logic [    6:1] first_q,
    output logic [    6:1] last_q,
    output logic [    6:1] upper_q,
    output logic [    2:1] sink_q,
    output logic [    5:1] peak_q,
    output logic [VEC-1:0] mask_2,
    output logic [VEC-1:0] mask_4,
    output logic [VEC-1:0] mask_5,
    output logic [VEC-1:0] mask_6,
    output logic [    5:0] shift_4,
    output logic [   63:0] half_4,
    output logic           o_load,     // results are taken over
    output logic           o_v,
    output logic           o_first,
    output logic           o_last,
    output logic           o_upper,
    output logic [VEC-1:0] o_mask,
    output logic           pipe_busy
);
  logic [VEC-1:0] mask_1, mask_3;
  logic [5:0] shift_3;
  // Index of the stage before the results.
  wire v_end = op.early ? v[2] : op.middle ? v[4] : v[6];
  assign o_load = adv && v_end && (op.to_vmem || op.qk || op.qv || op.to_act);
  assign pipe_busy = v != 0 || o_v;

  always_ff @(posedge clk) begin
    if (flush) begin
      v <= '0;
      o_v <= 1'b0;
    end else if (adv) begin
      v <= {v[5] && op.late && !peak_q[5], v[4] && op.late, v[3], v[2] && !op.early, v[1], step || peak};
      o_v <= o_load;
    end
    if (adv) begin
      first_q <= {first_q[5:1], first};
      last_q <= {last_q[5:1], last};
      upper_q <= {upper_q[5:1], upper};
      sink_q <= {sink_q[1], sink};
      peak_q <= {peak_q[4:1], peak};
      mask_1 <= mask;
      mask_2 <= mask_1;
      mask_3 <= mask_2;
      mask_4 <= mask_3;
      mask_5 <= mask_4;
      mask_6 <= mask_5;
      shift_3 <= shift_2;
      shift_4 <= shift_3;
      half_4 <= (64'd1 << shift_3) >> 1;
      o_first <= op.early ? first_q[2] : op.middle ? first_q[4] : first_q[6];
      o_last <= op.early ? last_q[2] : op.middle ? last_q[4] : last_q[6];
      o_upper <= op.early ? upper_q[2] : op.middle ? upper_q[4] : upper_q[6];
      o_mask <= op.early ? mask_2 : op.middle ? mask_4 : mask_6;
    end
  end

  wire unused = &{1'b0, op};
endmodule
