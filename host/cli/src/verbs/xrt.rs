//! `accllm hw-emu` and `accllm xrt-device`.

use crate::args::{Card, HwEmu, MemoryArg, TroubleArg, XrtDevice};
use crate::out::Out;
use accllm_device::emulation::Folder;
use accllm_device::{Error, Result};
use accllm_device::{MemoryKind, Verilator, XrtOptions};
use accllm_hw::config::{BEAT_BYTES, open};
use accllm_hw::kernel::Kernel;
use accllm_sim::engine::EngineSpec;
use accllm_sim::memory::{Fault, Store};
use accllm_sim::xrt::{Board, Ended, Sockets, Trouble, serve};
use serde::Serialize;
use std::time::Duration;

#[derive(Serialize)]
struct Report {
    folder: String,
    config: String,
    xclbin: String,
    environment: String,
}

/// Writes a folder for hardware emulation.
pub fn hw_emu(args: &HwEmu, out: &Out) -> Result<()> {
    let config = open(&args.device.config)?;
    let program = std::env::current_exe()
        .map_err(|e| Error::Xrt(format!("cannot tell where the program accllm is: {e}")))?;
    let mut command = vec![program.display().to_string(), "xrt-device".into()];
    // The emulated card takes the folder's copy, so that it stays what the xclbin says.
    let copy = std::path::absolute(args.folder.join(format!("{}.toml", config.name)))
        .map_err(|e| Error::io("find", &args.folder, e))?;
    command.extend(args.device.words(&copy));
    let folder = Folder::write(&args.folder, &config, &command)?;
    accllm_device::output::write_whole(&copy, config.to_toml().as_bytes())?;
    let busy = out.busy("building the RTL");
    Verilator::build(&config)?;
    busy.finish_and_clear();
    let (environment, xclbin) = (folder.environment.display(), folder.xclbin.display());
    out.line(&format!("wrote {}", folder.path.display()))?;
    out.line(&format!("  . {environment}\n  accllm run --device xrt --config {}", args.device.config))?;
    out.report(&Report {
        folder: folder.path.display().to_string(),
        config: config.name.to_string(),
        xclbin: xclbin.to_string(),
        environment: environment.to_string(),
    })
}

/// Is the card of a host that XRT runs in hardware emulation.
pub fn device(args: &XrtDevice) -> Result<()> {
    let say = |text: &str| eprintln!("accllm xrt-device: {text}");
    let failed = |e: &dyn std::fmt::Display| Error::Xrt(format!("the emulated card: {e}"));
    let config = open(&args.config)?;
    let mut sockets = Sockets::connect().map_err(|e| failed(&e))?;
    let kernel = Kernel::new(&config);
    let design = EngineSpec::new(&config).design()?;
    let kind = args.memory.kind(args.memory_seed);
    let memories = kernel.masters.iter().enumerate().map(|(port, master)| {
        Ok(kind.model(
            Store::new(master.memory.bytes())?,
            port as u64,
            port == config.channels,
            config.mhz,
        )?)
    });
    let mut board = Board::new(&design, &kernel, memories.collect::<Result<_>>()?).map_err(|e| failed(&e))?;
    let mut trouble = Trouble::default();
    match args.trouble {
        None => {}
        Some(TroubleArg::Die) => trouble.die = true,
        Some(TroubleArg::Hang) => board.freeze(),
        Some(TroubleArg::Refuse) => trouble.refuse = true,
        Some(TroubleArg::Corrupt) => {
            trouble.corrupt = Some(kernel.masters[0].memory.base() + args.at * BEAT_BYTES as u64)
        }
        Some(TroubleArg::ReadError) => {
            let at = args.at * BEAT_BYTES as u64;
            board.memory_mut(args.port).inject(Fault::SlaveError(at..at + BEAT_BYTES as u64));
        }
        Some(TroubleArg::Stall) => {
            let channel = accllm_sim::memory::Channel::R;
            board.memory_mut(args.port).inject(Fault::Hang { channel, from_cycle: 0 });
        }
    }
    let ended = serve(&mut board, &mut sockets, trouble, &mut |text| say(text)).map_err(|e| failed(&e))?;
    if ended == Ended::HostGone {
        say("the host is gone without closing the card");
    }
    Ok(())
}

impl Card {
    /// The options that these arguments mean.
    pub fn options(&self) -> Result<XrtOptions> {
        let xclbin = self.xclbin.as_ref().ok_or_else(|| {
            Error::Argument(
                "--device xrt needs --xclbin FILE (or ACCLLM_XCLBIN): the one that `make xclbin` links for a card, or, \
                 for emulation, `. FOLDER/env.sh` of a folder written by `accllm hw-emu`"
                    .into(),
            )
        })?;
        let mut options = XrtOptions::new(xclbin);
        options.card.clone_from(&self.card);
        options.limit = self.limit.map(Duration::from_secs);
        options.verify = !self.no_verify;
        Ok(options)
    }
}

impl MemoryArg {
    /// The memory model of that name.
    pub fn kind(self, seed: u64) -> MemoryKind {
        match self {
            Self::Ideal => MemoryKind::Ideal,
            Self::Stalling => MemoryKind::Stalling(seed),
            Self::Hbm2 => MemoryKind::HBM2,
        }
    }
}
