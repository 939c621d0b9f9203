//! Arguments of the command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Quantize a Llama checkpoint to W2A8KV4 with 2:4 sparsity, compile it for the engine, and run it: on the
/// integer model, on the golden executor, or on the engine's SystemVerilog in Verilator, compared bit for bit.
#[derive(Debug, Parser)]
#[command(
    name = "accllm",
    version,
    propagate_version = true,
    after_help = "Examples:\n  \
        accllm run                                     a story by the bundled model, integer reference\n  \
        accllm run --device verilator --lockstep       the same story out of the RTL, every tensor compared\n  \
        accllm quantize ./my-llama ./my-llama-w2       quantize a Hugging Face folder\n  \
        accllm eval ./my-llama --text held-out.txt     perplexity after every step of the quantizer\n  \
        accllm compile ./my-llama-w2 -o prog.accllm --config u280\n  \
        accllm chat ./my-llama-w2                      talk with it; `accllm serve` does so over HTTP\n  \
        accllm bench llama2-7b                         a token of a 7B-shaped model on u280, compared\n\n\
        MODEL is a Hugging Face folder, a .gguf file, a folder written by `accllm quantize`, or `bundled` (the default)."
)]
pub struct Cli {
    /// Print one JSON object on standard output instead of text (keys: docs/cli.md).
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Quantize a checkpoint: prune 2:4, 2-bit weights, static 8-bit activations, 4-bit KV cache.
    Quantize(super::quantize::Quantize),
    /// Measure perplexity after every step from the float model to the integer model.
    Eval(Eval),
    /// Measure what each choice of the quantizer does to the perplexity, one at a time.
    Ablate(super::ablate::Ablate),
    /// Compile a model into a program and memory image for an engine configuration.
    Compile(Compile),
    /// Write a text, and compare executions bit for bit.
    Run(Run),
    /// Talk with a model, line by line.
    Chat(Chat),
    /// Serve a model over HTTP, the way OpenAI's clients expect.
    Serve(Serve),
    /// Measure cycles, bandwidth and stalls of decode and prefill on the RTL, compared bit for bit.
    Bench(Bench),
    /// List the instructions of a compiled program.
    Disasm(Disasm),
    /// Show a model's layers, sizes, padding and expected cycles on a configuration.
    Info(Info),
    /// List devices and engine configurations.
    Devices(Devices),
    /// Write a folder with which XRT's hardware emulation runs the engine in Verilator as a card.
    HwEmu(HwEmu),
    /// Try a card: compare with the golden executor, load another program, open it again, measure the driver.
    XrtCheck(XrtCheck),
    /// Be the emulated card of a program that uses XRT; XRT starts this, see hw-emu.
    XrtDevice(XrtDevice),
}

/// A row of the table that `accllm eval` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StageArg {
    /// Every row.
    All,
    /// Float weights, float arithmetic.
    Float,
    /// Weights pruned 2:4 and rounded to 2 bits, head to 4.
    W2,
    /// Static 8-bit inputs of the linear layers on top.
    A8,
    /// 4-bit KV cache on top.
    Kv4,
    /// Sinks and window instead of full attention on top.
    Lambda,
    /// The integer model, as the engine computes.
    Integer,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum YesNo {
    /// Yes.
    Yes,
    /// No.
    No,
}

