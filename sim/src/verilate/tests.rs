//! End-to-end tests: they need the Verilator that `make verilator` installs and a C++ compiler.

use super::*;
use std::error::Error;
use std::path::PathBuf;

type Outcome = Result<(), Box<dyn Error>>;

const PROBE: &str = r#"
module probe #(parameter int WIDTH = 96, parameter int LANES = 2) (
    input  logic             clk,
    input  logic             rst_n,
    input  logic [WIDTH-1:0] wide_in,
    output logic [WIDTH-1:0] wide_out,
    input  logic [7:0]       lane_in  [LANES],
    output logic [WIDTH-1:0] lane_out [LANES][2],
    input  logic [63:0]      command,
    output logic [32:0]      odd__name,
    output logic [11:0]      count
);
    always_ff @(posedge clk) begin
        wide_out <= wide_in + 1;
        odd__name <= {1'b1, command[31:0]};
        count <= rst_n ? count + 12'd1 : '0;
        for (int i = 0; i < LANES; i++) begin
            lane_out[i][0] <= wide_in ^ WIDTH'(lane_in[i]);
            lane_out[i][1] <= WIDTH'(command);
        end
        if (command == 70) $fatal(1, "seventy is fatal");
        if (command == 71) $stop;
        if (command == 72) $finish;
        if (command == 73) $display("hello %0d", count);
    end
    a_no_nine: assert property (@(posedge clk) disable iff (!rst_n) command != 9)
        else $error("command was nine at count %0d", count);
endmodule
"#;

const TICK: &str = "
module tick (input logic clk, input logic [31:0] step, output logic [31:0] total);
    always_ff @(posedge clk) total <= total + step;
endmodule
";

/// Writes a source into a folder of its own for the life of the test process.
pub(crate) fn source(name: &str, text: &str) -> Result<PathBuf, std::io::Error> {
    let dir = std::env::temp_dir().join("accllm-verilate-tests");
    std::fs::create_dir_all(&dir)?;
    let path = dir.join(format!("{name}.sv"));
    let fresh = dir.join(format!("{name}.{}.{:?}", std::process::id(), std::thread::current().id()));
    std::fs::write(&fresh, text)?;
    std::fs::rename(&fresh, &path)?;
    Ok(path)
}

fn probe() -> Result<VerilateSpec, std::io::Error> {
    Ok(VerilateSpec::new("probe", [source("probe", PROBE)?])
        .opt(OptLevel::Quick)
        .param("WIDTH", 512)
        .param("LANES", 3))
}

#[test]
fn ports_of_every_shape() -> Outcome {
    let mut m = probe()?.build()?;
    let wide_in = m.port_shaped("wide_in", 512, 1)?;
    let wide_out = m.port_shaped("wide_out", 512, 1)?;
    let lane_in = m.port_shaped("lane_in", 8, 3)?;
    let lane_out = m.port_shaped("lane_out", 512, 6)?;
    let (command, odd, count) = (m.port("command")?, m.port("odd__name")?, m.port("count")?);
    assert_eq!(m.info(wide_out).direction, Direction::Output);
    for (i, w) in m.words_mut(wide_in, 0).iter_mut().enumerate() {
        *w = 0x1111_1111 * i as u32;
    }
    m.words_mut(wide_in, 0)[0] = u32::MAX;
    for i in 0..3 {
        m.set_u64_at(lane_in, i, 0x100 + 0x11 * i as u64);
    }
    m.set_u64(command, 0x0123_4567_89ab_cdef);
    m.cycle()?;
    assert_eq!(m.words(wide_out, 0)[..3], [0, 0x1111_1112, 0x2222_2222]);
    assert_eq!(m.words(wide_out, 0)[15], 0xffff_ffff);
    for i in 0..3 {
        assert_eq!(m.words(lane_out, 2 * i)[0], !(0x11 * i as u32), "bits beyond a port are dropped");
        assert_eq!(m.get_u64_at(lane_out, 2 * i + 1), 0x0123_4567_89ab_cdef);
    }
    assert_eq!(m.get_u64(odd), 0x1_89ab_cdef);
    m.set_u64(wide_in, 5);
    m.cycle()?;
    assert_eq!((m.words(wide_out, 0)[0], m.words(wide_out, 0)[15]), (6, 0));
    assert_eq!(m.get_u64(count), 0);
    assert!(matches!(m.port("nothing"), Err(SimError::NoPort { .. })));
    assert!(matches!(m.port_shaped("count", 13, 1), Err(SimError::PortShape { found_bits: 12, .. })));
    Ok(())
}

#[test]
fn failures_become_errors() -> Outcome {
    let mut m = probe()?.build()?;
    let (command, rst_n, count) = (m.port("command")?, m.port("rst_n")?, m.port("count")?);
    m.cycles(3)?;
    m.set_u64(rst_n, 1);
    m.cycles(4)?;
    m.set_u64(command, 9);
    let Err(SimError::Failed { cycle, text, .. }) = m.cycles(100) else {
        return Err("the assertion did not fail".into());
    };
    assert_eq!(cycle, 7, "{text}");
    assert!(text.contains("a_no_nine") && text.contains("command was nine at count 4"), "{text}");
    for (value, want) in [(70, "seventy is fatal"), (71, "$stop")] {
        m.set_u64(command, value);
        let error = m.cycle().err().ok_or("no failure")?.to_string();
        assert!(error.contains(want), "{error}");
    }
    m.set_u64(command, 73);
    m.cycle()?;
    assert_eq!(m.take_output(), "hello 7\n");
    assert_eq!(m.get_u64(count), 8, "a failed model can go on");
    m.set_u64(command, 72);
    m.cycles(50)?;
    assert!(m.finished());
    assert_eq!(m.get_u64(count), 9, "$finish ends the run");
    m.run_final()?;
    Ok(())
}

#[test]
fn models_are_independent() -> Outcome {
    let design = probe()?.load()?;
    let other = probe()?.param("WIDTH", 64).asserts(false).build();
    // The last value of a parameter counts; a different key must give a different library.
    let mut other = other?;
    let (mut a, mut b) = (design.model()?, design.model()?);
    let (rst_a, cmd_a, count_a) = (a.port("rst_n")?, a.port("command")?, a.port("count")?);
    let (rst_b, count_b) = (b.port("rst_n")?, b.port("count")?);
    a.cycle()?;
    b.cycle()?;
    a.set_u64(rst_a, 1);
    b.set_u64(rst_b, 1);
    a.cycles(5)?;
    b.cycles(2)?;
    a.set_u64(cmd_a, 9);
    assert!(a.cycle().is_err());
    b.cycle()?;
    assert_eq!((a.get_u64(count_a), b.get_u64(count_b)), (6, 3));
    assert_eq!((a.time(), b.time()), (7, 4));
    let (cmd, rst) = (other.port_shaped("command", 64, 1)?, other.port("rst_n")?);
    other.port_shaped("wide_in", 64, 1)?;
    other.set_u64(rst, 1);
    other.set_u64(cmd, 9);
    other.cycles(3)?;
    let moved = std::thread::spawn(move || {
        drop(a);
        b.cycles(3).map(|()| b.get_u64(count_b))
    });
    assert_eq!(moved.join().map_err(|_| "the thread panicked")??, 6);
    Ok(())
}

#[test]
fn bad_input_is_explained() -> Outcome {
    let broken =
        source("broken", "module broken (input logic clk);\n  assign nothing = clk + ;\nendmodule\n")?;
    let error = VerilateSpec::new("broken", [broken]).build().err().ok_or("built")?.to_string();
    assert!(error.contains("broken.sv:2") && error.contains("syntax error"), "{error}");
    let error = VerilateSpec::new("x", ["no/such/file.sv"]).build().err().ok_or("built")?.to_string();
    assert!(error.contains("file.sv"), "{error}");
    assert!(matches!(VerilateSpec::new("a b", ["x.sv"]).build(), Err(VerilateError::Spec { .. })));
    let comb = source("comb", "module comb (input logic a, output logic b); assign b = !a; endmodule\n")?;
    let mut m = VerilateSpec::new("comb", [comb]).opt(OptLevel::Quick).build()?;
    assert!(matches!(m.cycle(), Err(SimError::NoClock { .. })));
    let b = m.port("b")?;
    m.eval()?;
    assert_eq!(m.get_u64(b), 1);
    Ok(())
}

#[test]
fn a_loop_that_never_settles_is_fatal() -> Outcome {
    let text = "/* verilator lint_off UNOPTFLAT */ /* verilator lint_off ALWCOMBORDER */\n\
                module osc (input logic clk, input logic on, output logic q);\n always_comb q = on ? !q : 1'b0;\nendmodule\n";
    let mut m = VerilateSpec::new("osc", [source("osc", text)?]).opt(OptLevel::Quick).build()?;
    let on = m.port("on")?;
    m.cycle()?;
    m.set_u64(on, 1);
    let error = m.cycle();
    assert!(matches!(&error, Err(SimError::Fatal { text, .. }) if text.contains("converge")), "{error:?}");
    assert!(matches!(m.eval(), Err(SimError::Fatal { .. })), "it stays dead");
    Ok(())
}

#[test]
fn waves_are_written_or_the_packages_named() -> Outcome {
    let spec = VerilateSpec::new("tick", [source("tick", TICK)?]).opt(OptLevel::Quick);
    let mut plain = spec.build()?;
    let path = std::env::temp_dir().join(format!("accllm-tick-{}.fst", std::process::id()));
    let error = plain.trace_open(&path).err().ok_or("opened")?.to_string();
    assert!(error.contains("trace_fst"), "{error}");
    match spec.trace_fst(true).build() {
        Err(VerilateError::NoTraceHeaders) => eprintln!("not tested: {}", VerilateError::NoTraceHeaders),
        other => {
            let mut m = other?;
            m.trace_open(&path)?;
            m.cycles(20)?;
            m.trace_close()?;
            assert!(std::fs::metadata(&path)?.len() > 100);
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Prints build time and speed: `cargo test -p accllm-sim --release -- --ignored --nocapture speed`.
#[test]
#[ignore = "a measurement, not a check"]
fn speed_of_a_trivial_design() -> Outcome {
    let start = std::time::Instant::now();
    let mut m = VerilateSpec::new("tick", [source("tick", TICK)?]).asserts(false).build()?;
    println!("load {:.2} s", start.elapsed().as_secs_f64());
    let (step, total) = (m.port("step")?, m.port("total")?);
    m.set_u64(step, 3);
    let n = 20_000_000u32;
    let start = std::time::Instant::now();
    m.cycles(u64::from(n))?;
    println!("cycles(n): {:.1} M cycles/s", f64::from(n) / start.elapsed().as_secs_f64() / 1e6);
    let start = std::time::Instant::now();
    let mut sum = 0;
    for i in 0..n {
        m.set_u64(step, u64::from(i & 7));
        m.cycle()?;
        sum ^= m.get_u64(total);
    }
    println!("set, cycle, get: {:.1} M cycles/s ({sum})", f64::from(n) / start.elapsed().as_secs_f64() / 1e6);
    Ok(())
}
