// Phases of a run: flush what a stopped run left behind, load the program, run, and after a fault stop the units and wait
// for outstanding traffic, but no longer than the watchdog allows. Every run ends with one `done`, a few cycles after the
// sequencer's end, so that a fault that is on its way is not lost.
// Does not decide what a fault is.
module run_control
  import accllm_ctrl_pkg::*;
(
    input  logic   clk,
    input  logic   rst,
    input  logic   start,
    input  logic   load,              // a program is to be loaded
    input  logic   load_done,
    input  logic   finished,          // the sequencer reached END
    input  logic   hit,               // a fault is held
    input  logic   drained,           // no traffic is outstanding
    input  logic   expired,           // of the watchdog
    output phase_t phase,
    output logic   begin_run,         // pulse with which a run begins
    output logic   clear,             // pulse: units return to idle
    output logic   load_start,
    output logic   seq_start,
    output logic   watchdog_restart,
    output logic   done
);
  // Units see `clear` in the third cycle of a phase and answer with `drained` from the fifth one on.
  logic [2:0] age;
  logic [3:0] ended;  // the sequencer reached END so many cycles ago
  wire settled = age == 3'd4;
  wire faulted = hit && (phase == PHASE_FLUSH || phase == PHASE_LOAD || phase == PHASE_RUN);
  wire flushed = phase == PHASE_FLUSH && settled && drained;

  assign begin_run = phase == PHASE_IDLE && start;
  assign load_start = flushed && load && !hit;
  assign seq_start = !hit && ((flushed && !load) || (phase == PHASE_LOAD && load_done));
  assign watchdog_restart = phase == PHASE_IDLE || age == 0;
  assign done = phase == PHASE_FINISH;

  always_ff @(posedge clk) begin
    clear <= (phase == PHASE_FLUSH || phase == PHASE_ABORT) && age == 0 && !rst;
    if (rst) begin
      phase <= PHASE_IDLE;
      age   <= '0;
      ended <= '0;
    end else begin
      if (!settled) age <= age + 3'd1;
      ended <= phase == PHASE_RUN ? {ended[2:0], finished} : '0;
      unique case (phase)
        PHASE_IDLE: begin
          age <= '0;
          if (start) phase <= PHASE_FLUSH;
        end
        PHASE_FLUSH:
        if (settled && drained) begin  // a fault comes first, below
          phase <= load ? PHASE_LOAD : PHASE_RUN;
          age   <= '0;
        end
        PHASE_LOAD:
        if (load_done) begin
          phase <= PHASE_RUN;
          age   <= '0;
        end
        PHASE_RUN: if (ended[3]) phase <= PHASE_FINISH;
        PHASE_ABORT: if (settled && (drained || expired)) phase <= PHASE_FINISH;
        default: phase <= PHASE_IDLE;
      endcase
      if (faulted) begin
        phase <= PHASE_ABORT;
        age   <= '0;
      end
      assert (!finished || phase == PHASE_RUN || hit) else $error("the sequencer ends outside a run");
    end
  end
endmodule