/// `accllm eval`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  accllm eval\n  accllm eval ./my-llama --text wiki.txt --window 2048 --windows 32 --stage float\n  \
    accllm eval ./my-llama --text wiki.txt --window 2048 --stride 512 --bos yes\n  \
    accllm eval ./my-llama-w2 --stage integer --json\n  \
    accllm eval ./my-llama-w2 --text book.txt --long --tokens 65536 --svg long.svg"
)]
pub struct Eval {
    /// Checkpoint, quantized model (integer row only), or `bundled`.
    #[arg(default_value = "bundled")]
    pub model: String,
    /// Text to score, as one stream [default: held-out built-in stories].
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// The text is one stream, also the built-in one.
    #[arg(long, conflicts_with = "stories")]
    pub plain: bool,
    /// The text is stories separated by blank lines: each between the model's begin and end token.
    #[arg(long)]
    pub stories: bool,
    /// Tokens per window.
    #[arg(long, default_value_t = 320, value_name = "N")]
    pub window: usize,
    /// Tokens from window to window; only the last N of each but the first are scored [default: no overlap].
    #[arg(long, value_name = "N")]
    pub stride: Option<usize>,
    /// Windows to score, from the start; 0 for all.
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub windows: usize,
    /// Each window begins with the model's begin-of-text token, one of its tokens.
    #[arg(long, value_enum, default_value_t = YesNo::No)]
    pub bos: YesNo,
    /// Rows to measure.
    #[arg(long, value_enum, default_values_t = [StageArg::All], value_delimiter = ',', value_name = "ROW,...")]
    pub stage: Vec<StageArg>,
    /// Sinks of the last two rows, and of --long [default: the model's].
    #[arg(long, value_name = "N")]
    pub attention_sinks: Option<usize>,
    /// Attention window of the last two rows, and of --long [default: the model's].
    #[arg(long, value_name = "N")]
    pub attention_window: Option<usize>,
    /// Calibration text [default: built-in stories].
    #[arg(long, value_name = "FILE")]
    pub calib: Option<PathBuf>,
    /// One text of any length instead of windows: perplexity by position with sinks and window, beside the window
    /// alone and full attention; of the integer model, or with --stage float of the checkpoint.
    #[arg(long, conflicts_with_all = ["stride", "windows", "window"])]
    pub long: bool,
    /// Tokens of the text to score; 0 for all (--long).
    #[arg(long, default_value_t = 16384, value_name = "N", requires = "long")]
    pub tokens: usize,
    /// Tokens of a bucket of positions (--long).
    #[arg(long, default_value_t = 2048, value_name = "N", requires = "long")]
    pub bucket: usize,
    /// Tokens up to which full attention is measured; 0 for none [default: the trained positions and a bucket] (--long).
    #[arg(long, value_name = "N", requires = "long")]
    pub full: Option<usize>,
    /// Write a plot (--long).
    #[arg(long, value_name = "FILE", requires = "long")]
    pub svg: Option<PathBuf>,
}

/// Shape of a compiled program.
#[derive(Debug, Clone, Args)]
pub struct Shape {
    /// Engine configuration: tiny, edge, u280.
    #[arg(long, default_value = "tiny", value_name = "NAME")]
    pub config: String,
    /// First tokens that stay visible for ever [default: the model's].
    #[arg(long, value_name = "N")]
    pub sinks: Option<usize>,
    /// Last tokens that are visible, the current one included [default: the model's].
    #[arg(long = "window", value_name = "N")]
    pub window: Option<usize>,
    /// Most tokens of a prefill step [default: the configuration's].
    #[arg(long, value_name = "N")]
    pub block: Option<usize>,
}

/// `accllm compile`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  accllm compile bundled -o tinytales.accllm --config edge --sinks 4 --window 60"
)]
pub struct Compile {
    /// Model.
    #[arg(default_value = "bundled")]
    pub model: String,
    /// Program file to write.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Independent sequences, each with a KV cache of its own, that one step can decode.
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub sequences: usize,
    /// Shape.
    #[command(flatten)]
    pub shape: Shape,
}

/// Where a text is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceArg {
    /// The integer reference model, on all cores.
    Integer,
    /// The golden executor: the compiled program, instruction by instruction.
    Golden,
    /// The engine's SystemVerilog, cycle by cycle, in Verilator.
    Verilator,
    /// A card through XRT, or XRT's hardware emulation (see hw-emu).
    Xrt,
}

/// Memory behind the simulated engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MemoryArg {
    /// Answers at once, every cycle.
    Ideal,
    /// Latency, random stalls and back-pressure.
    Stalling,
    /// Timing of the U280's HBM2 and, at the auxiliary port, DDR4.
    Hbm2,
}

/// What computes a text.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// Where to compute.
    #[arg(long, value_enum, default_value_t = DeviceArg::Integer)]
    pub device: DeviceArg,
    /// Memory behind the engine (verilator).
    #[arg(long, value_enum, default_value_t = MemoryArg::Ideal)]
    pub memory: MemoryArg,
    /// Seed of the stalling memory.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub memory_seed: u64,
    /// Program written by `accllm compile` from MODEL, instead of compiling it now.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "sinks", "window", "block"])]
    pub program: Option<PathBuf>,
    /// The card.
    #[command(flatten)]
    pub card: Card,
    /// Shape.
    #[command(flatten)]
    pub shape: Shape,
}

/// How tokens are chosen.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Choice of tokens")]
pub struct Choice {
    /// 0: always the most likely token; 1: as likely as the model says; above: flatter.
    #[arg(long, default_value_t = 0.0, value_name = "T", allow_negative_numbers = true)]
    pub temperature: f64,
    /// Choose among the K most likely tokens; 0 for all.
    #[arg(long, default_value_t = 0, value_name = "K")]
    pub top_k: usize,
    /// Choose among the fewest most likely tokens that have probability P together.
    #[arg(long, default_value_t = 1.0, value_name = "P", allow_negative_numbers = true)]
    pub top_p: f64,
}

