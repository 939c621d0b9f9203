// Records shared by the engine's units. Does not hold configuration: that is module parameters.
package accllm_types_pkg;
  // Cycles from an address at vector memory or score buffer to its data: memory, its output register, selection.
  localparam int READ_LATENCY = 3;

  // Unit constants, set by SETC while all units are idle.
  typedef struct packed {
    logic [31:0] v_dim;
    logic [31:0] k_window;
    logic [31:0] score_row;
    logic [31:0] gqa;
    logic [31:0] sink_pad;
    logic [31:0] ring;
    logic [31:0] n_window;
    logic [31:0] n_sink;
    logic [31:0] hdp;
  } consts_t;

  // A unit's fault report: valid for one cycle or longer; the first one wins.
  typedef struct packed {
    logic        valid;
    logic [7:0]  code;
    logic [15:0] pc;
    logic [31:0] info;
  } fault_t;
endpackage
