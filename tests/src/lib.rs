//! What the whole-path tests share: compiled models and devices in lockstep.

use accllm_compiler::synthetic::Synthetic;
use accllm_compiler::{MemoryImage, ModelSpec, Program, Settings};
use accllm_device::timeline::Record;
use accllm_device::{
    Compared, Device as _, GoldenDevice, LockstepDevice, MemoryKind, Verilator, VerilatorOptions,
};
use accllm_hw::config::Config;
use accllm_llm::model::QuantModel;
use accllm_sim::verilate::OptLevel;
use accllm_text::calibration::Calibration;
use accllm_text::model::{Ready, Source};
use accllm_text::runner::{DeviceRunner, Runner as _};
use std::path::PathBuf;

/// The bundled model, quantized.
///
/// # Panics
/// It cannot be read.
pub fn bundled() -> Ready {
    let source = Source::find("bundled").expect("bundled model");
    Ready::open(&source, &Calibration::open(None).expect("calibration text")).expect("quantizes")
}

/// A compiled model.
pub struct Compiled<'m> {
    /// The integers.
    pub model: &'m QuantModel,
    /// Checked program.
    pub program: Program,
    /// Memory image.
    pub image: MemoryImage,
}

impl<'m> Compiled<'m> {
    /// Compiles and checks.
    ///
    /// # Panics
    /// The model does not fit, or the program fails its check.
    pub fn new(model: &'m QuantModel, config: &Config, n_sink: usize, n_window: usize) -> Self {
        let settings = Settings::new(n_sink, n_window);
        let program = Program::compile(&ModelSpec::from(model), config, &settings)
            .unwrap_or_else(|e| panic!("on {}: {e}", config.name));
        program.check().unwrap_or_else(|e| panic!("on {}: {e}", config.name));
        let image = MemoryImage::new(&program, model).expect("image");
        Self { model, program, image }
    }

    /// Integer reference and golden executor, and the RTL where options are given.
    ///
    /// # Panics
    /// The devices cannot be built.
    pub fn lockstep(&self, rtl: Option<&VerilatorOptions>) -> DeviceRunner<LockstepDevice<'m>> {
        let rtl = rtl.map(|o| Verilator::new(&self.program, &self.image, o).expect("Verilated engine"));
        self.session(GoldenDevice::new(&self.program, &self.image).expect("program loads"), rtl)
    }

    /// The same from given devices.
    ///
    /// # Panics
    /// The attention shape is outside the limits.
    pub fn session(&self, golden: GoldenDevice, rtl: Option<Verilator>) -> DeviceRunner<LockstepDevice<'m>> {
        let device = LockstepDevice::new(&self.program, self.model, golden, rtl).expect("lockstep");
        DeviceRunner::new(&self.program, device)
    }
}

/// The RTL under these memories.
pub fn rtl(memory: MemoryKind) -> VerilatorOptions {
    VerilatorOptions {
        memory,
        trace: true,
        timeline: Record::Off,
        wave: None,
        rtl: None,
        opt: OptLevel::Fast,
    }
}

/// Feeds random tokens in ragged blocks up to a position; everything is compared on the way.
///
/// # Panics
/// A difference.
pub fn ragged(
    name: &str,
    compiled: &Compiled<'_>,
    options: Option<&VerilatorOptions>,
    seed: u64,
    upto: usize,
) -> Compared {
    let mut session = compiled.lockstep(options);
    let shape = &compiled.program.layout.shape;
    let (mut position, mut state) = (0, seed | 1);
    while position < upto {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let n = if state >> 62 == 0 { 1 } else { 1 + (state >> 33) as usize % shape.block };
        let token =
            |i: usize| ((state >> 20) as u32).wrapping_add(7919 * i as u32) % shape.sizes.vocab as u32;
        let tokens: Vec<u32> = (0..n).map(token).collect();
        session
            .feed(&tokens)
            .unwrap_or_else(|e| panic!("{name} on {}, {n} tokens at {position}: {e}", shape.config));
        position += n;
    }
    session.device().compared().unwrap_or_default()
}

/// Position by which the window has wrapped, and a little more.
pub fn past_the_wrap(shape: &Synthetic) -> usize {
    (2 * (shape.lambda.n_sink + shape.lambda.n_window) + 40).min(160)
}

/// A copy of the RTL in a temporary folder with one text replaced.
///
/// # Panics
/// The text does not occur.
pub fn changed_rtl(file: &str, from: &str, to: &str) -> (tempfile::TempDir, PathBuf) {
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../hw/rtl");
    let folder = tempfile::tempdir().expect("temporary folder");
    let list = std::fs::read_to_string(source.join("files.f")).expect("files.f");
    for name in
        list.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).chain(["lint.vlt"])
    {
        let mut text = std::fs::read_to_string(source.join(name)).expect(name);
        if name == file {
            assert!(text.contains(from), "{file} has no '{from}'");
            text = text.replacen(from, to, 1);
        }
        let at = folder.path().join(name);
        std::fs::create_dir_all(at.parent().expect("folder")).expect("folder");
        std::fs::write(at, text).expect("write");
    }
    let path = folder.path().to_path_buf();
    (folder, path)
}