/// `accllm run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  accllm run\n  accllm run --prompt \"The dragon\" --tokens 120\n  \
    accllm run --temperature 0.8 --top-p 0.9 --seed 7\n  \
    accllm run --save-session story.session; accllm run --session story.session --device golden\n  \
    accllm run --device verilator --lockstep --tokens 64\n  \
    accllm run --device verilator --memory stalling --memory-seed 7 --sinks 4 --window 60\n  \
    accllm run --device verilator --memory hbm2 --tokens 2 --trace run.json\n  \
    accllm run --device verilator --tokens 2 --wave run.fst")]
pub struct Run {
    /// Model.
    #[arg(default_value = "bundled")]
    pub model: String,
    /// Device.
    #[command(flatten)]
    pub target: Target,
    /// Beginning of the text, or with --session what is added to it [default: Once upon a time; with --session nothing].
    #[arg(long)]
    pub prompt: Option<String>,
    /// Tokens to write.
    #[arg(long, default_value_t = 64, value_name = "N", allow_negative_numbers = true)]
    pub tokens: usize,
    /// Go on when the model ends its text.
    #[arg(long)]
    pub ignore_end: bool,
    /// Choice of tokens.
    #[command(flatten)]
    pub choice: Choice,
    /// Of the random choices: the same seed gives the same text on every device.
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "Choice of tokens")]
    pub seed: u64,
    /// End the text where STRING appears; may be given several times.
    #[arg(long, value_name = "STRING")]
    pub stop: Vec<String>,
    /// Continue the text of a saved session, bit for bit, whatever device saved it.
    #[arg(long, value_name = "FILE")]
    pub session: Option<PathBuf>,
    /// Save the session afterwards: text and KV cache.
    #[arg(long, value_name = "FILE")]
    pub save_session: Option<PathBuf>,
    /// Run a reference beside the device and compare every tensor.
    #[arg(long)]
    pub lockstep: bool,
    /// Write an FST wave file (verilator; slow, so few tokens).
    #[arg(long, value_name = "FILE")]
    pub wave: Option<PathBuf>,
    /// Write an instruction timeline for ui.perfetto.dev or chrome://tracing (verilator).
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
}

/// `accllm chat`.
#[derive(Debug, Args)]
#[command(after_help = "A line is a question. Lines that begin with / are commands:\n  \
    /reset       start again\n  /save FILE   save the conversation and its KV cache\n  \
    /load FILE   go on with a saved one\n  /quit        leave (or end of input)\n\
    Ctrl-C ends the answer; at the prompt it leaves.\n\n\
    Examples:\n  accllm chat ./my-llama-w2 --temperature 0.7\n  \
    printf 'Once upon a time\\nThen\\n' | accllm chat --device golden")]
pub struct Chat {
    /// Model.
    #[arg(default_value = "bundled")]
    pub model: String,
    /// Device.
    #[command(flatten)]
    pub target: Target,
    /// Most tokens of an answer.
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub tokens: usize,
    /// Instructions in front of the conversation.
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// Jinja template in place of the model's.
    #[arg(long, value_name = "FILE")]
    pub chat_template: Option<PathBuf>,
    /// Choice of tokens.
    #[command(flatten)]
    pub choice: Choice,
    /// Of the random choices.
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "Choice of tokens")]
    pub seed: u64,
    /// End an answer where STRING appears; may be given several times.
    #[arg(long, value_name = "STRING")]
    pub stop: Vec<String>,
    /// Go on with a saved conversation.
    #[arg(long, value_name = "FILE")]
    pub session: Option<PathBuf>,
}

