//! Sessions: the same text on every device, also when it is saved, restored, taken back or cancelled on the way.

use accllm_compiler::{MemoryImage, ModelSpec, Program, Settings};
use accllm_device::timeline::Record;
use accllm_device::{Device, GoldenDevice, LockstepDevice, MemoryKind, Verilator, VerilatorOptions};
use accllm_hw::config::find;
use accllm_llm::model::{LambdaShape, Prefix};
use accllm_sim::verilate::OptLevel;
use accllm_text::calibration::Calibration;
use accllm_text::generate::Stop;
use accllm_text::model::{Ready, Source};
use accllm_text::runner::{DeviceRunner, Part, Reference, Runner as _};
use accllm_text::sample::Sampling;
use accllm_text::session::{Answer, Options, Session};
use proptest::prelude::*;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::LazyLock;

/// A small window, so that texts soon outlast it.
const LAMBDA: LambdaShape = LambdaShape { n_sink: 4, n_window: 24 };

fn open() -> Ready {
    let source = Source::find("bundled").unwrap();
    Ready::open(&source, &Calibration::open(None).unwrap()).unwrap()
}

static READY: LazyLock<Ready> = LazyLock::new(open);

/// A prefix in place of the begin token.
const PREFIX: [u32; 3] = [0, 400, 17];

/// The same model after a prefix, whose keys and values are those that the model computes.
static PREFIXED: LazyLock<Ready> = LazyLock::new(|| {
    let mut ready = open();
    let mut runner = Reference::new(&ready.model, LAMBDA).unwrap();
    runner.step(&PREFIX, Part::Prompt).unwrap();
    let a = &ready.model.arch;
    let all = (0..a.sizes.layers).flat_map(|l| (0..a.sizes.kv_heads).map(move |h| (l, h)));
    let heads = all.map(|(layer, head)| runner.head_cache(layer, head).unwrap()).collect();
    ready.model.prefix = Prefix { tokens: PREFIX.to_vec(), heads };
    ready
});

fn integer_of(ready: &'static Ready, lambda: LambdaShape) -> Session<'static> {
    Session::new(ready, Box::new(Reference::new(&ready.model, lambda).unwrap()))
}

fn integer(lambda: LambdaShape) -> Session<'static> {
    integer_of(&READY, lambda)
}

fn program(config: &str) -> (Program, MemoryImage) {
    let settings = Settings::new(LAMBDA.n_sink, LAMBDA.n_window);
    let program = Program::compile(&ModelSpec::from(&READY.model), find(config).unwrap(), &settings).unwrap();
    let image = MemoryImage::new(&program, &READY.model).unwrap();
    (program, image)
}

fn on(ready: &'static Ready, program: &Program, device: impl Device + 'static) -> Session<'static> {
    Session::new(ready, Box::new(DeviceRunner::new(program, device)))
}

fn golden(config: &str) -> Session<'static> {
    let (program, image) = program(config);
    on(&READY, &program, GoldenDevice::new(&program, &image).unwrap())
}

fn lockstep(with_rtl: bool) -> Session<'static> {
    lockstep_of(&READY, with_rtl)
}

