// Records inside the vector unit: a decoded operation, the values that set an operation up, and what goes down the
// pipeline beside the data.
package accllm_vec_pkg;
  import accllm_isa_pkg::uop_t;

  // One bit per operation, then its flags, then properties that several operations share.
  typedef struct packed {
    logic load, embed, sumsq, normq, rope, hadw, hadx, statk, statq;
    logic qk, qv, qq, softmax, attq, silu, radd, argmax, store;
    logic wide, i32, last_stage, anew;  // flags
    logic early, middle, late;  // results come from the operands, the first product, the second product
    logic queued;  // results pass through the result queue, because who takes them may have to wait
    logic to_vmem, to_act;  // destinations (others: scalars, channels, auxiliary memory, result registers)
    logic reads_a, reads_b;  // vector memory ports
    logic from_aux;
    logic heads;  // n counts heads; else elements
    logic by_row;  // a row for each query head of a KV head
    logic by_query;  // scalars of query heads
    logic by_head;  // reads scalars for each head
    logic multiplies;  // setup needs the product of two operands
    logic pairs;  // two steps a word: element i, then i + distance
    logic halves;  // two steps a word: lower, upper half of its elements
  } vop_t;

  // Values of an operation that hold while it runs.
  typedef struct packed {
    logic [31:0] words;     // words of a row (head, half of a pair block, or everything)
    logic [31:0] rows;      // rows left, in units of `row_step`
    logic [31:0] row_step;
    logic [31:0] elements;  // for the mask of the last word
    logic        endless;   // no mask
    logic [31:0] distance;  // between the words of a pair
    logic [31:0] jump;      // distance + 1
    logic [39:0] scalar;    // first scalar of operations on heads
    logic [39:0] word_act;  // first activation word
    logic [31:0] row_act;   // first lane row of operations on rows
    logic [31:0] score;     // first score word
    logic [39:0] scalar_1;  // scalars read before the loop
    logic [39:0] scalar_2;
    logic [31:0] beat;      // first beat of auxiliary memory
  } vsetup_t;

  // An operation that is set up and waits for its turn.
  typedef struct packed {
    uop_t        uop;
    vop_t        op;
    vsetup_t     setup;
    logic        empty;  // nothing to do
    logic        refused;  // it faults, with
    logic [7:0]  bad;    // this code, 0 = none
    logic [31:0] info;   // of the fault
  } vnext_t;

  // Stages of the pipeline: a record is in stage s when the data of that stage are in their registers.
  //   1 address  2, 3 memory  4 memory output  5 operands  6 to 8 operands of SILU, while its sigmoid is made: table, its output
  //   register, line  9 factors  10 partial products  11 product  12 shifted  13 bounded  14 partial products  15 second product
  //   16, 17 shifted  18 result
  // Early operations go from 5 to 15, middle ones from 13 to 18, SOFTMAX from 16 to 18; all but SILU from 5 to 9.
  localparam int ST_ADDRESS = 1;
  localparam int ST_MEMORY = 4;
  localparam int ST_OPERAND = 5;
  localparam int ST_EXTRA = 6;
  localparam int ST_SIGMOID = 8;
  localparam int ST_FACTOR = 9;
  localparam int ST_PARTIAL = 10;
  localparam int ST_PRODUCT = 11;
  localparam int ST_SHIFT = 12;
  localparam int ST_BOUND = 13;
  localparam int ST_PARTIAL_2 = 14;
  localparam int ST_PRODUCT_2 = 15;
  localparam int ST_SHIFT_2 = 16;
  localparam int ST_FINE = 17;
  localparam int ST_RESULT = 18;

  // What goes down the pipeline with a step.
  typedef struct packed {
    logic v;
    logic first;  // first step of a row
    logic last;   // last word of a row
    logic upper;  // second step of a word
    logic sink;   // SOFTMAX: the word lies in the sink region
    logic peak;   // SOFTMAX: for the row's maximum only, without results
  } tag_t;

  // Who has a copy of what begins an operation, and of its record: control, where steps come from, the lanes, the activation
  // buffer, everyone after the queue.
  localparam int INIT_CONTROL = 0;
  localparam int INIT_SOURCE = 1;
  localparam int INIT_LANES = 2;
  localparam int INIT_ACT = 3;
  localparam int INIT_RESULTS = 4;
  localparam int INITS = 5;

  // Who has a copy of the decision that a step is made: control and the queue, the addresses, the score rows.
  localparam int STEP_CONTROL = 0;
  localparam int STEP_WORDS = 1;
  localparam int STEP_ROWS = 2;
  localparam int STEPS = 3;

  // Limits of a saturation.
  typedef struct packed {
    logic signed [31:0] low;
    logic signed [31:0] high;
  } bounds_t;
  localparam bounds_t BOUNDS_ZERO = '{low: 32'sd0, high: 32'sd0};
  localparam bounds_t BOUNDS_INT4 = '{low: -32'sd8, high: 32'sd7};
  localparam bounds_t BOUNDS_QUERY = '{low: -32'sd127, high: 32'sd127};
  localparam bounds_t BOUNDS_INT8 = '{low: -32'sd128, high: 32'sd127};
  localparam bounds_t BOUNDS_INT16 = '{low: -32'sd32768, high: 32'sd32767};
  localparam bounds_t BOUNDS_SILU = '{low: -32'sd524288, high: 32'sd522239};  // 255 * 2^11 - 1
  localparam bounds_t BOUNDS_RESIDUAL = '{low: -32'sd33554432, high: 32'sd33554431};  // 26 bits
  localparam bounds_t BOUNDS_INT32 = '{low: 32'sh8000_0000, high: 32'sh7fff_ffff};

  // Constants of the lanes' arithmetic while an operation runs.
  typedef struct packed {
    bounds_t     bounds;    // after the first product
    bounds_t     bounds_2;  // of the results
    logic [5:0]  shift_2;   // before it; EMBED: 31 less the shift to the left
    logic        modular;   // EMBED: no saturation of the result
    logic [15:0] gain;      // ATTQ: second factor
  } vconst_t;

  // Scalars of the head, row or operation whose step is in the memory output stage.
  typedef struct packed {
    logic [15:0]        base;
    logic [5:0]         shift;        // after the first product
    logic signed [25:0] factor;
    logic signed [25:0] factor_sink;  // SOFTMAX: of words in the sink region
  } vscalar_t;

  // Largest visible raw scores of a row, where any is visible.
  typedef struct packed {
    logic               window_seen;
    logic               sink_seen;
    logic signed [31:0] window;
    logic signed [31:0] sink;
  } vtop_t;

  // An entry of the result queue beside the elements.
  typedef struct packed {
    logic        first;
    logic        last;
    logic        upper;
    logic [31:0] param;  // QK: base and scale of the head
  } vresult_t;
endpackage