/// `accllm serve`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  accllm serve\n  accllm serve ./my-llama-w2 --device golden --port 0\n  \
    curl http://127.0.0.1:8080/v1/completions -H 'Content-Type: application/json' \\\n       \
    -d '{\"model\": \"bundled\", \"prompt\": \"Once upon a time\", \"max_tokens\": 32}'\n\n\
    Endpoints, limits and a Python example: docs/serving.md."
)]
pub struct Serve {
    /// Model.
    #[arg(default_value = "bundled")]
    pub model: String,
    /// Device.
    #[command(flatten)]
    pub target: Target,
    /// Address to listen on. Anyone who reaches it can use it; there is no login.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub host: std::net::IpAddr,
    /// Port; 0 for any that is free. The line that begins with `listening on` says which.
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Name of the model in requests [default: last part of MODEL].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Jinja template in place of the model's.
    #[arg(long, value_name = "FILE")]
    pub chat_template: Option<PathBuf>,
    /// Choice of tokens, for requests that say nothing.
    #[command(flatten)]
    pub choice: Choice,
    /// Requests that may wait while one is computed; more are refused (429).
    #[arg(long, default_value_t = 16, value_name = "N", help_heading = "Limits")]
    pub queue: usize,
    /// Open connections; more wait to be accepted.
    #[arg(long, default_value_t = 64, value_name = "N", help_heading = "Limits")]
    pub connections: usize,
    /// Most tokens of a prompt.
    #[arg(long, default_value_t = 4096, value_name = "N", help_heading = "Limits")]
    pub max_prompt: usize,
    /// Most tokens that a request may ask for.
    #[arg(long, default_value_t = 1024, value_name = "N", help_heading = "Limits")]
    pub max_tokens: usize,
    /// Most bytes of a request.
    #[arg(long, default_value_t = 1 << 20, value_name = "BYTES", help_heading = "Limits")]
    pub max_body: usize,
    /// Seconds for a request to arrive, and for a connection to stay unused.
    #[arg(long, default_value_t = 30, value_name = "SECONDS", help_heading = "Limits",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// Seconds that requests have to end after SIGINT or SIGTERM.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", help_heading = "Limits")]
    pub grace: u64,
}

/// Which card, with what.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Card (xrt)")]
pub struct Card {
    /// Index of the card, or its PCIe address.
    #[arg(long, default_value = "0", value_name = "INDEX|BDF")]
    pub card: String,
    /// The xclbin for the card.
    #[arg(long, env = "ACCLLM_XCLBIN", value_name = "FILE")]
    pub xclbin: Option<PathBuf>,
    /// How long one run of the program may take [default: 10 on a card, 3600 in emulation].
    #[arg(long, value_name = "SECONDS")]
    pub limit: Option<u64>,
    /// Do not read back what was uploaded.
    #[arg(long)]
    pub no_verify: bool,
}

/// `accllm hw-emu`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  accllm hw-emu build/hw_emu && . build/hw_emu/env.sh && accllm run --device xrt\n\n\
    Needs XRT's libraries (Debian: libxrt1). The programs that run in this environment need not be accllm."
)]
pub struct HwEmu {
    /// Folder to write.
    pub folder: PathBuf,
    /// The emulated card.
    #[command(flatten)]
    pub device: XrtDevice,
}

/// `accllm xrt-check`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  accllm xrt-check --config u280 --xclbin build/accllm_u280.xclbin")]
pub struct XrtCheck {
    /// Model.
    #[arg(default_value = "bundled")]
    pub model: String,
    /// The card.
    #[command(flatten)]
    pub card: Card,
    /// Beginning of the text.
    #[arg(long, default_value = "Once upon a time")]
    pub prompt: String,
    /// Tokens to compare, three times.
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub tokens: usize,
    /// Runs to time, three ways.
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub runs: u32,
    /// Shape.
    #[command(flatten)]
    pub shape: Shape,
}

/// `accllm xrt-device`.
#[derive(Debug, Args)]
pub struct XrtDevice {
    /// Engine configuration: tiny, edge, u280.
    #[arg(long, default_value = "tiny", value_name = "NAME")]
    pub config: String,
    /// Memory behind the engine.
    #[arg(long, value_enum, default_value_t = MemoryArg::Ideal)]
    pub memory: MemoryArg,
    /// Seed of the stalling memory.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub memory_seed: u64,
    /// Deliberate trouble, to try what a host does about it.
    #[arg(long, value_enum)]
    pub trouble: Option<TroubleArg>,
    /// Beat of the memory where the trouble is (corrupt: channel 0).
    #[arg(long, default_value_t = 0, value_name = "BEAT")]
    pub at: u64,
    /// Memory port where the trouble is; the last is the auxiliary one.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub port: usize,
}

/// Deliberate trouble of an emulated card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TroubleArg {
    /// The process is killed in its first run.
    Die,
    /// Runs never end.
    Hang,
    /// Buffers are refused.
    Refuse,
    /// A bit of the upload is flipped.
    Corrupt,
    /// A beat answers with a bus error.
    ReadError,
    /// A memory port never answers.
    Stall,
}

impl XrtDevice {
    /// These arguments, as words of a command line.
    pub fn words(&self) -> Vec<String> {
        let value =
            |v: Option<clap::builder::PossibleValue>| v.map(|v| v.get_name().to_owned()).unwrap_or_default();
        let mut words = vec![
            "--config".to_owned(),
            self.config.clone(),
            "--memory".to_owned(),
            value(self.memory.to_possible_value()),
            "--memory-seed".to_owned(),
            self.memory_seed.to_string(),
        ];
        if let Some(trouble) = &self.trouble {
            words.extend(["--trouble".to_owned(), value(trouble.to_possible_value())]);
            words.extend([
                "--at".to_owned(),
                self.at.to_string(),
                "--port".to_owned(),
                self.port.to_string(),
            ]);
        }
        words
    }
}

