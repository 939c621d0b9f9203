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

  // Two weights as tile_group keeps them: w + 8, and the shift (0, 8, 32, 40) that brings each one's column down.
  typedef struct packed {
    logic [3:0] w1;
    logic [3:0] w0;
    logic [5:0] s1;
    logic [5:0] s0;
  } code_t;
  typedef logic [19:0] sparse_t[128];
  typedef logic [19:0] dense_t[16];

  // Codes of the 7 bits of a 2:4 group (docs/formats.md).
  function automatic sparse_t sparse_codes();
    for (int i = 0; i < 128; i++) begin
      int pattern, first, second;
      pattern = i % 8;
      first = pattern < 3 ? 0 : pattern < 5 ? 1 : 2;
      second = pattern < 3 ? pattern + 1 : pattern == 3 ? 2 : 3;
      sparse_codes[i] = {4'(8 + (i / 32 < 2 ? i / 32 - 2 : i / 32 - 1)),
                         4'(8 + (i / 8 % 4 < 2 ? i / 8 % 4 - 2 : i / 8 % 4 - 1)),
                         6'(second / 2 * 32 + second % 2 * 8), 6'(first / 2 * 32 + first % 2 * 8)};
    end
  endfunction
  // Codes of two dense 2-bit values.
  function automatic dense_t dense_codes();
    for (int i = 0; i < 16; i++) begin
      dense_codes[i] = {4'(8 + 2 * (i / 4) - 3), 4'(8 + 2 * (i % 4) - 3), 6'd8, 6'd0};
    end
  endfunction
  localparam sparse_t SPARSE_CODES = sparse_codes();
  localparam dense_t DENSE_CODES = dense_codes();

  // Operations in flight, and parameter beats that a tile holds.
  localparam int SLOTS = 4;
  localparam int BANKS = 4;
endpackage
