//! Answers the calls of a host.

use super::board::{Board, BoardError};
use super::frame::{read_call, write_answer, write_call};
use super::messages::{Access, Alloc, Copied, Done, Fetched, ToDevice, ToHost, Value, api};
use super::sockets::Sockets;
use accllm_hw::kernel::SLAVE_RANGE;
use prost::Message;
use prost::bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long the host may take to accept the second connection before it gets its answer to close.
const BACK: Duration = Duration::from_secs(6);

/// Most bytes that one call may read.
const MOST: u64 = 1 << 30;

/// Why serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The host closed the device.
    Closed,
    /// The host is gone without closing it.
    HostGone,
}

/// Deliberate trouble, to try what hosts do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trouble {
    /// Ends the process in its first run, as a kill does.
    pub die: bool,
    /// Flips one bit of what is written to the memory at this address of the card.
    pub corrupt: Option<u64>,
    /// Refuses buffers.
    pub refuse: bool,
}

/// Serves a host until it closes the device. Failures of the board are told to `log`; the host then sees a card that
/// reads as all ones. It never ends before the host does, because XRT would wait for its answer for ever.
///
/// # Errors
/// The connection fails, or carries something else than the protocol.
pub fn serve(
    board: &mut Board,
    sockets: &mut Sockets,
    trouble: Trouble,
    log: &mut dyn FnMut(&str),
) -> io::Result<Ended> {
    let mut server = Server { board, trouble, log };
    loop {
        while server.board.running() && !readable(&sockets.main)? {
            let result = server.board.advance();
            server.tell(result);
            server.die();
        }
        let Some((number, message)) = gone(read_call(&mut sockets.main))? else {
            return Ok(Ended::HostGone);
        };
        if number == api::CLOSE {
            // Ends the host's thread for calls of the device, which would spin when the connection ends.
            if let Some(mut back) = sockets.back(BACK) {
                let _ = write_call(&mut back, api::CLOSE, &[]);
            }
            let answer = write_answer(&mut sockets.main, &Done { ok: true }.encode_to_vec());
            return answer.map(|()| Ended::Closed);
        }
        let answer = server.answer(number, message.into());
        if gone(write_answer(&mut sockets.main, &answer).map(Some))?.is_none() {
            return Ok(Ended::HostGone);
        }
    }
}

/// A connection that broke is the end of the host.
fn gone<T>(result: io::Result<Option<T>>) -> io::Result<Option<T>> {
    match result {
        Err(e) if matches!(e.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(None),
        other => other,
    }
}

fn readable(stream: &UnixStream) -> io::Result<bool> {
    let mut fds = [PollFd::new(stream, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    match poll(&mut fds, Some(&now)) {
        Ok(n) => Ok(n > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

struct Server<'a> {
    board: &'a mut Board,
    trouble: Trouble,
    log: &'a mut dyn FnMut(&str),
}

impl Server<'_> {
    /// The value, or the default after telling what went wrong.
    fn tell<T: Default>(&mut self, result: Result<T, BoardError>) -> T {
        result.unwrap_or_else(|e| {
            (self.log)(&e.to_string());
            T::default()
        })
    }

    fn die(&self) {
        if self.trouble.die && self.board.running() {
            let own = rustix::process::getpid();
            let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
        }
    }

    fn answer(&mut self, number: u32, message: Bytes) -> Vec<u8> {
        match self.decode(number, message) {
            Ok(answer) => answer,
            Err(e) => {
                (self.log)(&format!("call {number} is damaged: {e}"));
                Done { ok: false }.encode_to_vec()
            }
        }
    }

    fn decode(&mut self, number: u32, message: Bytes) -> Result<Vec<u8>, prost::DecodeError> {
        Ok(match number {
            api::ALLOC_BUFFER => {
                let Alloc { address, size } = Alloc::decode(message)?;
                if self.trouble.refuse {
                    (self.log)(&format!("refuses a buffer of {size} bytes at {address:#x}"));
                }
                Done { ok: !self.trouble.refuse }.encode_to_vec()
            }
            api::HOST_TO_DEVICE => self.copy_in(ToDevice::decode(message)?),
            api::DEVICE_TO_HOST => self.copy_out(&ToHost::decode(message)?),
            api::WRITE_KERNEL => self.write_registers(&Access::decode(message)?),
            api::READ_KERNEL => self.read_registers(&Access::decode(message)?),
            api::WRITE_RAM => {
                let a = Access::decode(message)?;
                let result = self.board.write(a.address, &a.data);
                self.tell(result);
                Done { ok: true }.encode_to_vec()
            }
            api::READ_RAM => {
                let a = Access::decode(message)?;
                let mut data = vec![0; u64::from(a.size).min(MOST) as usize];
                let result = self.board.read(a.address, &mut data);
                self.tell(result);
                Value { ok: true, data: data.into() }.encode_to_vec()
            }
            api::SET_ENVIRONMENT | api::FREE_BUFFER => Done { ok: true }.encode_to_vec(),
            api::DEBUG_MESSAGES => Vec::new(),
            other => {
                (self.log)(&format!("call {other} is not known; the answer is empty"));
                Vec::new()
            }
        })
    }

    fn copy_in(&mut self, call: ToDevice) -> Vec<u8> {
        let at = call.dest.wrapping_add(call.seek);
        let size = (call.size as usize).min(call.data.len());
        let mut data = call.data.slice(..size);
        if let Some(hit) = self.trouble.corrupt.and_then(|a| a.checked_sub(at)).filter(|h| *h < size as u64) {
            let mut changed = data.to_vec();
            changed[hit as usize] ^= 1;
            data = changed.into();
        }
        let result = self.board.write(at, &data);
        self.tell(result);
        Copied { size: size as u64 }.encode_to_vec()
    }

    fn copy_out(&mut self, call: &ToHost) -> Vec<u8> {
        let mut data = vec![0; call.size.min(MOST) as usize];
        let result = self.board.read(call.src.wrapping_add(call.skip), &mut data);
        self.tell(result);
        Fetched { size: data.len() as u64, data: data.into() }.encode_to_vec()
    }

    fn write_registers(&mut self, call: &Access) -> Vec<u8> {
        let size = (call.size as usize).min(call.data.len());
        for (i, word) in (0u64..).zip(call.data[..size].chunks(4)) {
            let value = word.iter().rev().fold(0, |v, b| v << 8 | u32::from(*b));
            let result = self.board.write_register(call.address + 4 * i, value);
            self.tell(result);
        }
        Done { ok: true }.encode_to_vec()
    }

    fn read_registers(&mut self, call: &Access) -> Vec<u8> {
        let mut data = Vec::new();
        for i in 0..u64::from(call.size).min(SLAVE_RANGE).div_ceil(4) {
            let result = self.board.read_register(call.address + 4 * i);
            // A failure reads as a card that is gone.
            let failed = result.is_err();
            let value = self.tell(result);
            data.extend(if failed { u32::MAX } else { value }.to_le_bytes());
            self.die();
        }
        data.truncate(call.size as usize);
        Value { ok: true, data: data.into() }.encode_to_vec()
    }
}