/// Memory behind the engine of `accllm bench`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchMemory {
    /// Answers at once, every cycle.
    Ideal,
    /// Timing of the U280's HBM2 and, at the auxiliary port, DDR4.
    Hbm2,
}

/// Width of what is 8 or 16 bits wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BitsArg {
    /// One int8.
    #[value(name = "8")]
    Eight,
    /// Two int8 halves on two token lanes.
    #[value(name = "16")]
    Sixteen,
}

/// `accllm bench`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  accllm bench llama2-7b\n  accllm bench llama2-7b --context 128 --memory ideal --json\n  \
    accllm bench llama2-7b --prompt 512 --layers 2\n  accllm bench llama2-7b --batch 4 --context 128 --layers 2\n  accllm bench tinytales --config tiny --context 64\n  \
    accllm bench smollm2-135m --cpu --threads 2"
)]
pub struct Bench {
    /// llama2-7b, llama3-8b, smollm2-135m (random weights of the right formats), or tinytales (the bundled model).
    #[arg(required_unless_present = "page")]
    pub shape: Option<String>,
    /// Engine configuration: tiny, edge, u280.
    #[arg(long, default_value = "u280", value_name = "NAME")]
    pub config: String,
    /// Decode with N tokens before it [default: the full window, unless --prompt is given].
    #[arg(long, value_name = "N")]
    pub context: Option<u64>,
    /// Decode S independent sequences at once, one token of each in a run of the program.
    #[arg(long, value_name = "S", conflicts_with = "prompt")]
    pub batch: Option<usize>,
    /// Prefill a prompt of N tokens from an empty cache.
    #[arg(long, value_name = "N")]
    pub prompt: Option<usize>,
    /// Tokens to decode, of each sequence.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub tokens: usize,
    /// Memory behind the engine.
    #[arg(long, value_enum, default_value_t = BenchMemory::Hbm2)]
    pub memory: BenchMemory,
    /// Run this many of the model's layers (and the head); figures are those of the shorter model.
    #[arg(long, value_name = "N")]
    pub layers: Option<usize>,
    /// First tokens that stay visible for ever [default: 4, or the bundled model's].
    #[arg(long, value_name = "N")]
    pub sinks: Option<usize>,
    /// Last tokens that are visible, the current one included [default: 2044, or the bundled model's].
    #[arg(long = "window", value_name = "N")]
    pub window: Option<usize>,
    /// Most tokens of a prefill step [default: the configuration's].
    #[arg(long, value_name = "N")]
    pub block: Option<usize>,
    /// Write an instruction timeline of the phase for ui.perfetto.dev or chrome://tracing.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Bits of softmax probabilities [default: 16].
    #[arg(long, value_enum, value_name = "BITS")]
    pub prob_bits: Option<BitsArg>,
    /// Seed of weights, cache and tokens.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Run the RTL alone, without the comparison with the golden executor.
    #[arg(long)]
    pub no_compare: bool,
    /// Measure the integer reference model on this computer instead: windows of 2048 tokens scored, and decode. The
    /// shape may then also be a model's name or folder.
    #[arg(long, conflicts_with_all = ["config", "context", "batch", "prompt", "memory", "block", "trace", "no_compare"])]
    pub cpu: bool,
    /// Threads (--cpu) [default: all].
    #[arg(long, value_name = "N", requires = "cpu")]
    pub threads: Option<usize>,
    /// Run all cases of docs/performance.md (ten minutes) and write that page.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["shape", "config", "context", "batch", "prompt", "tokens", "memory",
        "layers", "sinks", "window", "block", "trace", "prob_bits", "seed", "no_compare", "cpu", "threads"])]
    pub page: Option<PathBuf>,
}

/// `accllm disasm`.
#[derive(Debug, Args)]
pub struct Disasm {
    /// Program written by `accllm compile`.
    pub file: PathBuf,
}

/// `accllm info`.
#[derive(Debug, Args)]
pub struct Info {
    /// Model.
    #[arg(default_value = "bundled")]
    pub model: String,
    /// Shape.
    #[command(flatten)]
    pub shape: Shape,
}

/// `accllm devices`.
#[derive(Debug, Args)]
pub struct Devices {
    /// Build the RTL model of a configuration now instead of at its first use.
    #[arg(long, value_name = "CONFIG")]
    pub build: Vec<String>,
}
