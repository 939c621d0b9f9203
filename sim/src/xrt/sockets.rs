//! How the device process finds the host that started it.
//!
//! XRT puts a name into `EMULATION_SOCKETID` and listens at `/tmp/$USER/NAME`; a second socket, for calls of the device,
//! is at `/tmp/$USER/D2X_unix_sock_NAME`.

use rustix::process::{Pid, getpid, getppid};
use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// How long the host may take until it listens.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two attempts to connect.
const RETRY: Duration = Duration::from_millis(10);

/// Why there is no connection to a host.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Not started by XRT.
    #[error("{0} is not set: this process is started by XRT in hardware emulation (see docs/xrt.md)")]
    Environment(&'static str),
    /// Nobody listens.
    #[error("no host listens at {path} after {seconds} s: {source}", seconds = PATIENCE.as_secs())]
    NoHost {
        /// The socket.
        path: PathBuf,
        /// The last reason.
        source: io::Error,
    },
    /// The process that started this one has ended.
    #[error("the host has ended before it listened at {0}")]
    Orphan(PathBuf),
    /// The file that tells the host about this process.
    #[error("cannot write {path}: {source}")]
    PidFile {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Connections to a host. The files of the sockets are removed when this is dropped, because XRT leaves them behind.
pub struct Sockets {
    /// Calls of the host.
    pub main: UnixStream,
    back: Receiver<Option<UnixStream>>,
    _files: Files,
}

/// What lies in the folder of the sockets.
struct Files {
    main: PathBuf,
    back: PathBuf,
    pid: PathBuf,
}

impl Files {
    fn new(user: OsString, id: &str) -> Self {
        let folder = Path::new("/tmp").join(user);
        Self {
            main: folder.join(id),
            back: folder.join(format!("D2X_unix_sock_{id}")),
            pid: folder.join(format!("{id}.pid")),
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for file in [&self.main, &self.back, &self.pid] {
            // The host may have been faster.
            let _ = std::fs::remove_file(file);
        }
    }
}

impl Sockets {
    /// Connects to the host that the environment names. Leaves a file `NAME.pid` with the number of this process, by
    /// which a host can see whether it lives.
    ///
    /// # Errors
    /// The environment is not XRT's, or the host does not listen.
    pub fn connect() -> Result<Self, SocketError> {
        let id = std::env::var("EMULATION_SOCKETID");
        let id = id.map_err(|_| SocketError::Environment("EMULATION_SOCKETID"))?;
        let user = std::env::var_os("USER").ok_or(SocketError::Environment("USER"))?;
        let files = Files::new(user, &id);
        let parent = getppid();
        let number = getpid().as_raw_nonzero().to_string();
        let pid = files.pid.clone();
        std::fs::create_dir_all(pid.parent().unwrap_or(&pid))
            .and_then(|()| std::fs::write(&pid, number))
            .map_err(|source| SocketError::PidFile { path: pid, source })?;
        let main = attempt(&files.main, parent)?;
        let (tell, back) = mpsc::channel();
        let path = files.back.clone();
        // The host listens for this one now and then only, so it must not hold up the first calls.
        std::thread::spawn(move || tell.send(attempt(&path, parent).ok()));
        Ok(Self { main, back, _files: files })
    }

    /// The connection for calls of the device, if the host takes it within `limit`.
    pub fn back(&self, limit: Duration) -> Option<UnixStream> {
        self.back.recv_timeout(limit).ok().flatten()
    }

    /// Connections to the two streams that are returned, for tests.
    #[cfg(test)]
    pub(super) fn pair() -> io::Result<(Self, UnixStream, UnixStream)> {
        let ((main, host), (device, back_host)) = (UnixStream::pair()?, UnixStream::pair()?);
        let (tell, back) = mpsc::channel();
        let _ = tell.send(Some(device));
        let files = Files::new("no-such-user".into(), "no-such-device");
        Ok((Self { main, back, _files: files }, host, back_host))
    }
}

fn attempt(path: &Path, parent: Option<Pid>) -> Result<UnixStream, SocketError> {
    let start = Instant::now();
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            Err(_) if getppid() != parent => return Err(SocketError::Orphan(path.to_path_buf())),
            Err(_) if start.elapsed() < PATIENCE => std::thread::sleep(RETRY),
            Err(source) => return Err(SocketError::NoHost { path: path.to_path_buf(), source }),
        }
    }
}
