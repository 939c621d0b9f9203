//! Files of compiled programs: header, description (JSON), instructions, memory image, checksum.

use crate::error::{Error, Result};
use crate::image::{ImageSink, MemoryImage, ModelSource, Port, write_image};
use crate::label::Label;
use crate::layout::Layout;
use crate::program::Program;
use crate::spec::ModelSpec;
use accllm_hw::config::{BEAT_BYTES, Config};
use accllm_hw::isa::{INSTR_BYTES, Instr};
use accllm_hw::regs::CONTRACT_VERSION;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// First bytes of a program file.
pub const MAGIC: &[u8; 8] = b"ACCLLMP\0";
/// Version of the file format.
pub const VERSION: u32 = 4;

/// Magic, version, contract version, length of the description, instructions.
const HEADER: usize = 8 + 4 + 4 + 8 + 8;

#[derive(Serialize, Deserialize)]
struct Description {
    config: Config,
    spec: ModelSpec,
    layout: Layout,
    labels: Vec<Label>,
}

fn io(doing: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Error {
    move |source| Error::Io { doing, path: path.to_path_buf(), source }
}

/// Writes through a checksum.
struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    sum: crc32fast::Hasher,
    /// Bytes written of the port in progress, and which one that is.
    at: usize,
    port: Option<Port>,
}

impl Writer {
    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.sum.update(bytes);
        self.file.write_all(bytes).map_err(io("write", &self.path))
    }

    /// Zeros up to byte `to` of the port in progress.
    fn fill(&mut self, to: usize) -> Result<()> {
        const ZEROS: [u8; 4096] = [0; 4096];
        while self.at < to {
            let n = (to - self.at).min(ZEROS.len());
            self.bytes(&ZEROS[..n])?;
            self.at += n;
        }
        Ok(())
    }
}

/// Puts the pieces of the image after each other, zeros between.
struct FileSink<'a> {
    writer: &'a mut Writer,
    /// Bytes of a channel.
    channel: usize,
}

impl ImageSink for FileSink<'_> {
    fn write(&mut self, port: Port, beat: usize, bytes: &[u8]) -> Result<()> {
        if self.writer.port != Some(port) {
            if matches!(self.writer.port, Some(Port::Channel(_))) {
                self.writer.fill(self.channel)?;
            }
            (self.writer.port, self.writer.at) = (Some(port), 0);
        }
        let at = beat * BEAT_BYTES;
        if at < self.writer.at {
            return Err(Error::Internal(format!("image pieces out of order at {port:?} beat {beat}")));
        }
        self.writer.fill(at)?;
        self.writer.at += bytes.len();
        self.writer.bytes(bytes)
    }
}

impl Program {
    /// Writes program and image of `model` to `path`, by way of a temporary file beside it.
    ///
    /// # Errors
    /// The file cannot be written, or the model is not the program's.
    pub fn save(&self, model: &dyn ModelSource, path: &Path) -> Result<()> {
        let mut name = path.file_name().map(ToOwned::to_owned).unwrap_or_default();
        name.push(format!(".{}.partial", std::process::id()));
        let partial = path.with_file_name(name);
        let result = self
            .write(model, &partial)
            .and_then(|()| std::fs::rename(&partial, path).map_err(io("rename to", path)));
        if result.is_err() {
            // Best effort: the first error is the one to report.
            let _ = std::fs::remove_file(&partial);
        }
        result
    }

    fn write(&self, model: &dyn ModelSource, path: &Path) -> Result<()> {
        let file = File::create(path).map_err(io("create", path))?;
        let mut w = Writer {
            path: path.to_path_buf(),
            file: BufWriter::with_capacity(1 << 20, file),
            sum: crc32fast::Hasher::new(),
            at: 0,
            port: None,
        };
        let description = Description {
            config: self.config,
            spec: self.spec.clone(),
            layout: self.layout.clone(),
            labels: self.labels.clone(),
        };
        let json = serde_json::to_vec(&description).map_err(|e| Error::Internal(e.to_string()))?;
        w.bytes(MAGIC)?;
        w.bytes(&VERSION.to_le_bytes())?;
        w.bytes(&CONTRACT_VERSION.to_le_bytes())?;
        w.bytes(&(json.len() as u64).to_le_bytes())?;
        w.bytes(&(self.code.len() as u64).to_le_bytes())?;
        w.bytes(&json)?;
        for i in &self.code {
            w.bytes(&i.encode())?;
        }
        let channel = self.layout.kv.end * BEAT_BYTES;
        write_image(self, model, &mut FileSink { writer: &mut w, channel })?;
        w.fill(self.layout.aux.end * BEAT_BYTES)?;
        let sum = w.sum.clone().finalize();
        w.file.write_all(&sum.to_le_bytes()).map_err(io("write", path))?;
        w.file.flush().map_err(io("write", path))?;
        w.file.get_ref().sync_all().map_err(io("write", path))
    }

