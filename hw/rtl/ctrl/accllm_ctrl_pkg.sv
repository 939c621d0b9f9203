// Records inside the control part: what the sequencer hands to the issue queues, and the host's settings.
package accllm_ctrl_pkg;
  import accllm_isa_pkg::uop_t;
  import accllm_isa_pkg::SEMAPHORES;

  // An operation with its synchronization. Semaphore 0 is none.
  typedef struct packed {
    logic [3:0] sig1;
    logic [3:0] sig0;
    logic [3:0] wait1;
    logic [3:0] wait0;
    uop_t       uop;
  } op_t;

  // An operation ends, and a semaphore is to be raised: its number, 0 for none, also as one bit each; and the instruction.
  typedef struct packed {
    logic                valid;
    logic [SEMAPHORES:1] which;
    logic [3:0]          index;
    logic [15:0]         pc;
  } raise_t;

  // Settings of the host that do not depend on the configuration; channel bases are a separate array.
  typedef struct packed {
    logic [63:0] aux_base;
    logic [31:0] watchdog;
    logic [31:0] aux_write_high;
    logic [31:0] aux_write_low;
    logic [31:0] aux_limit;
    logic [31:0] write_high;
    logic [31:0] write_low;
    logic [31:0] channel_limit;
    logic [31:0] program_len;
    logic [31:0] program_addr;
  } settings_t;

  // Phases of a run.
  typedef enum logic [2:0] {
    PHASE_IDLE,
    PHASE_FLUSH,
    PHASE_LOAD,
    PHASE_RUN,
    PHASE_ABORT,
    PHASE_FINISH
  } phase_t;

  localparam int COUNTERS = 16;

  // What the counters count in this cycle, beside what the control part sees itself.
  typedef struct packed {
    logic       mat_busy;
    logic       mat_stall_stream;
    logic       mat_stall_out;
    logic [5:0] beats_read;
    logic [5:0] beats_written;
    logic       aux_read;
    logic       aux_written;
  } events_t;

  // Bits of FAULT_INFO of a STALL fault; bits 31:16 hold the first channel without a beat when STALL_STREAM is set.
  localparam int STALL_MAT_WAITS = 0;  // the next matrix operation waits for a semaphore
  localparam int STALL_MAT_RUNS = 1;
  localparam int STALL_VEC_WAITS = 2;
  localparam int STALL_VEC_RUNS = 3;
  localparam int STALL_PRE_WAITS = 4;
  localparam int STALL_PRE_RUNS = 5;
  localparam int STALL_STREAM = 6;  // the matrix unit waits for beats
  localparam int STALL_LOAD = 7;  // the program is being loaded
  localparam int STALL_FLUSH = 8;  // traffic of the run before does not end
endpackage
