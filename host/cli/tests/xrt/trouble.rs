//! Trouble while a card is used: each kind ends in a clear error within its time limit, and leaves nothing.

use super::bench::Emulation;
use std::time::{Duration, Instant};

/// Runs against an emulated card with this trouble.
fn trouble(device: &[&str], run: &[&str], words: &[&str]) {
    let Some(emulation) = Emulation::new(&[&["--trouble"], device].concat()) else { return };
    emulation.run(run).fails(words);
}

#[test]
fn the_device_process_is_killed_in_a_run() {
    trouble(&["die"], &[], &["cannot run the program", "the device process", "has ended"]);
}

#[test]
fn a_run_that_never_ends() {
    let start = Instant::now();
    trouble(&["hang"], &["--limit", "2"], &["did not end within 2 s", "instructions in", "cycles"]);
    assert!(start.elapsed() < Duration::from_secs(120), "{:?}", start.elapsed());
}

#[test]
fn a_damaged_upload() {
    let words = ["upload was damaged", "1 bytes differ", "byte 32000 of m_axi_hbm_0", "0x7d00"];
    trouble(&["corrupt", "--at", "500"], &[], &words);
}

#[test]
fn a_damaged_upload_that_nobody_looks_for() {
    // The same damage goes through when it is not read back: the check above is what finds it.
    let Some(emulation) = Emulation::new(&["--trouble", "corrupt", "--at", "500"]) else { return };
    assert!(emulation.run(&["--no-verify"]).ok);
}

#[test]
fn buffers_that_are_refused() {
    trouble(&["refuse"], &[], &["allocated", "m_axi_hbm_1", "not in HBM[1]"]);
}

/// A bus error: the message names instruction, operation and layer, also in the loop over layers.
#[test]
fn bus_errors_name_instruction_and_layer() {
    // Beats of layer 0's gate projection, and of layer 2's, in each channel.
    let layer = |device: &[&str], layer: &str| {
        let words = ["AXI_READ", "channel 1", "MATW", layer, "gate_proj"];
        trouble(device, &[], &words);
    };
    layer(&["read-error", "--at", "500", "--port", "1"], "layer 0");
    layer(&["read-error", "--at", "3100", "--port", "1"], "layer 2");
}

#[test]
fn bus_errors_of_auxiliary_memory() {
    trouble(&["read-error", "--at", "0", "--port", "2"], &[], &["AXI_AUX", "instruction 0"]);
}

#[test]
fn a_memory_that_never_answers() {
    trouble(&["stall", "--port", "1"], &[], &["STALL", "the matrix unit waits for beats", "MATW", "layer 0"]);
}

#[test]
fn a_device_process_that_does_not_start() {
    let Some(emulation) = Emulation::new(&[]) else { return };
    let script = emulation.path("sim/launch_hw_emu.sh");
    std::fs::write(&script, "#!/bin/sh\nexit 3\n").unwrap();
    let start = Instant::now();
    emulation.run(&[]).fails(&["cannot open the card", "the device process", "has ended"]);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

/// The device process notices when its host is killed.
#[test]
fn a_host_that_is_killed() {
    let Some(emulation) = Emulation::new(&["--trouble", "hang"]) else { return };
    let mut host = emulation.start(&[], &[]);
    // It is in the run once the prompt is out.
    let mut out = host.stdout.take().unwrap();
    let mut byte = [0];
    std::io::Read::read_exact(&mut out, &mut byte).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    host.kill().unwrap();
    host.wait().unwrap();
    let _ = std::fs::remove_dir_all(emulation.path("run/.run"));
    emulation.nothing_left();
}
