//! Cards, xclbins and environments that do not fit are refused by name, before anything runs.

use super::bench::{Emulation, arg};
use accllm_hw::config::find;
use accllm_hw::kernel::Kernel;
use accllm_hw::kernel::xclbin::Xclbin;
use accllm_hw::regs::CONTRACT_VERSION;
use std::fs;

/// Runs with a changed simulation xclbin.
fn changed(change: impl FnOnce(&mut Xclbin), words: &[&str]) {
    let Some(emulation) = Emulation::new(&[]) else { return };
    let mut xclbin = Xclbin::new(&Kernel::new(find("tiny").unwrap()));
    change(&mut xclbin);
    fs::write(emulation.xclbin(), xclbin.to_bytes()).unwrap();
    emulation.run(&[]).fails(words);
}

#[test]
fn xclbins_that_are_missing_or_damaged() {
    let Some(emulation) = Emulation::new(&[]) else { return };
    let file = emulation.xclbin();
    let whole = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    emulation.run(&[]).fails(&["cannot read the xclbin", "accllm_tiny.xclbin"]);
    let mut huge = whole.clone();
    huge[304] ^= 1;
    for bytes in [&b""[..], b"not an xclbin", &whole[..whole.len() / 2], &whole[..460], &huge] {
        fs::write(&file, bytes).unwrap();
        emulation.run(&[]).fails(&["no usable xclbin", "accllm_tiny.xclbin"]);
    }
    emulation.run_with(&[], &[("ACCLLM_XCLBIN", None)]).fails(&["--xclbin", "hw-emu"]);
}

#[test]
fn an_xclbin_of_another_kernel() {
    let edge = Kernel::new(find("edge").unwrap());
    changed(|x| *x = Xclbin::new(&edge), &["accllm_edge", "needs accllm_tiny"]);
}

#[test]
fn an_xclbin_of_another_contract() {
    // Other argument offsets.
    let words = ["argument 4 of the kernel is write_high", "0x24", "0x20", "package and link it again"];
    changed(|x| x.kernel.args[4].offset += 4, &words);
    // Another number of arguments.
    changed(|x| x.kernel.args.truncate(20), &["takes 20 arguments", "gives 27"]);
    // Another version of the package.
    let Some(emulation) = Emulation::new(&[]) else { return };
    let text = fs::read(emulation.xclbin()).unwrap();
    let version = format!("RTLKernel:accllm_tiny:{CONTRACT_VERSION}.");
    let at = text.windows(version.len()).position(|w| w == version.as_bytes()).unwrap() + version.len() - 2;
    let mut old = text;
    old[at] = b'1';
    fs::write(emulation.xclbin(), old).unwrap();
    emulation.run(&[]).fails(&["of contract 1.0", &format!("this program of {CONTRACT_VERSION}.0")]);
}

/// The xclbin says one thing, the kernel on the card another.
#[test]
fn a_kernel_that_is_not_what_the_xclbin_says() {
    let Some(emulation) = Emulation::new(&["--config", "edge"]) else { return };
    fs::write(emulation.xclbin(), Xclbin::new(&Kernel::new(find("tiny").unwrap())).to_bytes()).unwrap();
    emulation.run(&[]).fails(&["VERSION 0x0404", "4 channels, 4 lanes", "2 channels, 2 lanes"]);
}

#[test]
fn another_platform() {
    let words = ["the card is xilinx_u280_gen3x16", "the xclbin is for xilinx_u50_gen3x16"];
    changed(|x| x.platform = "xilinx_u50_gen3x16_xdma_5_202210_1".into(), &words);
}

#[test]
fn wrong_memory_topology() {
    let pointer = |x: &Xclbin, m: usize| {
        let arg = x.kernel.pointer(m).unwrap();
        x.connections.iter().position(|(a, _)| *a == arg).unwrap()
    };
    let connect = |m: usize, bank: usize| {
        move |x: &mut Xclbin| {
            let i = pointer(x, m);
            x.connections[i].1 = bank;
        }
    };
    changed(connect(1, 32), &["m_axi_hbm_1 is connected to DDR[0]", "belongs to HBM[1]", "link.cfg"]);
    changed(connect(1, 0), &["m_axi_hbm_1 is connected to HBM[0] like m_axi_hbm_0"]);
    changed(connect(2, 77), &["m_axi_aux is connected to no memory", "DDR[0]"]);
    let cut = |x: &mut Xclbin| {
        let i = pointer(x, 0);
        x.connections.remove(i);
    };
    changed(cut, &["m_axi_hbm_0 is connected to no memory"]);
    changed(|x| x.banks[1].bytes = 4 << 10, &["HBM[1] of 4096 bytes", "the program needs"]);
}

#[test]
fn environments() {
    let Some(emulation) = Emulation::new(&[]) else { return };
    let run = |change: &[(&str, Option<&str>)], words: &[&str]| emulation.run_with(&[], change).fails(words);
    run(&[("XILINX_XRT", None)], &["XILINX_XRT is not set", "env.sh"]);
    run(&[("USER", None)], &["USER is not set"]);
    run(&[("XCL_EMULATION_MODE", Some("sw_emu"))], &["sw_emu", "hw_emu"]);
    run(
        &[("ACCLLM_XRT", Some("/no/such/library.so"))],
        &["XRT is not installed", "/no/such/library.so", "libxrt1"],
    );
    run(&[("ACCLLM_XRT", Some("libc.so.6"))], &["libc.so.6", "no version of XRT", "xrtDeviceOpen"]);
    emulation.run(&["--card", "7"]).fails(&["card 7", "the card is"]);
    emulation.run(&["--card", "0000:ff:00.1"]).fails(&["open card '0000:ff:00.1'"]);
    emulation.run(&["--lockstep"]).fails(&["--lockstep", "golden or verilator"]);
}

/// A program for another configuration than the card's.
#[test]
fn a_program_of_another_configuration() {
    let Some(emulation) = Emulation::new(&[]) else { return };
    let xclbin = emulation.xclbin();
    let args = ["run", "--device", "xrt", "--config", "edge", "--xclbin", arg(&xclbin)];
    emulation.verb(&args).fails(&["accllm_tiny", "needs accllm_edge"]);
}

/// A configuration from a file: its program runs on its card, which keeps a copy of the file. After a change of the file
/// the program's kernel has the card's name and other parameters: the first one is named.
#[test]
fn a_kernel_of_another_configuration_of_that_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    let tiny = find("tiny").unwrap().to_toml();
    fs::write(&file, &tiny).unwrap();
    let Some(emulation) = Emulation::new(&["--config", arg(&file)]) else { return };
    let xclbin = emulation.path("accllm_mine.xclbin");
    let args = [
        "run",
        "--device",
        "xrt",
        "--config",
        arg(&file),
        "--xclbin",
        arg(&xclbin),
        "--tokens",
        "2",
        "--json",
    ];
    emulation.verb(&args).json();
    fs::write(&file, tiny.replace("fifo = 64", "fifo = 128")).unwrap();
    emulation
        .verb(&args)
        .fails(&["its fifo is 64, the program's 128", "compile for the card's configuration"]);
    fs::write(&file, tiny.replace("channels = 2", "channels = 4")).unwrap();
    emulation.verb(&args).fails(&["its channels is 2, the program's 4"]);
}