    /// Reads a program and its image, and proves the program.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or holds a program that the checker refuses.
    pub fn load(path: &Path) -> Result<(Self, MemoryImage)> {
        let bad = |what: &str| Error::File { path: path.to_path_buf(), what: what.to_string() };
        let mut file = BufReader::new(File::open(path).map_err(io("open", path))?);
        verify_sum(&mut file, path)?;
        let mut take = |n: usize| -> Result<Vec<u8>> {
            let mut bytes = vec![0; n];
            file.read_exact(&mut bytes).map_err(|_| bad("it ends too early"))?;
            Ok(bytes)
        };
        let header = take(HEADER)?;
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| header[at + i]));
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        if &header[..8] != MAGIC {
            return Err(bad("it does not begin like one"));
        }
        if word(8) != VERSION || word(12) != CONTRACT_VERSION {
            let what = format!(
                "it has format {} of contract {}, this program reads format {VERSION} of contract {CONTRACT_VERSION}",
                word(8),
                word(12)
            );
            return Err(bad(&what));
        }
        let (json, count) = (long(16), long(24));
        // The checksum held, so lengths are what was written; the limit keeps a forged file from asking for more.
        if json > 1 << 30 || count > 1 << 20 {
            return Err(bad("its description is too large"));
        }
        let json = take(json as usize)?;
        let d: Description = serde_json::from_slice(&json).map_err(|e| bad(&format!("description: {e}")))?;
        let code = take(count as usize * INSTR_BYTES)?;
        let mut instrs = Vec::with_capacity(count as usize);
        for (pc, bytes) in code.chunks_exact(INSTR_BYTES).enumerate() {
            let bytes = std::array::from_fn(|i| bytes[i]);
            let (_, i) = Instr::decode(&bytes).map_err(|e| bad(&format!("instruction {pc}: {e}")))?;
            instrs.push(i);
        }
        let program =
            Self { config: d.config, spec: d.spec, layout: d.layout, code: instrs, labels: d.labels };
        program.same_layout().map_err(|what| bad(&what))?;
        program.check()?;
        let l = &program.layout;
        let mut bytes = |beats: usize| take(beats * BEAT_BYTES).map(Arc::new);
        let channels = (0..l.shape.channels).map(|_| bytes(l.kv.end)).collect::<Result<_>>()?;
        let aux = bytes(l.aux.end)?;
        Ok((program, MemoryImage { channels, aux }))
    }

    /// The map must be the one that this compiler makes for the model: nothing in the file is taken on trust.
    fn same_layout(&self) -> std::result::Result<(), String> {
        let s = &self.layout.shape;
        let settings = crate::Settings { lambda: s.lambda, block: Some(s.block), sequences: s.sequences };
        let config = self.config.checked().map_err(|e| e.to_string())?;
        match Layout::new(&self.spec, &config, &settings) {
            Ok(l) if l == self.layout => self.sane_labels(),
            Ok(_) => Err("its memory map is of another version of the compiler".into()),
            Err(e) => Err(e.to_string()),
        }
    }
}

impl Program {
    /// Labels name what exists, so that looking places up cannot go astray.
    fn sane_labels(&self) -> std::result::Result<(), String> {
        let s = &self.layout.shape;
        let most = s.vocab.max(s.ff).max(s.q_rows());
        let sane = |l: &Label| {
            l.layer.is_none_or(|r| r.first < s.sizes.layers)
                && l.kv_head.is_none_or(|h| h < s.sizes.kv_heads)
                && l.sequence.is_none_or(|n| n < s.sequences)
                && l.part.is_none_or(|(first, n)| first.max(n) <= most)
        };
        match self.labels.iter().position(|l| !sane(l)) {
            Some(pc) => Err(format!("the label of instruction {pc} names what does not exist")),
            None => Ok(()),
        }
    }
}

/// Compares the checksum at the end of the file, and rewinds.
fn verify_sum(file: &mut BufReader<File>, path: &Path) -> Result<()> {
    let bad = |what: &str| Error::File { path: path.to_path_buf(), what: what.to_string() };
    let len = file.get_ref().metadata().map_err(io("read", path))?.len();
    if len < (HEADER + 4) as u64 {
        return Err(bad("it is too short"));
    }
    let mut sum = crc32fast::Hasher::new();
    let mut left = len - 4;
    let mut buffer = vec![0; 1 << 20];
    while left > 0 {
        let n = left.min(buffer.len() as u64) as usize;
        file.read_exact(&mut buffer[..n]).map_err(io("read", path))?;
        sum.update(&buffer[..n]);
        left -= n as u64;
    }
    let mut stored = [0; 4];
    file.read_exact(&mut stored).map_err(io("read", path))?;
    if sum.finalize() != u32::from_le_bytes(stored) {
        return Err(bad("its checksum does not match (truncated or damaged)"));
    }
    file.seek(SeekFrom::Start(0)).map_err(io("read", path))?;
    Ok(())
}
