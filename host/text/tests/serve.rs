//! The HTTP server in this process, on a runner that the tests control: limits, malformed requests, clients that go,
//! runners that fail, stopping.

use accllm_device::{Error, Result};
use accllm_llm::model::{HeadCache, LambdaShape};
use accllm_text::calibration::Calibration;
use accllm_text::chat::Template;
use accllm_text::model::{Ready, Source};
use accllm_text::runner::{Part, Runner};
use accllm_text::sample::Sampling;
use accllm_text::serve::{Limits, MakeRunner, Model, Server, Stop};
use serde_json::Value;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

static READY: LazyLock<Arc<Ready>> = LazyLock::new(|| {
    let source = Source::find("bundled").unwrap();
    Arc::new(Ready::open(&source, &Calibration::open(None).unwrap()).unwrap())
});

/// What tests see of the runner, and how it behaves.
#[derive(Default)]
struct State {
    steps: AtomicU64,
    /// Milliseconds of a step.
    slow: AtomicU64,
    /// Steps wait while this is set.
    hold: AtomicBool,
    /// Steps from now after which one fails; 0: none.
    fail: AtomicU64,
}

/// Counts upwards from the last token.
struct Counter {
    state: Arc<State>,
    position: u64,
}

impl Runner for Counter {
    fn lambda(&self) -> LambdaShape {
        LambdaShape { n_sink: 0, n_window: 64 }
    }

    fn block(&self) -> usize {
        4
    }

    fn position(&self) -> u64 {
        self.position
    }

    fn step(&mut self, tokens: &[u32], part: Part) -> Result<Option<u32>> {
        while self.state.hold.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(self.state.slow.load(SeqCst)));
        if self.state.fail.load(SeqCst) > 0 && self.state.fail.fetch_sub(1, SeqCst) == 1 {
            return Err(Error::Fault("the board is on fire".into()));
        }
        self.state.steps.fetch_add(1, SeqCst);
        self.position += tokens.len() as u64;
        let next = tokens.last().map_or(300, |t| 300 + (t + 1) % 600);
        Ok((part != Part::Prompt).then_some(next))
    }

    fn logits(&mut self) -> Result<Vec<i32>> {
        Ok(vec![0; 1024])
    }

    fn rewind(&mut self, to: u64) -> Result<bool> {
        self.position = to;
        Ok(true)
    }

    fn head_cache(&mut self, _: usize, _: usize) -> Result<HeadCache> {
        Ok(HeadCache::default())
    }

    fn restore(&mut self, _: u64, _: &mut dyn FnMut(usize, usize) -> Result<HeadCache>) -> Result<()> {
        Ok(())
    }
}

const LIMITS: Limits = Limits {
    queue: 1,
    connections: 8,
    prompt: 40,
    tokens: 5000,
    body: 4000,
    timeout: Duration::from_secs(1),
    grace: Duration::from_secs(2),
};

