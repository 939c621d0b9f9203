//! The protocol against a board with the Verilated engine, without XRT.

use super::frame::{read_call, write_answer, write_call};
use super::messages::{Access, Alloc, Copied, Done, Fetched, ToDevice, ToHost, Value, api};
use super::{Board, Ended, Sockets, Trouble, Window, serve};
use crate::engine::EngineSpec;
use crate::memory::{Ideal, MasterOut, MemoryModel, Store, resp};
use accllm_hw::config::find;
use accllm_hw::kernel::xclbin::UNIT_BASE;
use accllm_hw::kernel::{Kernel, Memory};
use accllm_hw::regs;
use prost::Message;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn board() -> Outcome<Board> {
    let config = find("tiny")?;
    let kernel = Kernel::new(config);
    let memories = kernel
        .masters
        .iter()
        .map(|m| Ok(Box::new(Ideal::new(Store::new(m.memory.bytes())?, 30)) as Box<dyn MemoryModel>));
    Ok(Board::new(&EngineSpec::new(config).design()?, &kernel, memories.collect::<Outcome<_>>()?)?)
}

/// The host's side.
struct Host {
    main: UnixStream,
    back: UnixStream,
    device: JoinHandle<(std::io::Result<Ended>, Vec<String>)>,
}

impl Host {
    fn new(mut board: Board, trouble: Trouble) -> Outcome<Self> {
        let (mut sockets, main, back) = Sockets::pair()?;
        let device = std::thread::spawn(move || {
            let mut said = Vec::new();
            let ended = serve(&mut board, &mut sockets, trouble, &mut |text| said.push(text.to_owned()));
            (ended, said)
        });
        Ok(Self { main, back, device })
    }

    fn raw(&mut self, number: u32, message: &[u8]) -> Outcome<Vec<u8>> {
        write_call(&mut self.main, number, message)?;
        let mut header = [0; 9];
        self.main.read_exact(&mut header)?;
        assert_eq!(header[0], 9, "the header of an answer has no number");
        let mut answer = vec![0; u64::from_le_bytes(header[1..].try_into()?) as usize];
        self.main.read_exact(&mut answer)?;
        Ok(answer)
    }

    fn call<A: Message + Default>(&mut self, number: u32, message: &impl Message) -> Outcome<A> {
        Ok(A::decode(self.raw(number, &message.encode_to_vec())?.as_slice())?)
    }

    fn read(&mut self, offset: u32) -> Outcome<u32> {
        let address = UNIT_BASE + u64::from(offset);
        let answer: Value = self.call(api::READ_KERNEL, &Access { address, size: 4, ..Access::default() })?;
        assert!(answer.ok);
        Ok(u32::from_le_bytes(answer.data[..].try_into()?))
    }

    fn write(&mut self, offset: u32, value: u32) -> Outcome {
        let address = UNIT_BASE + u64::from(offset);
        let data = value.to_le_bytes().to_vec().into();
        let answer: Done = self.call(api::WRITE_KERNEL, &Access { address, size: 4, data })?;
        assert!(answer.ok);
        Ok(())
    }

    fn close(mut self) -> Outcome<Vec<String>> {
        let answer: Done = self.call(api::CLOSE, &Done { ok: true })?;
        assert!(answer.ok);
        let (ended, said) = self.device.join().map_err(|_| "the device panicked")?;
        assert_eq!(ended?, Ended::Closed);
        // The call that ends the host's other thread came first.
        assert_eq!(read_call(&mut self.back)?, Some((api::CLOSE, vec![])));
        Ok(said)
    }
}