/// Reference, golden executor and, where asked for, RTL, every tensor compared.
fn lockstep_of(ready: &'static Ready, with_rtl: bool) -> Session<'static> {
    let (program, image) = program("tiny");
    let options = VerilatorOptions {
        memory: MemoryKind::Ideal,
        trace: true,
        timeline: Record::Off,
        wave: None,
        rtl: None,
        opt: OptLevel::Fast,
    };
    let rtl = with_rtl.then(|| Verilator::new(&program, &image, &options).unwrap());
    let golden = GoldenDevice::new(&program, &image).unwrap();
    on(ready, &program, LockstepDevice::new(&program, &ready.model, golden, rtl).unwrap())
}

fn sampled(tokens: usize) -> Options {
    let sampling = Sampling { temperature: 0.9, top_k: 50, top_p: 0.95, seed: 11, ..Sampling::default() };
    Options { sampling, ignore_end: true, ..Options::new(tokens) }
}

fn write(session: &mut Session<'_>, options: &Options) -> Answer {
    session.generate(options, &mut |_| Ok(ControlFlow::Continue(()))).unwrap()
}

/// A text of 60 sampled tokens after a prompt, which is more than the window and the ring hold.
fn whole() -> (Vec<u32>, String) {
    let mut session = integer(LAMBDA);
    session.push_text("The little dragon").unwrap();
    let answer = write(&mut session, &sampled(60));
    assert_eq!((answer.tokens.len(), answer.stop), (60, Stop::Length));
    (session.tokens().to_vec(), answer.text)
}

/// Begins on one session, saves, and ends on others; everything must be as in one go.
fn relay(path: &Path, sessions: &mut [Session<'_>]) {
    let (tokens, text) = whole();
    let mut out = String::new();
    let share = 60 / sessions.len();
    for (i, session) in sessions.iter_mut().enumerate() {
        match i {
            0 => {
                session.push_text("The little dragon").unwrap();
            }
            // What the session held before must not matter.
            _ => {
                session.push_text("Some other text, which is longer than nothing").unwrap();
                write(session, &Options::new(5));
                assert_eq!(session.load(path).unwrap(), None);
            }
        }
        out += &write(session, &sampled(share)).text;
        session.save(path).unwrap();
    }
    let last = sessions.last().unwrap();
    assert_eq!(last.tokens(), tokens);
    assert_eq!(out, text);
}

#[test]
fn a_session_goes_on_on_another_device() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.session");
    relay(&path, &mut [integer(LAMBDA), golden("tiny"), integer(LAMBDA), golden("edge"), lockstep(false)]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "something was left behind");
}

#[test]
fn a_session_goes_on_on_the_rtl_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.session");
    let mut sessions = [golden("edge"), lockstep(true), integer(LAMBDA)];
    relay(&path, &mut sessions);
    assert!(sessions[1].runner().compared().unwrap().elements > 1_000_000);
}

#[test]
fn all_devices_save_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    // In the sinks, in the window, past the window, past the ring.
    for n in [0, 2, 20, 40, 150] {
        let bytes = [integer(LAMBDA), golden("tiny"), golden("edge"), golden("u280")].map(|mut session| {
            let text: Vec<u32> = (0..n).map(|i| (i * 37 + 5) % 1024).collect();
            session.push(&text).unwrap();
            if n > 0 {
                write(&mut session, &sampled(3));
            }
            let path = dir.path().join("x.session");
            session.save(&path).unwrap();
            std::fs::read(&path).unwrap()
        });
        assert!(bytes.iter().all(|b| *b == bytes[0]), "{n} tokens");
    }
}