struct Running {
    address: SocketAddr,
    state: Arc<State>,
    stop: Stop,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Running {
    fn new(limits: Limits) -> Self {
        Self::with(limits, None)
    }

    fn with(limits: Limits, cors: Option<&str>) -> Self {
        let server = Server::bind(([127, 0, 0, 1], 0).into(), limits).unwrap();
        let (address, stop) = (server.address().unwrap(), server.stop());
        let state = Arc::new(State::default());
        let template = Template::of(&READY).unwrap();
        let (sampling, cors) = (Sampling::default(), cors.map(str::to_string));
        let model = Model { ready: READY.clone(), name: "m".into(), template, sampling, cors };
        let for_runner = state.clone();
        let (sender, receiver) = mpsc::channel();
        let on_ready = move || {
            sender.send(()).unwrap();
            Ok(())
        };
        let make: MakeRunner = Box::new(move |_| Ok(Box::new(Counter { state: for_runner, position: 0 })));
        let thread = std::thread::spawn(move || server.run(model, make, on_ready, |_| {}));
        receiver.recv().unwrap();
        Self { address, state, stop, thread: Some(thread) }
    }

    fn slow(limits: Limits, milliseconds: u64) -> Self {
        let running = Self::new(limits);
        running.state.slow.store(milliseconds, SeqCst);
        running
    }

    fn open(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends bytes; the connection stays open.
    fn send(&self, bytes: &str) -> TcpStream {
        let mut stream = self.open();
        stream.write_all(bytes.as_bytes()).unwrap();
        stream
    }

    fn post(&self, path: &str, body: &str) -> TcpStream {
        self.send(&post(path, body))
    }

    fn complete(&self, body: &str) -> (u16, Value) {
        json(&all(self.post("/v1/completions", body)))
    }

    fn steps(&self) -> u64 {
        self.state.steps.load(SeqCst)
    }

    /// Waits until the runner has done something.
    fn wait_for_steps(&self, n: u64) {
        let start = Instant::now();
        while self.steps() < n {
            assert!(start.elapsed() < Duration::from_secs(20), "the engine does not start");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until the runner does nothing more; it must have stopped before `most` steps.
    fn settled(&self, most: u64) {
        let mut last = self.steps();
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let now = self.steps();
            assert!(now < most, "{now} steps");
            if now == last {
                return;
            }
            last = now;
        }
    }

    fn join(mut self) -> Result<()> {
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.stop.stop();
            self.stop.stop();
            let done = thread.join();
            if !std::thread::panicking() {
                done.unwrap().unwrap();
            }
        }
    }
}

fn post(path: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {len}\r\n\r\n{body}"
    )
}

/// Everything up to the end of the connection.
fn all(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        // What was sent after the answer is refused by a reset.
        Err(e) if e.kind() == ErrorKind::ConnectionReset => {}
        Err(e) => panic!("{e}"),
    }
    String::from_utf8(bytes).unwrap()
}

/// Status and body.
fn json(answer: &str) -> (u16, Value) {
    let status =
        answer.split(' ').nth(1).unwrap_or_else(|| panic!("no status in: {answer:?}")).parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}")))
}

/// Events of a streamed answer.
fn events(answer: &str) -> Vec<String> {
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("text/event-stream"), "{answer}");
    answer.lines().filter_map(|l| l.strip_prefix("data: ")).map(str::to_string).collect()
}

