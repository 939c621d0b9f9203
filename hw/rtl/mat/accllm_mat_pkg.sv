// Records and sizes inside the matrix unit.
package accllm_mat_pkg;
  // How the values of a beat are stored (the code in MATW's flags; K and V are FOUR).
  typedef enum logic [1:0] {
    SPARSE = 2'd0,
    DENSE  = 2'd1,
    FOUR   = 2'd2
  } format_t;

  // What becomes of the sums.
  typedef enum logic [1:0] {
    KIND_W = 2'd0,  // row requantization, one result a row
    KIND_K = 2'd1,  // scores, one or two results a lane row, all lanes at once
    KIND_V = 2'd2   // four dims a row, saturated
  } kind_t;

  // One operation, as both walkers (mat_issue, mat_drain) keep it.
  typedef struct packed {
    logic [31:0] seq;
    logic [15:0] pc;
    kind_t       kind;
    format_t     format;
    logic        wide;
    logic        pair;    // K: two tokens a beat
    logic        empty;   // nothing to do
    logic        illegal; // a format or head dimension that does not exist
    logic        fault;   // that, more lane rows than there are, or places that are not aligned
    logic [31:0] steps;
    logic [31:0] beats;   // value beats of a step
    logic [31:0] b;
    logic [31:0] c;
    logic [31:0] aux;
    logic [7:0]  x;
    logic [15:0] rows;    // physical lane rows
    logic [15:0] lsteps;  // lane-row steps
    logic        one_step;
    logic        one_beat;
    logic        one_lstep;
  } mat_op_t;

  // Operations in flight, and parameter beats that a tile holds.
  localparam int SLOTS = 4;
  localparam int BANKS = 4;

  // Widest accumulator entry number and lane number in the records below; a design uses $clog2 of its own sizes.
  localparam int ENTRY_BITS = 8;
  localparam int LANE_BITS = 4;

  // What a tile does with a beat (and with the activation word one stage later); comes one cycle before the beat.
  typedef struct packed {
    logic       param;   // a parameter beat, kept in `bank`
    logic [1:0] bank;
    logic       scale;   // a scale beat
    logic [2:0] index;   // of the value beat after its scale beat
    logic       decode;  // a value beat: take its weights
    format_t    format;
    logic       half;
    logic       unit;    // no group scales, no exponents (K, V)
    logic       valid;   // multiply
  } step_t;

  // Where a tile accumulates a step's sums; comes one cycle before they are added.
  typedef struct packed {
    logic                  valid;
    logic                  first;  // the entry starts from 0
    logic [ENTRY_BITS-1:0] entry;
  } acc_t;

  // Which sums a tile reads and what it makes of them; comes one cycle before the read.
  typedef struct packed {
    logic                  valid;
    kind_t                 kind;
    logic [ENTRY_BITS-1:0] entry;
    logic [LANE_BITS-1:0]  lane;   // of a row; wide: the lane of the low half
    logic [1:0]            bank;   // of the parameter word
    logic [3:0]            param;  // the parameter word
    logic                  wide;
    logic                  pair;
  } drain_t;

  // Where the results of all tiles go.
  typedef struct packed {
    kind_t                      kind;
    logic                       pair;
    logic [1:0]                 word;   // V: which vector word of the row
    logic [2**LANE_BITS-1:0]    lanes;  // K: lanes with rows
    logic [31:0]                addr;
    logic [31:0]                seq;
  } place_t;
endpackage
