//! Frames of the protocol: a fixed header, then a protobuf message.
//!
//! Calls begin with 14 bytes (`fixed64 size = 1; fixed32 api = 2`), answers on the main socket with 9 (size only).

use std::io::{Error, ErrorKind, Read, Result, Write};

/// Tag of `fixed64 size = 1`.
const SIZE_TAG: u8 = 0x09;
/// Tag of `fixed32 api = 2`.
const API_TAG: u8 = 0x15;
/// Bytes of a call's header.
const CALL: usize = 14;
/// Largest message that is taken: far above XRT's transfer chunks.
const MOST: u64 = 1 << 30;

/// Reads a call: its number and its message. `None` when the other side has closed the connection between two calls.
pub fn read_call(from: &mut impl Read) -> Result<Option<(u32, Vec<u8>)>> {
    let mut header = [0; CALL];
    let mut have = 0;
    while have < CALL {
        match from.read(&mut header[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => have += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let [SIZE_TAG, a, b, c, d, e, f, g, h, API_TAG, i, j, k, l] = header else {
        return Err(Error::new(ErrorKind::InvalidData, format!("no call header: {header:02x?}")));
    };
    let size = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    if size > MOST {
        return Err(Error::new(ErrorKind::InvalidData, format!("a message of {size} bytes")));
    }
    let mut message = vec![0; size as usize];
    from.read_exact(&mut message)?;
    Ok(Some((u32::from_le_bytes([i, j, k, l]), message)))
}

/// Writes an answer.
pub fn write_answer(to: &mut impl Write, message: &[u8]) -> Result<()> {
    let mut out = Vec::with_capacity(9 + message.len());
    out.push(SIZE_TAG);
    out.extend((message.len() as u64).to_le_bytes());
    out.extend(message);
    to.write_all(&out)
}

/// Writes a call.
pub fn write_call(to: &mut impl Write, api: u32, message: &[u8]) -> Result<()> {
    let mut out = Vec::with_capacity(CALL + message.len());
    out.push(SIZE_TAG);
    out.extend((message.len() as u64).to_le_bytes());
    out.push(API_TAG);
    out.extend(api.to_le_bytes());
    out.extend(message);
    to.write_all(&out)
}