#[test]
fn frames() -> Outcome {
    let mut bytes = Vec::new();
    write_call(&mut bytes, 0x0102_0304, b"abc")?;
    assert_eq!(bytes, b"\x09\x03\0\0\0\0\0\0\0\x15\x04\x03\x02\x01abc");
    assert_eq!(read_call(&mut bytes.as_slice())?, Some((0x0102_0304, b"abc".to_vec())));
    assert_eq!(read_call(&mut [].as_slice())?, None);
    for cut in 1..bytes.len() {
        assert!(read_call(&mut &bytes[..cut]).is_err(), "{cut}");
    }
    bytes[8] = 0x7f;
    assert!(read_call(&mut bytes.as_slice()).is_err(), "a message of 2^62 bytes");
    bytes[0] = 8;
    assert!(read_call(&mut bytes.as_slice()).is_err());
    let mut answer = Vec::new();
    write_answer(&mut answer, b"xy")?;
    assert_eq!(answer, b"\x09\x02\0\0\0\0\0\0\0xy");
    Ok(())
}

#[test]
fn transfers_go_to_the_addresses_of_the_card() -> Outcome {
    let mut host = Host::new(board()?, Trouble::default())?;
    // Connected memories, and one that no master sees.
    for memory in [Memory::Hbm(0), Memory::Hbm(1), Memory::Hbm(9), Memory::Ddr(0), Memory::Ddr(1)] {
        let base = memory.base() + 4096;
        let ack: Done = host.call(api::ALLOC_BUFFER, &Alloc { address: base, size: 300 })?;
        assert!(ack.ok);
        let data: Vec<u8> = (0..100).map(|i| i ^ memory.index() as u8).collect();
        let call = ToDevice { dest: base, data: data.clone().into(), size: 100, seek: 77 };
        let copied: Copied = host.call(api::HOST_TO_DEVICE, &call)?;
        assert_eq!(copied.size, 100);
        let back: Fetched = host.call(api::DEVICE_TO_HOST, &ToHost { src: base + 70, size: 90, skip: 17 })?;
        assert_eq!((back.size, &back.data[..]), (90, &data[10..]), "{memory}");
        let free: Done = host.call(api::FREE_BUFFER, &Alloc { address: base, size: 0 })?;
        assert!(free.ok);
    }
    // Beyond the last memory, and across the end of one.
    for src in [u64::MAX - 3, Memory::Hbm(31).base() + (256 << 20) - 4] {
        let back: Fetched = host.call(api::DEVICE_TO_HOST, &ToHost { src, size: 8, skip: 0 })?;
        assert_eq!(back.data, [0; 8].as_slice());
    }
    let said = host.close()?;
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().all(|s| s.contains("lie in no memory")), "{said:?}");
    Ok(())
}

