// Decodes opcode and flags into the vector unit's own record. Looks at the five bits in which vector operations differ; does
// not check that it is one, nor look at operands.
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
    op.load = code[4:0] == OP_LOAD[4:0];
    op.embed = code[4:0] == OP_EMBED[4:0];
    op.sumsq = code[4:0] == OP_SUMSQ[4:0];
    op.normq = code[4:0] == OP_NORMQ[4:0];
    op.rope = code[4:0] == OP_ROPE[4:0];
    op.hadw = code[4:0] == OP_HADW[4:0];
    op.hadx = code[4:0] == OP_HADX[4:0];
    op.statk = code[4:0] == OP_STATK[4:0];
    op.statq = code[4:0] == OP_STATQ[4:0];
    op.qk = code[4:0] == OP_QK[4:0];
    op.qv = code[4:0] == OP_QV[4:0];
    op.qq = code[4:0] == OP_QQ[4:0];
    op.softmax = code[4:0] == OP_SOFTMAX[4:0];
    op.attq = code[4:0] == OP_ATTQ[4:0];
    op.silu = code[4:0] == OP_SILU[4:0];
    op.radd = code[4:0] == OP_RADD[4:0];
    op.argmax = code[4:0] == OP_ARGMAX[4:0];
    op.store = code[4:0] == OP_STORE[4:0];
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

  wire unused = &{1'b0, code[7:5], flags[7:3], flags[1]};
endmodule
