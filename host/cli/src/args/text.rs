//! Arguments of the verbs that write text.

use super::{Choice, Target};
use clap::Args;
use std::path::PathBuf;

/// What computes a text, and how its tokens are chosen.
#[derive(Debug, Clone, Args)]
pub struct Writer {
    /// Model.
    #[arg(default_value = "bundled")]
    pub model: String,
    /// Device.
    #[command(flatten)]
    pub target: Target,
    /// Choice of tokens; for `serve` of requests that say nothing.
    #[command(flatten)]
    pub choice: Choice,
}

/// `accllm eval-choices`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each line of FILE is a question, and its answers follow the context without anything between:\n  \
    {\"context\": \"The sky is\", \"choices\": [\" blue\", \" loud\"], \"gold\": 0}\n\n\
    Examples:\n  accllm eval-choices --questions q.jsonl\n  \
    accllm eval-choices ./my-llama-w2 --questions q.jsonl --device verilator\n\n\
    The same numbers as lm-evaluation-harness through `accllm serve`: docs/evaluation.md."
)]
pub struct EvalChoices {
    /// Model.
    #[arg(default_value = "bundled")]
    pub model: String,
    /// Device.
    #[command(flatten)]
    pub target: Target,
    /// Questions as JSON, one on each line.
    #[arg(long, value_name = "FILE")]
    pub questions: PathBuf,
}

/// What a text of one's own has, which is written here and now.
#[derive(Debug, Clone, Args)]
pub struct Own {
    /// Of the random choices: the same seed gives the same text on every device.
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "Choice of tokens")]
    pub seed: u64,
    /// End the text where STRING appears; may be given several times.
    #[arg(long, value_name = "STRING")]
    pub stop: Vec<String>,
    /// Go on with a saved session, bit for bit, whatever device saved it.
    #[arg(long, value_name = "FILE")]
    pub session: Option<PathBuf>,
}

/// How messages become a text.
#[derive(Debug, Clone, Args)]
pub struct Dialogue {
    /// Jinja template in place of the model's.
    #[arg(long, value_name = "FILE")]
    pub chat_template: Option<PathBuf>,
    /// The date for templates that ask for it, such as 2026-07-14 [default: now].
    #[arg(long, value_name = "DATE")]
    pub date: Option<String>,
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
    /// Model, device and choice of tokens.
    #[command(flatten)]
    pub writer: Writer,
    /// Beginning of the text, or with --session what is added to it [default: Once upon a time; with --session nothing].
    #[arg(long)]
    pub prompt: Option<String>,
    /// Tokens to write.
    #[arg(long, default_value_t = 64, value_name = "N", allow_negative_numbers = true)]
    pub tokens: usize,
    /// Go on when the model ends its text.
    #[arg(long)]
    pub ignore_end: bool,
    /// Seed, ends, session.
    #[command(flatten)]
    pub own: Own,
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
    /// Model, device and choice of tokens.
    #[command(flatten)]
    pub writer: Writer,
    /// Most tokens of an answer.
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub tokens: usize,
    /// Instructions in front of the conversation.
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// Template.
    #[command(flatten)]
    pub dialogue: Dialogue,
    /// Seed, ends, session.
    #[command(flatten)]
    pub own: Own,
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
    /// Model, device and choice of tokens.
    #[command(flatten)]
    pub writer: Writer,
    /// Address to listen on. Anyone who reaches it can use it; there is no login.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub host: std::net::IpAddr,
    /// Port; 0 for any that is free. The line that begins with `listening on` says which.
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Name of the model in requests [default: last part of MODEL].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Template.
    #[command(flatten)]
    pub dialogue: Dialogue,
    /// Let scripts of web pages from ORIGIN ask (`*`: from any); without it browsers do not.
    #[arg(long, value_name = "ORIGIN")]
    pub cors: Option<String>,
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
