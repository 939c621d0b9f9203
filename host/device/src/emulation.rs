//! Folders with which XRT's hardware emulation runs the Verilated engine: environment, simulation xclbin, and the script
//! by which XRT starts the device process. See `docs/xrt.md`.

use crate::{Error, Result, output};
use accllm_hw::config::Config;
use accllm_hw::kernel::xclbin::Xclbin;
use accllm_hw::kernel::{DDR_BANKS, Kernel, PLATFORM};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The library that XRT loads in emulation.
const SHIM: &str = "libxrt_hwemu.so.2";

/// Files of a folder.
pub struct Folder {
    /// The folder, absolute.
    pub path: PathBuf,
    /// The simulation xclbin.
    pub xclbin: PathBuf,
    /// Shell script that sets the environment.
    pub environment: PathBuf,
}

impl Folder {
    /// Writes the files to `path`, which is created. `device` is the command that XRT runs as the device process.
    ///
    /// # Errors
    /// XRT's emulation is not installed, or a file cannot be written.
    pub fn write(path: &Path, config: &Config, device: &[String]) -> Result<Self> {
        let library = library()?;
        make_folder(path)?;
        let path = fs::canonicalize(path).map_err(|e| Error::io("find", path, e))?;
        let kernel = Kernel::new(config);
        let folder = Self {
            xclbin: path.join(format!("{}.xclbin", kernel.name)),
            environment: path.join("env.sh"),
            path,
        };
        let (sim, run) = (folder.path.join("sim"), folder.path.join("run"));
        make_folder(&sim)?;
        make_folder(&run)?;
        let link = folder.path.join("lib");
        if !link.is_dir() {
            std::os::unix::fs::symlink(&library, &link).map_err(|e| Error::io("write", &link, e))?;
        }
        output::write_whole(&folder.xclbin, &Xclbin::new(&kernel).to_bytes())?;
        output::write_whole(&folder.path.join("emconfig.json"), card().as_bytes())?;
        output::write_whole(&folder.path.join("xrt.ini"), settings(&sim).as_bytes())?;
        output::write_whole(&folder.environment, folder.variables(&run).as_bytes())?;
        let script = sim.join("launch_hw_emu.sh");
        let command: Vec<_> = device.iter().map(|word| quoted(word)).collect();
        let text = format!("#!/bin/sh\n# XRT runs this as the device process.\nexec {}\n", command.join(" "));
        output::write_whole(&script, text.as_bytes())?;
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&script, executable).map_err(|e| Error::io("make executable", &script, e))?;
        Ok(folder)
    }

    fn variables(&self, run: &Path) -> String {
        let path = |p: &Path| quoted(&p.display().to_string());
        format!(
            "# XRT's hardware emulation with the Verilated engine as the card: `. {}`\n\
             export XILINX_XRT={root}\nexport XCL_EMULATION_MODE=hw_emu\nexport XRT_INI_PATH={ini}\n\
             export EMCONFIG_PATH={root}\nexport SDACCEL_EM_RUN_DIR={run}\nexport USER=\"${{USER:-$(id -un)}}\"\n\
             export ACCLLM_XCLBIN={xclbin}\n",
            self.environment.display(),
            root = path(&self.path),
            ini = path(&self.path.join("xrt.ini")),
            run = path(run),
            xclbin = path(&self.xclbin),
        )
    }
}

/// Where XRT's libraries are.
fn library() -> Result<PathBuf> {
    let root = std::env::var_os("XILINX_XRT").map(|r| PathBuf::from(r).join("lib"));
    let usual = [
        "/opt/xilinx/xrt/lib".to_owned(),
        format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH),
        "/usr/lib64".to_owned(),
        "/usr/lib".to_owned(),
    ];
    let folders = root.into_iter().chain(usual.into_iter().map(PathBuf::from));
    let found = folders.filter(|f| f.join(SHIM).is_file()).find_map(|f| fs::canonicalize(f).ok());
    found.ok_or_else(|| {
        Error::Xrt(format!(
            "XRT's hardware emulation ({SHIM}) is not installed; Debian: apt-get install libxrt1"
        ))
    })
}

fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|e| Error::io("create", path, e))
}

/// `emconfig.json`: one card. XRT takes memories from the xclbin.
fn card() -> String {
    let bank = serde_json::json!({"Size": "16G"});
    let device = serde_json::json!({
        "Name": PLATFORM, "HalMajorVersion": "1", "HalMinorVersion": "0", "DeviceVersion": "0",
        "DataAlignment": "4096", "NumDevices": "1", "DdrBanks": vec![bank; DDR_BANKS],
        "FeatureRom": {"Feature_Bitmap": "0"}
    });
    serde_json::json!({
        "Version": {"FileVersion": "2.0", "ToolVersion": "2022.1"},
        "Platform": {"UnifiedPlatform": "true", "ExpandedPR": "false", "Boards": [{"Devices": [device]}]}
    })
    .to_string()
}

/// `xrt.ini`.
fn settings(sim: &Path) -> String {
    format!(
        "[Runtime]\nruntime_log=null\n[Emulation]\nsim_dir={}\nsystem_dpa=false\nkeep_run_dir=false\ndebug_mode=off\n",
        sim.display()
    )
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_survive_the_shell() {
        for word in ["plain", "with space", "it's", "$HOME `id`", ""] {
            let shell = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", super::quoted(word))])
                .output()
                .unwrap();
            assert_eq!(shell.stdout, word.as_bytes());
        }
    }
}
