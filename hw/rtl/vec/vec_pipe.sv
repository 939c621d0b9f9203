// Position flags, masks and scalars that go down the pipeline beside the data, stage by stage as in accllm_vec_pkg.
// Nothing ever waits in it: a step that has begun arrives.
module vec_pipe
  import accllm_vec_pkg::*;
#(
    parameter int VEC = 8
) (
    input  logic               clk,
    input  logic               flush,
    input  vop_t               op,
    input  tag_t               tag_1,
    input  logic     [VEC-1:0] mask_1,
    input  logic     [VEC-1:0] seen_3,   // SOFTMAX: visible elements
    input  logic     [   31:0] param_4,  // QK: base and scale
    output tag_t               tag_2,
    output tag_t               tag_3,
    output tag_t               tag_4,
    output tag_t               tag_5,
    output tag_t               tag_11,
    output tag_t               tag_13,
    output tag_t               tag_o,
    output logic     [VEC-1:0] mask_5,
    output logic     [VEC-1:0] mask_11,
    output logic     [VEC-1:0] mask_12,
    output logic     [VEC-1:0] mask_13,
    output logic     [VEC-1:0] mask_o,
    output logic     [   31:0] param_o,
    output logic               stays     // something is under way after this cycle
);
  tag_t tag[ST_RESULT:1];
  logic [VEC-1:0] mask[ST_RESULT:1];
  logic [31:0] param[5:0];  // stages 5, 9 to 13

  assign tag[1] = tag_1;
  assign mask[1] = mask_1;
  assign {tag_2, tag_3, tag_4, tag_5} = {tag[2], tag[3], tag[4], tag[5]};
  assign {tag_11, tag_13, tag_o} = {tag[ST_PRODUCT], tag[ST_BOUND], tag[ST_RESULT]};
  assign mask_5 = mask[ST_OPERAND];
  assign mask_11 = mask[ST_PRODUCT];
  assign mask_12 = mask[ST_SHIFT];
  assign mask_13 = mask[ST_BOUND];
  assign mask_o = mask[ST_RESULT];

  logic [ST_RESULT:2] goes_on;
  assign stays = goes_on != 0;

  // What comes next into each stage, before its valid bit is looked at.
  for (genvar s = 2; s <= ST_RESULT; s++) begin : gen_stage
    tag_t prior;
    logic [VEC-1:0] mask_prior;
    logic enters;
    if (s == ST_FACTOR) begin : gen_factor
      assign prior = op.silu ? tag[ST_SIGMOID] : tag[ST_OPERAND];
      assign mask_prior = op.silu ? mask[ST_SIGMOID] : mask[ST_OPERAND];
      assign enters = !op.early;
    end else if (s >= ST_EXTRA && s <= ST_SIGMOID) begin : gen_sigmoid
      assign prior = tag[s-1];
      assign mask_prior = mask[s-1];
      assign enters = op.silu;
    end else if (s == ST_PARTIAL_2) begin : gen_second
      assign prior = tag[s-1];
      assign mask_prior = mask[s-1];
      assign enters = op.late && !prior.peak;
    end else if (s == ST_PRODUCT_2) begin : gen_early
      assign prior = op.early ? tag[ST_OPERAND] : tag[s-1];
      assign mask_prior = op.early ? mask[ST_OPERAND] : mask[s-1];
      assign enters = 1'b1;
    end else if (s == ST_FINE) begin : gen_fine
      assign prior = tag[s-1];
      assign mask_prior = mask[s-1];
      assign enters = !op.softmax;
    end else if (s == ST_RESULT) begin : gen_result
      assign prior = op.middle ? tag[ST_BOUND] : op.softmax ? tag[ST_SHIFT_2] : tag[s-1];
      assign mask_prior = op.middle ? mask[ST_BOUND] : op.softmax ? mask[ST_SHIFT_2] : mask[s-1];
      assign enters = op.queued || op.to_act;
    end else if (s == ST_MEMORY) begin : gen_seen
      assign prior = tag[s-1];
      assign mask_prior = op.softmax && !prior.peak ? seen_3 : mask[s-1];
      assign enters = 1'b1;
    end else begin : gen_plain
      assign prior = tag[s-1];
      assign mask_prior = mask[s-1];
      assign enters = 1'b1;
    end
    assign goes_on[s] = prior.v && enters;
    always_ff @(posedge clk) begin
      tag[s] <= prior;
      tag[s].v <= goes_on[s] && !flush;
      if (prior.v) mask[s] <= mask_prior;
    end
  end

  // The scalars of a head go with its first step.
  always_ff @(posedge clk) begin
    if (op.qk) begin
      param <= '{param[4], param[3], param[2], param[1], param[0], param_4};
      param_o <= param[5];
    end
  end

  wire unused = &{1'b0, op};
endmodule
