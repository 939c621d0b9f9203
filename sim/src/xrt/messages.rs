//! Messages of the protocol, as far as the device reads and answers them. Numbers and fields are those of XRT's
//! `rpc_messages.proto`.

use prost::Message;
use prost::bytes::Bytes;

/// Numbers of the calls.
pub mod api {
    pub const CLOSE: u32 = 1;
    pub const ALLOC_BUFFER: u32 = 4;
    pub const FREE_BUFFER: u32 = 5;
    pub const HOST_TO_DEVICE: u32 = 6;
    pub const DEVICE_TO_HOST: u32 = 7;
    pub const WRITE_RAM: u32 = 8;
    pub const WRITE_KERNEL: u32 = 9;
    pub const READ_RAM: u32 = 10;
    pub const READ_KERNEL: u32 = 11;
    pub const DEBUG_MESSAGES: u32 = 19;
    pub const SET_ENVIRONMENT: u32 = 20;
}

/// AllocDeviceBuffer.
#[derive(Clone, PartialEq, Message)]
pub struct Alloc {
    #[prost(uint64, tag = "1")]
    pub address: u64,
    #[prost(uint64, tag = "2")]
    pub size: u64,
}

/// CopyBufferHost2Device. The data go to `dest + seek`.
#[derive(Clone, PartialEq, Message)]
pub struct ToDevice {
    #[prost(uint64, tag = "3")]
    pub dest: u64,
    #[prost(bytes = "bytes", tag = "4")]
    pub data: Bytes,
    #[prost(uint64, tag = "5")]
    pub size: u64,
    #[prost(uint64, tag = "6")]
    pub seek: u64,
}

/// CopyBufferDevice2Host. The data come from `src + skip`.
#[derive(Clone, PartialEq, Message)]
pub struct ToHost {
    #[prost(uint64, tag = "4")]
    pub src: u64,
    #[prost(uint64, tag = "5")]
    pub size: u64,
    #[prost(uint64, tag = "6")]
    pub skip: u64,
}

/// Write or ReadAddrKernelCtrl, Write or ReadAddrSpaceDeviceRam.
#[derive(Clone, PartialEq, Message)]
pub struct Access {
    #[prost(uint64, tag = "2")]
    pub address: u64,
    #[prost(uint32, tag = "3")]
    pub size: u32,
    #[prost(bytes = "bytes", tag = "4")]
    pub data: Bytes,
}

/// The answer of most calls: `ack`, `valid`.
#[derive(Clone, PartialEq, Message)]
pub struct Done {
    #[prost(bool, required, tag = "1")]
    pub ok: bool,
}

/// The answer of CopyBufferHost2Device.
#[derive(Clone, PartialEq, Message)]
pub struct Copied {
    #[prost(uint64, required, tag = "1")]
    pub size: u64,
}

/// The answer of CopyBufferDevice2Host.
#[derive(Clone, PartialEq, Message)]
pub struct Fetched {
    #[prost(uint64, required, tag = "1")]
    pub size: u64,
    #[prost(bytes = "bytes", required, tag = "2")]
    pub data: Bytes,
}

/// The answer of ReadAddrKernelCtrl and ReadAddrSpaceDeviceRam.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    #[prost(bool, required, tag = "1")]
    pub ok: bool,
    #[prost(bytes = "bytes", required, tag = "2")]
    pub data: Bytes,
}
