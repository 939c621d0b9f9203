//! Runs `accllm` in an emulation folder of its own, and sees that nothing is left afterwards.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Longest time for any command: more than every limit of the driver.
const LIMIT: Duration = Duration::from_secs(240);

/// Length of the texts, where the options do not say it.
fn length(options: &[&str]) -> &'static [&'static str] {
    if options.contains(&"--tokens") { &[] } else { &["--tokens", "6"] }
}

/// A command's outcome.
pub struct Ran {
    pub ok: bool,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Expects failure with all of `words` in the last line of the messages.
    pub fn fails(&self, words: &[&str]) {
        assert!(!self.ok, "succeeded:\n{}", self.out);
        let errors: Vec<_> = self.err.lines().filter(|l| l.starts_with("error: ")).collect();
        let [said] = errors[..] else { panic!("not one error in:\n{}", self.err) };
        for word in words {
            assert!(said.contains(word), "no '{word}' in: {said}");
        }
    }

    /// Expects success, and the report.
    pub fn json(&self) -> serde_json::Value {
        assert!(self.ok, "{}", self.err);
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

/// The bundled model, quantized once, and its program for `tiny`.
fn model() -> &'static (PathBuf, PathBuf) {
    static MODEL: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    MODEL.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("xrt");
        std::fs::create_dir_all(&dir).unwrap();
        let (model, program) = (dir.join("model"), dir.join("program.accllm"));
        for args in [
            vec!["quantize", "bundled", arg(&model), "--calib-tokens", "640"],
            vec!["compile", arg(&model), "-o", arg(&program), "--sinks", "4", "--window", "60"],
        ] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_accllm"));
            assert!(command.args(&args).stdout(Stdio::null()).status().unwrap().success(), "{args:?}");
        }
        (model, program)
    })
}

/// A path as an argument.
pub fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An emulation folder, and a user name under which nobody else opens sockets.
pub struct Emulation {
    folder: tempfile::TempDir,
    user: String,
}

impl Emulation {
    /// A folder for `tiny` with these options of `accllm hw-emu`; `None`, after saying why, where XRT is missing.
    pub fn new(options: &[&str]) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::tempdir().unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let user = format!("accllm-test-{}-{number}", std::process::id());
        let new = Self { folder, user };
        let args = [&["hw-emu", arg(new.folder.path())], options].concat();
        let ran = finish(new.command(&args, &[]).spawn().unwrap());
        if ran.ok {
            return Some(new);
        }
        assert!(ran.err.contains("not installed"), "{}", ran.err);
        assert!(std::env::var_os("ACCLLM_REQUIRE_XRT").is_none(), "{}", ran.err);
        // Not `eprintln`, which a passing test does not show.
        let _ = writeln!(std::io::stderr(), "skipped, XRT is not here: {}", ran.err.trim());
        None
    }

    /// A file of the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The simulation xclbin.
    pub fn xclbin(&self) -> PathBuf {
        self.path("accllm_tiny.xclbin")
    }

    /// `accllm` with `args` in the environment of this folder, in a process group of its own.
    fn command(&self, args: &[&str], change: &[(&str, Option<&str>)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_accllm"));
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let path = |name: &str| self.path(name);
        for name in ["XILINX_XRT", "EMCONFIG_PATH"] {
            command.env(name, self.folder.path());
        }
        command.env("XCL_EMULATION_MODE", "hw_emu").env("XRT_INI_PATH", path("xrt.ini"));
        command.env("SDACCEL_EM_RUN_DIR", path("run")).env("USER", &self.user);
        command.env("ACCLLM_XCLBIN", self.xclbin());
        for (name, value) in change {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Starts `accllm run --device xrt` on the model, and these options.
    pub fn start(&self, options: &[&str], change: &[(&str, Option<&str>)]) -> Child {
        let (model, program) = model();
        let args = ["run", arg(model), "--program", arg(program), "--device", "xrt"];
        self.command(&[&args, length(options), options].concat(), change).spawn().unwrap()
    }

    /// Runs it, and sees that it leaves nothing.
    pub fn run(&self, options: &[&str]) -> Ran {
        self.run_with(options, &[])
    }

    /// Runs it in a changed environment.
    pub fn run_with(&self, options: &[&str], change: &[(&str, Option<&str>)]) -> Ran {
        let ran = finish(self.start(options, change));
        self.nothing_left();
        ran
    }

    /// Runs another verb.
    pub fn verb(&self, args: &[&str]) -> Ran {
        let ran = finish(self.command(args, &[]).spawn().unwrap());
        self.nothing_left();
        ran
    }

    /// No device process, no socket, no run folder. Processes get a moment to end.
    pub fn nothing_left(&self) {
        let start = Instant::now();
        let mine = format!("USER={}", self.user);
        loop {
            let left = processes(mine.as_bytes());
            if left.is_empty() {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "processes {left:?} are left");
            std::thread::sleep(Duration::from_millis(20));
        }
        let sockets = Path::new("/tmp").join(&self.user);
        assert_eq!(names(&sockets), Vec::<String>::new(), "sockets");
        assert_eq!(names(&self.path("run")), Vec::<String>::new(), "run folder");
    }
}

impl Drop for Emulation {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(Path::new("/tmp").join(&self.user));
    }
}

/// `accllm run` on the same model and program with another device.
pub fn direct(options: &[&str]) -> Ran {
    let (model, program) = model();
    let mut command = Command::new(env!("CARGO_BIN_EXE_accllm"));
    command.args(["run", arg(model), "--program", arg(program)]).args(length(options)).args(options);
    finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn().unwrap())
}

/// Waits for a command; ends it with everything that it has started when that takes too long.
pub fn finish(mut child: Child) -> Ran {
    let streams = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let out = std::thread::spawn(move || text(streams.0));
    let err = std::thread::spawn(move || text(streams.1));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > LIMIT {
            let group = format!("-{}", child.id());
            let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
            let _ = child.wait();
            panic!("no end within {LIMIT:?}: {}", err.join().unwrap());
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let (out, err) = (out.join().unwrap(), err.join().unwrap());
    // A panic exits with 101, a signal with no code: both are bugs whatever the input was.
    assert!(matches!(status.code(), Some(0..=2)), "{status}\n{err}");
    Ran { ok: status.success(), out, err }
}

fn text(mut from: impl std::io::Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Processes that live and have this in their environment.
fn processes(variable: &[u8]) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let own = |entry: &std::fs::DirEntry| {
        std::fs::read(entry.path().join("environ")).is_ok_and(|e| e.split(|b| *b == 0).any(|v| v == variable))
    };
    entries.filter(own).map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}
