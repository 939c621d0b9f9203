//! The engine as an emulated card: serves the protocol by which XRT's hardware emulation (`XCL_EMULATION_MODE=hw_emu`)
//! talks to its device process, with the Verilated engine and the memory models behind it. See `docs/xrt.md`.
//!
//! [`Board`] is the card: memories at the card's addresses and the kernel's registers. [`Sockets`] finds the host that
//! started the process, [`serve`] answers it until it closes the device.

mod board;
mod frame;
mod messages;
mod server;
mod sockets;
#[cfg(test)]
mod tests;
mod window;

pub use board::{Board, BoardError};
pub use server::{Ended, Trouble, serve};
pub use sockets::{SocketError, Sockets};
pub use window::Window;
