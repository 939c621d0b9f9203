// Decodes opcode and flags into the vector unit's own record. Does not look at operands.
module vec_decode
  import accllm_isa_pkg::*;
  import accllm_vec_pkg::*;
#(
    parameter int VEC = 8
) (
    input  logic [7:0] code,
    input  logic [7:0] flags,
    output vop_t       op
);
  always_comb begin
    op = '0;
    op.load = code == OP_LOAD;
    op.embed = code == OP_EMBED;
    op.sumsq = code == OP_SUMSQ;
    op.normq = code == OP_NORMQ;
    op.rope = code == OP_ROPE;
    op.hadw = code == OP_HADW;
    op.hadx = code == OP_HADX;
    op.statk = code == OP_STATK;
    op.statq = code == OP_STATQ;
    op.qk = code == OP_QK;
    op.qv = code == OP_QV;
    op.qq = code == OP_QQ;
    op.softmax = code == OP_SOFTMAX;
    op.attq = code == OP_ATTQ;
    op.silu = code == OP_SILU;
    op.radd = code == OP_RADD;
    op.argmax = code == OP_ARGMAX;
    op.store = code == OP_STORE;
    op.wide = flags[FLAG_WIDE] && op.softmax;
    op.i32 = flags[FLAG_I32] && op.load;
    op.last_stage = flags[FLAG_FINAL] && op.hadx;
    op.anew = flags[FLAG_FIRST] && op.argmax;
    op.middle = op.sumsq || op.rope || op.qk || op.qq;
    op.late = op.normq || op.softmax || op.attq || op.silu;
    op.early = !op.middle && !op.late;
    op.to_vmem = op.load || op.embed || op.rope || op.hadw || op.hadx || op.radd || (op.normq && flags[FLAG_VMEM]);
    op.to_act = (op.normq && !flags[FLAG_VMEM]) || op.qq || op.softmax || op.attq || op.silu;
    op.queued = op.to_vmem || op.qk || op.qv || op.store;
    op.from_aux = op.load || op.embed;
    op.reads_a = !op.from_aux && !op.softmax;
    op.reads_b = op.normq || op.rope || op.hadx || op.silu || op.radd;
    op.by_row = op.softmax || op.attq;
    op.heads = op.rope || op.statk || op.statq || op.qk || op.qv || op.qq;
    op.by_query = op.statq || op.qq;
    op.by_head = op.statk || op.statq || op.qk || op.qq || op.attq;
    op.multiplies = op.embed || op.softmax || op.by_query || op.qv || op.attq || op.silu;
    op.pairs = op.rope || op.hadx;
    op.halves = VEC > 16 && (op.store || op.i32);
  end

  wire unused = &{1'b0, flags[7:3], flags[1]};
endmodule