#[test]
fn refusals_say_what_is_wrong() {
    let server = Running::new(LIMITS);
    let long = format!(r#"{{"prompt": "{}"}}"#, "word ".repeat(60));
    let messages = |m: &str| format!(r#"{{"messages": {m}}}"#);
    let (completions, chat) = ("/v1/completions", "/v1/chat/completions");
    let deep = format!("{}{}", "[".repeat(1500), "]".repeat(1500));
    let cases: &[(&str, &str, u16, &str)] = &[
        (completions, "", 400, "not JSON"),
        (completions, "{\"prompt\"", 400, "not JSON"),
        (completions, &deep, 400, "not JSON"),
        (completions, "[1]", 400, "object"),
        (completions, "{}", 400, "prompt"),
        (completions, r#"{"prompt": 5}"#, 400, "prompt"),
        (completions, r#"{"prompt": []}"#, 400, "empty"),
        (completions, r#"{"prompt": ["a", []]}"#, 400, "empty"),
        (completions, r#"{"prompt": ["a", 5]}"#, 400, "list of token ids"),
        (completions, r#"{"prompt": ["a", "b"], "stream": true}"#, 400, "stream"),
        (completions, r#"{"prompt": [1024]}"#, 400, "1024"),
        (completions, r#"{"prompt": [-1]}"#, 400, "prompt"),
        (completions, &long, 400, "at most 40"),
        (completions, r#"{"prompt": "a", "model": "gpt-9"}"#, 404, "'m'"),
        (completions, r#"{"prompt": "a", "max_tokens": 0}"#, 400, "1 to 5000"),
        (completions, r#"{"prompt": "a", "max_tokens": 5001}"#, 400, "1 to 5000"),
        (completions, r#"{"prompt": "a", "max_tokens": -3}"#, 400, "max_tokens"),
        (completions, r#"{"prompt": "a", "temperature": -1}"#, 400, "temperature"),
        (completions, r#"{"prompt": "a", "temperature": "hot"}"#, 400, "temperature"),
        (completions, r#"{"prompt": "a", "top_p": 2}"#, 400, "top_p"),
        (completions, r#"{"prompt": "a", "seed": 1.5}"#, 400, "seed"),
        (completions, r#"{"prompt": "a", "stop": ["1","2","3","4","5"]}"#, 400, "up to 4"),
        (completions, r#"{"prompt": "a", "stop": ""}"#, 400, "empty"),
        (completions, r#"{"prompt": "a", "n": 2}"#, 400, "'n'"),
        (completions, r#"{"prompt": "a", "logprobs": 21}"#, 400, "logprobs"),
        (completions, r#"{"prompt": "a", "echo": 5}"#, 400, "echo"),
        (chat, "{}", 400, "messages"),
        (chat, &messages("[]"), 400, "empty"),
        (chat, &messages(r#"[{"role": "tool", "content": "x"}]"#), 400, "tool"),
        (chat, &messages(r#"[{"role": "user", "content": [{"type": "image_url"}]}]"#), 400, "image_url"),
        (chat, &messages(r#"[{"content": "x"}]"#), 400, "role"),
        (chat, r#"{"messages": [{"role": "user", "content": "x"}], "tools": [{}]}"#, 400, "tools"),
        (chat, r#"{"messages": [{"role": "user", "content": "x"}], "top_logprobs": 2}"#, 400, "logprobs"),
        ("/v1/embeddings", "{}", 404, "/v1/embeddings"),
        ("/v1/models", "{}", 405, "GET"),
    ];
    for (path, body, status, word) in cases {
        let (got, answer) = json(&all(server.post(path, body)));
        let message =
            answer["error"]["message"].as_str().unwrap_or_else(|| panic!("{path} {body}: {answer}"));
        assert!(got == *status && message.contains(word), "{path} {body}: {got} {message}");
        assert_eq!(answer["error"]["type"], "invalid_request_error");
    }
    assert_eq!(server.steps(), 0);
}

/// A refusal says what field is wrong, and what is right still works after it.
#[test]
fn the_server_goes_on_after_a_refusal() {
    let server = Running::new(LIMITS);
    let long = format!(r#"{{"prompt": "{}"}}"#, "word ".repeat(60));
    assert_eq!(server.complete(r#"{"prompt": "a", "n": 2}"#).1["error"]["param"], "n");
    assert_eq!(server.complete(&long).1["error"]["code"], "context_length_exceeded");
    let get = |path: &str| {
        json(&all(server.send(&format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"))))
    };
    assert_eq!(get("/v1/models/x").0, 404);
    assert_eq!(get("/v1/completions").0, 405);
    assert_eq!(server.steps(), 0);
    // And what is right still works.
    assert_eq!((get("/health").0, get("/v1/models").1["data"][0]["id"].as_str()), (200, Some("m")));
    assert_eq!(get("/v1/models/m").0, 200);
    let harmless =
        r#"{"prompt": "a", "n": 1, "user": "x", "logprobs": null, "stop": null, "presence_penalty": 0.0}"#;
    assert_eq!(server.complete(harmless).0, 200);
}

#[test]
fn answers_whole_and_in_pieces() {
    let server = Running::new(LIMITS);
    let (status, whole) = server.complete(r#"{"model": "m", "prompt": [5, 6, 7], "max_tokens": 40}"#);
    assert_eq!((status, &whole["object"]), (200, &"text_completion".into()));
    let usage = &whole["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&3.into(), &40.into()));
    assert_eq!(
        (&usage["total_tokens"], &whole["choices"][0]["finish_reason"]),
        (&43.into(), &"length".into())
    );
    let text = whole["choices"][0]["text"].as_str().unwrap();

    let request = r#"{"prompt": [5, 6, 7], "max_tokens": 40, "stream": true, "stream_options": {"include_usage": true}}"#;
    let streamed = events(&all(server.post("/v1/completions", request)));
    let (done, chunks) = streamed.split_last().unwrap();
    assert_eq!(done, "[DONE]");
    let chunks: Vec<Value> = chunks.iter().map(|c| serde_json::from_str(c).unwrap()).collect();
    let pieces = chunks.iter().filter_map(|c| c["choices"][0]["text"].as_str());
    assert_eq!(pieces.collect::<String>(), text);
    assert!(chunks.len() > 10 && chunks.iter().all(|c| c["id"] == chunks[0]["id"]));
    let [.., last, usage] = &chunks[..] else { panic!("{chunks:?}") };
    assert_eq!(last["choices"][0]["finish_reason"], "length");
    // The prompt but its last token is known from the request before.
    assert_eq!(
        (&usage["usage"]["completion_tokens"], &usage["choices"]),
        (&40.into(), &Value::Array(vec![]))
    );
    assert_eq!(usage["usage"]["prompt_tokens_details"]["cached_tokens"], 2);

    let middle: String = text.chars().skip(text.chars().count() / 2).take(3).collect();
    let request = serde_json::json!({"prompt": [5, 6, 7], "max_tokens": 40, "stop": [middle]}).to_string();
    let (_, stopped) = server.complete(&request);
    assert_eq!(stopped["choices"][0]["finish_reason"], "stop");
    assert_eq!(stopped["choices"][0]["text"].as_str(), text.split(&middle).next());

    let request = r#"{"messages": [{"role": "developer", "content": "Be"}, {"role": "user", "content": [{"type": "text", "text": "kind"}]}], "max_completion_tokens": 5}"#;
    let (_, chat) = json(&all(server.post("/v1/chat/completions", request)));
    assert_eq!(
        (&chat["object"], &chat["usage"]["completion_tokens"]),
        (&"chat.completion".into(), &5.into())
    );
    assert!(chat["choices"][0]["message"]["content"].is_string());
}

/// What would change the answer is refused by its name, in the words of the interface.
#[test]
fn serve_fields() {
    let server = Running::new(LIMITS);
    let completions = "/v1/completions";
    for (field, word) in [
        (r#""min_p": 2"#, "min_p"),
        (r#""repetition_penalty": 0"#, "repetition_penalty"),
        (r#""presence_penalty": 2.5"#, "presence_penalty"),
        (r#""frequency_penalty": "x""#, "'frequency_penalty' is \"x\"; it must be a number"),
        (r#""logit_bias": {"1024": 1}"#, "logit_bias"),
        (r#""logit_bias": {"5": 101}"#, "logit_bias"),
        (r#""logit_bias": 5"#, "logit_bias"),
        (r#""stop_token_ids": [1024]"#, "stop_token_ids"),
        (r#""stop_token_ids": 5"#, "stop_token_ids"),
        (r#""ignore_eos": "yes""#, "'ignore_eos' is \"yes\"; it must be true or false"),
        (r#""min_tokens": 5"#, "'min_tokens' is not supported"),
        (r#""tool_choice": "required""#, "'tool_choice' is not supported"),
        (r#""guided_json": {"a": 1}"#, "'guided_json' is not supported"),
        (r#""stream_options": 5"#, "stream_options"),
    ] {
        let (status, answer) =
            json(&all(server.post(completions, &format!(r#"{{"prompt": "a", {field}}}"#))));
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(status == 400 && message.contains(word), "{field}: {message}");
    }
    let calls = r#"{"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function"}]}"#;
    for (message, word) in [
        (calls, "'messages[0].tool_calls' is not supported"),
        (r#"{"role": "user", "content": 5}"#, "'messages[0].content' is 5; it must be a string"),
        (r#"{"role": 5}"#, "'messages[0].role' must be"),
        (r#""hello""#, "'messages[0]' is \"hello\"; it must be an object"),
    ] {
        let (_, answer) =
            json(&all(server.post("/v1/chat/completions", &format!(r#"{{"messages": [{message}]}}"#))));
        let said = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(said.contains(word), "{message}: {said}");
    }
    let (_, answer) = server.complete(r#"{"prompt": [-1]}"#);
    let said = answer["error"]["message"].as_str().unwrap();
    assert!(said.contains("-1 as a token") && said.contains("0 to 1023"), "{said}");
    assert_eq!(server.steps(), 0);
}

/// Fields that other servers know, and what they do here.
#[test]
fn fields_of_other_servers() {
    let server = Running::new(LIMITS);
    // The engine counts: 5 is followed by 306, then 607.
    let text = |fields: &str| {
        let (status, answer) = server.complete(&format!(r#"{{"prompt": [5], "max_tokens": 3, {fields}}}"#));
        assert_eq!(status, 200, "{answer}");
        (answer["choices"][0]["finish_reason"].clone(), answer["usage"]["completion_tokens"].clone())
    };
    assert_eq!(text(r#""stop_token_ids": [607]"#), ("stop".into(), 1.into()));
    assert_eq!(text(r#""stop_token_ids": [607], "ignore_eos": true"#), ("stop".into(), 1.into()));
    assert_eq!(
        text(r#""tool_choice": "auto", "n": 1, "top_k": -1, "user": "x""#),
        ("length".into(), 3.into())
    );
    // False and 0 are no answer to what happens without being asked for.
    for field in [
        "skip_special_tokens",
        "add_special_tokens",
        "add_generation_prompt",
        "detokenize",
        "enable_thinking",
    ] {
        let (status, answer) = server.complete(&format!(r#"{{"prompt": [5], "{field}": false}}"#));
        assert_eq!((status, &answer["error"]["param"]), (400, &field.into()), "{answer}");
    }
    for field in ["length_penalty", "typical_p", "repeat_penalty", "n"] {
        let (status, answer) = server.complete(&format!(r#"{{"prompt": [5], "{field}": 0}}"#));
        assert_eq!((status, &answer["error"]["param"]), (400, &field.into()), "{answer}");
    }
    assert_eq!(
        text(
            r#""skip_special_tokens": true, "use_beam_search": false, "min_tokens": 0, "mirostat": 0, "tools": []"#
        ),
        ("length".into(), 3.into())
    );
    // All logits are equal, so that the bias alone decides.
    let biased = server
        .complete(r#"{"prompt": [5], "max_tokens": 2, "logit_bias": {"70": 1, "71": 2}, "logprobs": 0}"#)
        .1;
    let names = READY.tokenizer.decode(&[71]).unwrap();
    assert_eq!(biased["choices"][0]["logprobs"]["tokens"], serde_json::json!([names, names]));
    let once = server
        .complete(r#"{"prompt": [5], "max_tokens": 2, "logit_bias": {"70": 1, "71": 2}, "presence_penalty": 1.5, "logprobs": 0}"#)
        .1;
    let other = READY.tokenizer.decode(&[70]).unwrap();
    assert_eq!(once["choices"][0]["logprobs"]["tokens"], serde_json::json!([names, other]));
}

/// Log-probabilities of prompts and answers. All 1,024 logits are equal here.
#[test]
fn logprobs_of_prompts_and_answers() {
    let server = Running::new(LIMITS);
    let even = -(1024f64.ln());
    let near = |v: &Value| v.as_f64().is_some_and(|x| (x - even).abs() < 1e-9);
    let (_, all) =
        server.complete(r#"{"prompt": [[5, 6], [7]], "max_tokens": 1, "echo": true, "logprobs": 2}"#);
    let choices = all["choices"].as_array().unwrap();
    assert_eq!((choices.len(), &choices[1]["index"]), (2, &1.into()));
    let first = &choices[0]["logprobs"];
    assert_eq!((first["tokens"].as_array().unwrap().len(), &first["token_logprobs"][0]), (3, &Value::Null));
    assert!(near(&first["token_logprobs"][1]) && near(&first["token_logprobs"][2]), "{first}");
    assert_eq!(first["text_offset"][0], 0);
    assert!(first["top_logprobs"][0].is_null() && first["top_logprobs"][1].as_object().unwrap().len() >= 2);
    let prompt = READY.tokenizer.decode(&[5, 6]).unwrap();
    assert!(choices[0]["text"].as_str().unwrap().starts_with(&prompt));
    assert_eq!((&all["usage"]["prompt_tokens"], &all["usage"]["completion_tokens"]), (&3.into(), &2.into()));
    // Nothing is written where nothing is asked for.
    let (_, none) = server.complete(r#"{"prompt": [5, 6], "max_tokens": 0, "echo": true}"#);
    assert_eq!(none["choices"][0]["text"], prompt.as_str());
    let (_, of_prompt) = server.complete(r#"{"prompt": [5, 6], "max_tokens": 1, "prompt_logprobs": 1}"#);
    let listed = &of_prompt["choices"][0]["prompt_logprobs"];
    assert!(listed[0].is_null() && near(&listed[1]["6"]["logprob"]), "{listed}");
    assert_eq!(listed[1]["6"]["rank"], 7);
    assert_eq!(listed[1]["0"]["rank"], 1);
    // The token that ends a text is among them, and not in the text.
    let (_, ended) =
        server.complete(r#"{"prompt": [5], "max_tokens": 4, "stop_token_ids": [306], "logprobs": 0}"#);
    assert_eq!(ended["choices"][0]["text"], "");
    assert_eq!(ended["choices"][0]["logprobs"]["tokens"].as_array().unwrap().len(), 1);
    let chat = r#"{"messages": [{"role": "user", "content": "x"}], "max_tokens": 2, "logprobs": true, "top_logprobs": 3}"#;
    let (_, chat) = json(&self::all(server.post("/v1/chat/completions", chat)));
    let content = chat["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!((content.len(), content[0]["top_logprobs"].as_array().unwrap().len()), (2, 3));
    assert!(near(&content[1]["logprob"]) && content[1]["bytes"].is_array());
}

#[test]
fn other_pages_ask_only_where_they_may() {
    let server = Running::new(LIMITS);
    let ask = |server: &Running, method: &str, origin: &str| {
        let head =
            format!("{method} /health HTTP/1.1\r\nHost: h\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n");
        all(server.send(&head)).to_lowercase()
    };
    let page = "http://localhost:3000";
    assert!(!ask(&server, "GET", page).contains("access-control"));
    assert!(ask(&server, "OPTIONS", page).starts_with("http/1.1 405"));
    for (allowed, other) in [(page, false), ("*", true)] {
        let server = Running::with(LIMITS, Some(allowed));
        let line = format!("access-control-allow-origin: {allowed}");
        assert!(ask(&server, "GET", page).contains(&line));
        let before = ask(&server, "OPTIONS", page);
        assert!(before.starts_with("http/1.1 204") && before.contains(&line), "{before}");
        assert!(before.contains("access-control-allow-headers: *, authorization, content-type"));
        assert_eq!(ask(&server, "GET", "http://evil.example").contains("allow-origin"), other);
    }
}

#[test]
fn connections_are_kept_and_reused() {
    let server = Running::new(LIMITS);
    let mut stream = server.open();
    for _ in 0..3 {
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        let mut buffer = [0; 1024];
        let n = stream.read(&mut buffer).unwrap();
        assert!(String::from_utf8_lossy(&buffer[..n]).contains("\"ok\""));
    }
    // Unused, it is closed.
    let start = Instant::now();
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
    assert!((Duration::from_millis(500)..Duration::from_secs(8)).contains(&start.elapsed()));
}

#[test]
fn what_is_no_http_or_too_large() {
    let server = Running::new(LIMITS);
    assert!(all(server.send("\0\x01garbage\r\n\r\n")).starts_with("HTTP/1.1 400"));
    assert!(all(server.send("GET /health HTTP/9.9\r\n\r\n")).starts_with("HTTP/1.1 4"));
    let head = format!("GET /health HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let mut stream = server.open();
    // The server may close before it has read all of it.
    let _ = stream.write_all(head.as_bytes());
    let answer = all(stream);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let (status, answer) = server.complete(&format!("{{\"prompt\": \"{}\"}}", "x".repeat(4000)));
    assert_eq!((status, answer["error"]["type"].as_str()), (413, Some("invalid_request_error")));
    // A length that is said, and never sent.
    let said = "POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\nConnection: close\r\n\r\n";
    assert_eq!(json(&all(server.send(said))).0, 413);
    // In chunks, without a length.
    let chunk = format!("{:x}\r\n{}\r\n", 1000, "x".repeat(1000)).repeat(5);
    let head = said.replace("Content-Length: 99999999999", "Transfer-Encoding: chunked");
    assert_eq!(json(&all(server.send(&format!("{head}{chunk}0\r\n\r\n")))).0, 413);
    let form = post("/v1/completions", r#"{"prompt": "a"}"#).replace("application/json", "text/plain");
    assert_eq!(json(&all(server.send(&form))).0, 415);
    assert_eq!(server.complete(r#"{"prompt": "a"}"#).0, 200);
}

#[test]
fn slow_senders_are_cut_off() {
    let server = Running::new(Limits { connections: 2, ..LIMITS });
    let start = Instant::now();
    let heads =
        [server.send("POST /v1/completions HT"), server.send("GET /health HTTP/1.1\r\nHost: h\r\nX-Slow: ")];
    // Two connections are all that there may be: this one waits for them to be cut off.
    let waiting = server.send("GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_eq!(json(&all(waiting)).0, 200);
    assert!(start.elapsed() > Duration::from_millis(700), "the limit of connections does not hold");
    for head in heads {
        let answer = all(head);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    let request = post("/v1/completions", r#"{"prompt": "a"}"#);
    let (status, answer) = json(&all(server.send(&request[..request.len() - 3])));
    assert_eq!((status, answer["error"]["message"].as_str().unwrap().contains("arrive")), (408, true));
    assert!(start.elapsed() < Duration::from_secs(15));
}

/// A client that reads nothing of a long answer does not hold its connection for ever.
#[test]
#[cfg(target_os = "linux")]
fn slow_readers_are_cut_off() {
    let server = Running::new(Limits { connections: 1, tokens: 50_000, ..LIMITS });
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&server.address.into()).unwrap();
    let mut lazy = TcpStream::from(socket);
    let request = r#"{"prompt": [5], "max_tokens": 50000, "stream": true}"#;
    lazy.write_all(post("/v1/completions", request).as_bytes()).unwrap();
    server.wait_for_steps(50_000);
    let next = server.send("GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_eq!(json(&all(next)).0, 200);
    lazy.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut bytes = Vec::new();
    let _ = lazy.read_to_end(&mut bytes);
    assert!(
        !String::from_utf8_lossy(&bytes).contains("[DONE]"),
        "all of it fits into buffers: {}",
        bytes.len()
    );
}

/// One request is computed, one waits, and the others are refused at once.
#[test]
fn a_full_queue_refuses() {
    let server = Running::new(LIMITS);
    server.state.hold.store(true, SeqCst);
    let request = r#"{"prompt": [5], "max_tokens": 3}"#;
    let clients: Vec<_> = (0..5)
        .map(|_| server.post("/v1/completions", request))
        .map(|stream| std::thread::spawn(move || all(stream)))
        .collect();
    let start = Instant::now();
    while clients.iter().filter(|c| c.is_finished()).count() < 3 {
        assert!(start.elapsed() < Duration::from_secs(15), "nobody is refused");
        std::thread::sleep(Duration::from_millis(5));
    }
    server.state.hold.store(false, SeqCst);
    let answers: Vec<_> = clients.into_iter().map(|c| c.join().unwrap()).collect();
    let (refused, answered): (Vec<_>, Vec<_>) = answers.iter().partition(|a| a.starts_with("HTTP/1.1 429"));
    assert_eq!((refused.len(), answered.len()), (3, 2));
    for answer in refused {
        assert!(answer.contains("retry-after: 1"), "{answer}");
        assert_eq!(json(answer).1["error"]["code"], "queue_full");
    }
    assert!(answered.into_iter().all(|a| json(a).0 == 200));
    assert_eq!(server.complete(request).0, 200);
}

#[test]
fn clients_that_go_cancel_their_requests() {
    let server = Running::slow(LIMITS, 5);
    for stream in ["true", "false"] {
        let request = format!(r#"{{"prompt": [5], "max_tokens": 5000, "stream": {stream}}}"#);
        let before = server.steps();
        let client = server.post("/v1/completions", &request);
        server.wait_for_steps(before + 3);
        drop(client);
        server.settled(before + 1000);
    }
    // One that waits, and goes before its turn, is never computed.
    server.state.slow.store(100, SeqCst);
    let before = server.steps();
    let running = server.post("/v1/completions", r#"{"prompt": [5], "max_tokens": 8}"#);
    server.wait_for_steps(before + 1);
    let waiting = server.post("/v1/completions", r#"{"prompt": [6], "max_tokens": 4000}"#);
    std::thread::sleep(Duration::from_millis(100));
    drop(waiting);
    assert_eq!(json(&all(running)).0, 200);
    server.settled(before + 9);
    assert_eq!(server.steps(), before + 8);
}

#[test]
fn an_engine_that_fails_is_an_error_and_not_the_end() {
    let server = Running::new(LIMITS);
    server.state.fail.store(3, SeqCst);
    let (status, answer) = server.complete(r#"{"prompt": [5], "max_tokens": 9}"#);
    assert_eq!((status, answer["error"]["type"].as_str()), (500, Some("server_error")));
    assert!(answer["error"]["message"].as_str().unwrap().contains("on fire"));
    server.state.fail.store(5, SeqCst);
    let streamed =
        events(&all(server.post("/v1/completions", r#"{"prompt": [5], "max_tokens": 99, "stream": true}"#)));
    let last: Value = serde_json::from_str(streamed.last().unwrap()).unwrap();
    assert!(last["error"]["message"].as_str().unwrap().contains("on fire"), "{last}");
    assert_eq!(server.complete(r#"{"prompt": [5], "max_tokens": 9}"#).0, 200);
}

#[test]
fn an_engine_that_cannot_be_made_is_an_error() {
    let server = Server::bind(([127, 0, 0, 1], 0).into(), LIMITS).unwrap();
    let taken = Server::bind(server.address().unwrap(), LIMITS).err().map(|e| e.to_string());
    assert!(taken.unwrap().contains("cannot listen on 127.0.0.1"));
    let template = Template::of(&READY).unwrap();
    let model =
        Model { ready: READY.clone(), name: "m".into(), template, sampling: Sampling::default(), cors: None };
    let make: MakeRunner = Box::new(|_| Err(Error::Fault("no board".into())));
    let e = server.run(model, make, || panic!("it is not ready"), |_| {}).unwrap_err();
    assert_eq!(e.to_string(), "no board");
}

#[test]
fn stopping_lets_requests_end() {
    let server = Running::slow(LIMITS, 10);
    let running = server.post("/v1/completions", r#"{"prompt": [5], "max_tokens": 40, "stream": true}"#);
    let waiting = server.post("/v1/completions", r#"{"prompt": [5], "max_tokens": 3}"#);
    let idle = server.open();
    server.wait_for_steps(2);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(server.stop.stop(), 1);
    assert_eq!(events(&all(running)).last().unwrap(), "[DONE]");
    assert_eq!(json(&all(waiting)).0, 200);
    drop(idle);
    let address = server.address;
    server.join().unwrap();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn stopping_does_not_wait_for_ever() {
    for (grace, again) in [(1, false), (600, true)] {
        let server = Running::slow(Limits { grace: Duration::from_secs(grace), ..LIMITS }, 10);
        let running =
            server.post("/v1/completions", r#"{"prompt": [5], "max_tokens": 5000, "stream": true}"#);
        server.wait_for_steps(2);
        let start = Instant::now();
        server.stop.stop();
        if again {
            server.stop.stop();
        }
        server.join().unwrap();
        assert!(start.elapsed() < Duration::from_secs(10));
        assert!(!all(running).contains("[DONE]"));
    }
}