/// A session file with the checksum that it should have.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let at = bytes.len() - 4;
    let sum = crc32fast::hash(&bytes[..at]);
    bytes[at..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
fn files_that_are_no_session_of_this_model_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.session");
    let mut session = integer(LAMBDA);
    session.push_text("Once upon a time").unwrap();
    write(&mut session, &Options::new(12));
    session.save(&path).unwrap();
    let good = std::fs::read(&path).unwrap();

    let mut here = integer(LAMBDA);
    here.push_text("A king").unwrap();
    let before = write(&mut here, &Options::new(4));
    let bad = dir.path().join("bad.session");
    let mut refused = |bytes: &[u8], word: &str| {
        std::fs::write(&bad, bytes).unwrap();
        let e = here.load(&bad).unwrap_err().to_string();
        assert!(e.contains("bad.session") && e.contains(word), "no '{word}' in: {e}");
    };
    for len in [0, 7, 8, 23, 24, 25, 200, good.len() / 2, good.len() - 5, good.len() - 1] {
        refused(&good[..len], "");
    }
    refused(&[&good[..], b"x"].concat(), "checksum");
    for at in (0..good.len()).step_by(53) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        refused(&bytes, "");
    }
    refused(b"ACCLLMP\0 and much more, but a program and not a session", "does not begin like one");
    let forged = |from: &str, to: &str| {
        let at = good.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        sealed([&good[..at], to.as_bytes(), &good[at + from.len()..]].concat())
    };
    refused(&sealed([&good[..8], &[9], &good[9..]].concat()), "format 9");
    refused(&forged("\"n_window\":24", "\"n_window\":99"), "--sinks 4 --window 99");
    refused(&forged("\"layers\":4", "\"layers\":9"), "contradicts");
    refused(&forged("\"tokens\":17", "\"tokens\":10"), "10 tokens");
    refused(&forged("\"tokens\":17", "\"tokens\":18"), "instead of");
    refused(&forged("\"position\":16", "\"position\":10"), "instead of");
    // The first token, and the step of the first key of the last head.
    let mut bytes = good.clone();
    let head = 16 * (32 + 4 + 32);
    let tokens = good.len() - 4 - 8 * head - 17 * 4;
    bytes[tokens..tokens + 4].copy_from_slice(&70_000u32.to_le_bytes());
    refused(&sealed(bytes), "70000");
    let mut bytes = good.clone();
    let step = good.len() - 4 - head + 16 * 32;
    bytes[step..step + 2].copy_from_slice(&[0, 0]);
    refused(&sealed(bytes), "layer 3, KV head 1");

    for what in [dir.path(), Path::new("/dev/zero"), &dir.path().join("missing")] {
        assert!(here.load(what).is_err());
    }
    // The session has not noticed.
    let after = write(&mut here, &Options::new(4));
    let mut fresh = integer(LAMBDA);
    fresh.push_text("A king").unwrap();
    assert_eq!(write(&mut fresh, &Options::new(8)).tokens, [before.tokens, after.tokens].concat());
}

#[test]
fn a_session_of_another_model_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.session");
    let mut session = integer(LAMBDA);
    session.push_text("Once upon a time").unwrap();
    session.save(&path).unwrap();
    let mut other = open();
    other.model.final_norm.eps += 1;
    let runner = Box::new(Reference::new(&other.model, LAMBDA).unwrap());
    let e = Session::new(&other, runner).load(&path).unwrap_err().to_string();
    assert!(e.contains("another model"), "{e}");
}

#[test]
fn a_session_that_cannot_be_written_leaves_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut session = integer(LAMBDA);
    session.push_text("Once").unwrap();
    assert!(session.save(dir.path()).is_err());
    assert!(session.save(&dir.path().join("no/folder.session")).is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    /// Replacing the text, whatever of it stays, is as good as a new session: on the reference and on a device.
    #[test]
    fn a_replaced_text_is_a_new_text(
        texts in proptest::collection::vec((0usize..200, proptest::collection::vec(0u32..1024, 1..120)), 2..6),
        device: bool,
    ) {
        let mut session = if device { golden("tiny") } else { integer(LAMBDA) };
        let mut kept = Vec::new();
        for (same, new) in texts {
            let text = [&session.tokens()[..same.min(session.tokens().len())], &new].concat();
            kept.push(session.replace(&text).unwrap());
            let mut fresh = integer(LAMBDA);
            fresh.push(&text).unwrap();
            prop_assert_eq!(write(&mut session, &sampled(4)), write(&mut fresh, &sampled(4)));
        }
        prop_assert_eq!(kept[0], 0);
    }
}

