// Records inside the vector unit: a decoded operation, and the values that set an operation up.
package accllm_vec_pkg;
  // One bit per operation, then its flags, then properties that several operations share.
  typedef struct packed {
    logic load, embed, sumsq, normq, rope, hadw, hadx, statk, statq;
    logic qk, qv, qq, softmax, attq, silu, radd, argmax, store;
    logic wide, i32, last_stage, anew;  // flags
    logic early, middle, late;  // results are ready after the operand, first product, second product stage
    logic to_vmem, to_act;  // destinations (others: scalars, channels, auxiliary memory, result registers)
    logic reads_a, reads_b;  // vector memory ports
    logic from_aux;
    logic heads;  // n counts heads; else elements
    logic by_row;  // a row for each query head of a KV head
    logic by_query;  // scalars of query heads
    logic pairs;  // two steps a word: element i, then i + distance
    logic halves;  // two steps a word: lower, upper half of its elements
  } vop_t;

  // Values of an operation that hold while it runs; loaded by `init`.
  typedef struct packed {
    logic [31:0] words;     // words of a row (head, half of a pair block, or everything)
    logic [31:0] rows;      // rows left, in units of `row_step`
    logic [31:0] row_step;
    logic [31:0] elements;  // for the mask of the last word; all ones: no mask
    logic [31:0] distance;  // between the words of a pair
    logic [39:0] scalar;    // first scalar of operations on heads
    logic [39:0] word_act;  // first activation word
    logic [31:0] score;     // first score word
  } vsetup_t;

  // Largest visible raw scores of a row, where any is visible.
  typedef struct packed {
    logic               window_seen;
    logic               sink_seen;
    logic signed [31:0] window;
    logic signed [31:0] sink;
  } vtop_t;
endpackage