/// ap_ctrl as XRT uses it: idle falls with the start, done is cleared by reading.
#[test]
fn registers_and_a_run() -> Outcome {
    let mut host = Host::new(board()?, Trouble::default())?;
    assert_eq!(host.read(regs::VERSION)?, regs::CONTRACT_VERSION | 0x0202_0000);
    assert_eq!(host.read(regs::CTRL)?, 4);
    host.write(regs::CHANNEL_BASE + 8, 0x1000_0000)?;
    assert_eq!(host.read(regs::CHANNEL_BASE + 8)?, 0x1000_0000);
    // A host that takes the interrupt enables away does not take away how the end of a run is seen.
    host.write(regs::GIER, 0)?;
    host.write(regs::IER, 0)?;
    // A program that lies outside auxiliary memory: a fault at once.
    host.write(regs::PROGRAM_LEN, 1)?;
    for _ in 0..2 {
        host.write(regs::CTRL, 1)?;
        let mut polls = 0;
        loop {
            match host.read(regs::CTRL)? {
                1 => polls += 1,
                // done, idle, ready
                14 => break,
                other => return Err(format!("CTRL is {other:#x}").into()),
            }
            assert!(polls < 1000, "no end");
        }
        assert_eq!((host.read(regs::CTRL)?, host.read(regs::STATUS)?), (4, 2));
    }
    // No register, no card.
    let address = UNIT_BASE - 4;
    let none: Value = host.call(api::READ_KERNEL, &Access { address, size: 4, ..Access::default() })?;
    assert_eq!(none.data, [0xff; 4].as_slice());
    assert_eq!(host.close()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn damaged_and_unknown_calls_are_answered() -> Outcome {
    let mut host = Host::new(board()?, Trouble::default())?;
    assert_eq!(host.raw(api::DEBUG_MESSAGES, b"\x08\x01\x10\0")?, b"");
    let ack: Done = host.call(api::SET_ENVIRONMENT, &Done { ok: true })?;
    assert!(ack.ok);
    assert_eq!(host.raw(99, b"anything")?, b"");
    for number in [api::HOST_TO_DEVICE, api::DEVICE_TO_HOST, api::WRITE_KERNEL, api::READ_KERNEL] {
        assert_eq!(host.raw(number, b"\xff\xff\xff")?, Done { ok: false }.encode_to_vec());
    }
    // Huge sizes are cut.
    let answer: Value =
        host.call(api::READ_KERNEL, &Access { address: UNIT_BASE, size: u32::MAX, ..Access::default() })?;
    assert_eq!(answer.data.len(), 4096);
    let said = host.close()?;
    assert_eq!(said.len(), 5, "{said:?}");
    Ok(())
}

#[test]
fn a_host_that_goes_away() -> Outcome {
    let host = Host::new(board()?, Trouble::default())?;
    drop(host.main);
    let (ended, _) = host.device.join().map_err(|_| "the device panicked")?;
    assert_eq!(ended?, Ended::HostGone);

    let mut host = Host::new(board()?, Trouble::default())?;
    host.main.write_all(b"\x09\x05\0")?;
    drop(host.main);
    let (ended, _) = host.device.join().map_err(|_| "the device panicked")?;
    assert!(ended.is_err(), "a call that was cut");
    Ok(())
}

#[test]
fn trouble_is_what_was_asked_for() -> Outcome {
    let at = Memory::Hbm(1).base() + 10;
    let trouble = Trouble { corrupt: Some(at), refuse: true, die: false };
    let mut host = Host::new(board()?, trouble)?;
    let ack: Done = host.call(api::ALLOC_BUFFER, &Alloc { address: 0, size: 64 })?;
    assert!(!ack.ok);
    let data = vec![0x40; 16];
    let call = ToDevice { dest: at - 4, data: data.into(), size: 16, seek: 0 };
    let _: Copied = host.call(api::HOST_TO_DEVICE, &call)?;
    let back: Fetched = host.call(api::DEVICE_TO_HOST, &ToHost { src: at - 4, size: 16, skip: 0 })?;
    let mut want = [0x40; 16];
    want[4] = 0x41;
    assert_eq!(back.data, want.as_slice());
    assert_eq!(host.close()?.len(), 1);
    Ok(())
}

/// A card that has failed reads as all ones, takes everything, and does not run.
#[test]
fn a_board_that_failed_reads_as_ones() -> Outcome {
    let mut board = board()?;
    assert_eq!(board.read_register(UNIT_BASE + u64::from(regs::CTRL))?, 4);
    board.fail();
    assert_eq!(board.read_register(UNIT_BASE + u64::from(regs::CTRL))?, u32::MAX);
    board.write_register(UNIT_BASE, 1)?;
    assert!(!board.running());
    Ok(())
}

#[test]
fn addresses_outside_a_window_are_errors() -> Outcome {
    let base = 1 << 28;
    let mut window = Window::new(Box::new(Ideal::new(Store::new(4096)?, 1)), base);
    let mut answer = |address: u64| {
        let mut asked = false;
        for _ in 0..16 {
            let master = MasterOut { arvalid: !asked, araddr: address, ..MasterOut::idle() };
            asked |= window.outputs().arready;
            let out = window.step(&master);
            if out.rvalid {
                return Some(out.rresp);
            }
        }
        None
    };
    assert_eq!(answer(base), Some(resp::OKAY));
    assert_eq!(answer(base + 4096), Some(resp::DECERR));
    assert_eq!(answer(base - 64), Some(resp::DECERR));
    assert_eq!(answer(0), Some(resp::DECERR));
    Ok(())
}
