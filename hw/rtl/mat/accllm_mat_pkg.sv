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
  } mat_op_t;

  // Operations in flight, and parameter beats that a tile holds.
  localparam int SLOTS = 4;
  localparam int BANKS = 4;
endpackage