#[test]
fn what_stays_is_not_computed_again() {
    let mut session = lockstep(false);
    let text: Vec<u32> = (0..120).map(|i| (i * 31 + 7) % 1024).collect();
    session.push(&text[..20]).unwrap();
    write(&mut session, &Options::new(1));
    assert_eq!(session.replace(&text[..30]).unwrap(), 20);
    write(&mut session, &Options::new(1));
    // The window still holds all that position 11 sees.
    assert_eq!(session.replace(&[&text[..11], &[1, 2, 3]].concat()).unwrap(), 11);
    write(&mut session, &Options::new(1));
    assert_eq!(session.replace(&text).unwrap(), 11);
    write(&mut session, &Options::new(2));
    // The ring has long overwritten what position 11 saw; position 110 it still holds.
    assert_eq!(session.replace(&text[..115]).unwrap(), 114);
    write(&mut session, &Options::new(2));
    assert_eq!(session.replace(&[&text[..11], &[1, 2, 3]].concat()).unwrap(), 0);
    assert_eq!(write(&mut session, &Options::new(3)).tokens.len(), 3);
}

#[test]
fn cancel_from_another_thread() {
    let mut session = integer(LAMBDA);
    session.push_text("Once upon a time").unwrap();
    let options = Options { ignore_end: true, ..Options::new(usize::MAX) };
    let cancel = options.cancel.clone();
    let (sender, receiver) = std::sync::mpsc::channel::<Option<u32>>();
    let thread = std::thread::spawn(move || {
        // After the third token.
        for _ in 0..3 {
            receiver.recv().unwrap();
        }
        cancel.set();
    });
    let answer = session.generate(&options, &mut |p| {
        let _ = sender.send(p.token);
        Ok(ControlFlow::Continue(()))
    });
    thread.join().unwrap();
    let answer = answer.unwrap();
    assert!(answer.stop == Stop::Cancelled && answer.tokens.len() >= 3);
    // And on.
    let n = answer.tokens.len();
    let more = write(&mut session, &Options { ignore_end: true, ..Options::new(5) });
    let mut fresh = integer(LAMBDA);
    fresh.push_text("Once upon a time").unwrap();
    let all = write(&mut fresh, &Options { ignore_end: true, ..Options::new(n + 5) });
    assert_eq!(all.tokens, [answer.tokens, more.tokens].concat());
}

#[test]
fn stop_strings_ends_and_limits() {
    let mut session = integer(LAMBDA);
    let nothing = |p: accllm_text::session::Piece<'_>| {
        Ok(if p.token.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    };
    let e = session.generate(&Options::new(1), &mut { nothing }).unwrap_err();
    assert!(e.to_string().contains("no text"));
    assert!(session.push(&[1024]).unwrap_err().to_string().contains("1024"));
    session.push_text("Once upon a time").unwrap();
    let answer = session.generate(&Options::new(9), &mut { nothing }).unwrap();
    assert_eq!((answer.tokens.len(), answer.stop), (1, Stop::Cancelled));
    session.reset().unwrap();
    session.push_text("Once upon a time").unwrap();
    let mut seen = String::new();
    let options = Options { stop: vec!["girl".into(), "village, there".into()], ..Options::new(99) };
    let answer = session.generate(&options, &mut |p| {
        seen += p.text;
        Ok(ControlFlow::Continue(()))
    });
    let answer = answer.unwrap();
    assert_eq!((answer.text.as_str(), answer.stop), (", in a small ", Stop::StopString));
    assert_eq!(seen, answer.text);
    // The string is not part of the text, which goes on as if nothing had been.
    assert_eq!(READY.tokenizer.decode(session.tokens()).unwrap(), "Once upon a time, in a small");
    let on = write(&mut session, &Options::new(9));
    let mut fresh = integer(LAMBDA);
    fresh.push_text("Once upon a time").unwrap();
    let kept = session.tokens().len() - 5 - 9;
    assert_eq!(write(&mut fresh, &Options::new(kept + 9)).tokens[kept..], on.tokens);
    let bad = Options { sampling: Sampling { top_p: -1.0, ..Sampling::default() }, ..Options::new(1) };
    assert!(session.generate(&bad, &mut { nothing }).unwrap_err().to_string().contains("top_p"));
}

/// Constant memory: a text many windows long, and still the same on the device.
#[test]
fn far_beyond_the_window() {
    let dir = tempfile::tempdir().unwrap();
    let mut size = None;
    let mut sessions = [integer(LAMBDA), golden("tiny")];
    for session in &mut sessions {
        session.push_text("Once upon a time").unwrap();
    }
    for _ in 0..4 {
        let [a, b] = sessions.each_mut().map(|s| write(s, &sampled(60)));
        assert_eq!(a, b);
        let path = dir.path().join("x.session");
        sessions[1].save(&path).unwrap();
        let cache = std::fs::metadata(&path).unwrap().len() - 4 * sessions[1].tokens().len() as u64;
        // The position may take another digit.
        assert!(cache.abs_diff(*size.get_or_insert(cache)) < 4);
    }
}

/// A text after the model's prefix is the text that begins with these tokens; the runners do not compute them.
fn behind_the_prefix(mut session: Session<'static>, path: &Path) {
    let tokens = READY.tokenizer.encode("The little dragon").unwrap();
    let text = [&PREFIX[..], &tokens].concat();
    let mut whole = integer(LAMBDA);
    whole.push(&text).unwrap();
    let answer = write(&mut whole, &sampled(40));
    assert_eq!(session.push_text("The little dragon").unwrap(), tokens.len());
    assert_eq!(session.tokens(), text);
    let half = write(&mut session, &sampled(20));
    // Saved, used for other texts, taken back to nothing, and loaded again.
    session.save(path).unwrap();
    if let Some([prompts, _]) = session.runner().work() {
        assert_eq!(prompts.tokens, tokens.len() as u64, "the prefix was computed");
    }
    assert!(session.take_back(2).unwrap() && session.tokens().is_empty());
    assert_eq!(session.replace(&tokens[..2]).unwrap(), 0);
    let first = write(&mut session, &sampled(5)).tokens;
    assert_eq!(session.replace(&[&tokens[..2], &first[..2]].concat()).unwrap(), 3);
    session.reset().unwrap();
    session.push(&tokens[..2]).unwrap();
    assert_eq!(write(&mut session, &sampled(5)).tokens, first);
    assert_eq!(session.load(path).unwrap(), None);
    let rest = write(&mut session, &sampled(20));
    assert_eq!([half.tokens, rest.tokens].concat(), answer.tokens);
    assert_eq!(session.tokens(), whole.tokens());
}

#[test]
fn texts_behind_a_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.session");
    behind_the_prefix(integer_of(&PREFIXED, LAMBDA), &path);
    behind_the_prefix(lockstep_of(&PREFIXED, false), &path);
    // A session of the model without prefix, and attention that does not hold it.
    let mut session = integer_of(&PREFIXED, LambdaShape { n_sink: 0, n_window: 2 });
    session.push_text("a").unwrap();
    let said = session.generate(&Options::new(1), &mut |_| Ok(ControlFlow::Continue(()))).unwrap_err();
    assert!(said.to_string().contains("prefix of 3"), "{said}");
    let mut plain = integer(LAMBDA);
    plain.push_text("a").unwrap();
    plain.save(&path).unwrap();
    let refused = |word: &str| {
        let said = integer_of(&PREFIXED, LAMBDA).load(&path).unwrap_err().to_string();
        assert!(said.contains(word), "no '{word}' in: {said}");
    };
    refused("another model");
    // Forged: of this model, it says.
    let (from, to) = (READY.fingerprint().unwrap(), PREFIXED.fingerprint().unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    std::fs::write(&path, sealed(bytes)).unwrap();
    refused("does not begin with the model's prefix");
}

#[test]
fn a_prefix_on_the_rtl() {
    let dir = tempfile::tempdir().unwrap();
    behind_the_prefix(lockstep_of(&PREFIXED, true), &dir.path().join("a.session"));
}
