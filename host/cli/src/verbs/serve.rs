//! `accllm serve`.

use super::chat::template;
use crate::args::Serve;
use crate::out::Out;
use crate::plan::{Extras, Plan};
use crate::prepare;
use accllm_device::{Error, Result};
use accllm_text::model::Source;
use accllm_text::serve::{Limits, MakeRunner, Model, Server, Stop};
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[derive(Serialize)]
struct Report {
    url: String,
    port: u16,
    model: String,
    device: &'static str,
}

/// Exit code when nobody waits for the device any more.
const INTERRUPTED: i32 = 130;

/// Serves until SIGINT or SIGTERM.
pub fn run(args: &Serve, out: &Out) -> Result<()> {
    let plan = Plan::new(&args.writer, 0, &Extras::default())?;
    check_origin(args.cors.as_deref())?;
    let limits = Limits {
        queue: args.queue,
        connections: args.connections,
        prompt: args.max_prompt,
        tokens: args.max_tokens,
        body: args.max_body,
        timeout: Duration::from_secs(args.timeout),
        grace: Duration::from_secs(args.grace),
    };
    // Before minutes of work.
    let server = Server::bind(SocketAddr::new(args.host, args.port), limits)?;
    let source = Source::find(&args.writer.model)?;
    let template = template(&args.dialogue, &source)?;
    let ready = Arc::new(prepare::open(&source, out)?);
    let name = args.name.clone().unwrap_or_else(|| last_part(&args.writer.model));
    let model =
        Model { ready, name: name.clone(), template, sampling: plan.sampling, cors: args.cors.clone() };
    let (device, for_runner) = (plan.device(), *out);
    let runner: MakeRunner = Box::new(move |ready| plan.open(ready, &for_runner).map(|opened| opened.runner));
    let address = server.address()?;
    let stop = server.stop();
    let on_ready = || {
        stop_on_signals(stop)?;
        let url = format!("http://{address}");
        out.line(&format!("listening on {url} (model '{name}')"))?;
        out.report(&Report { url, port: address.port(), model: name, device })
    };
    server.run(model, runner, on_ready, |line| eprintln!("{line}"))
}

/// Refuses what browsers would never match.
fn check_origin(origin: Option<&str>) -> Result<()> {
    let good = |o: &str| {
        let rest = o.strip_prefix("https://").or_else(|| o.strip_prefix("http://"));
        let host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        o == "*" || rest.is_some_and(|r| !r.is_empty() && r.chars().all(host))
    };
    match origin.filter(|o| !good(o)) {
        Some(o) => Err(Error::Argument(format!(
            "--cors is '{o}'; give an origin as browsers send it, such as http://localhost:3000, or * for any"
        ))),
        None => Ok(()),
    }
}

fn last_part(model: &str) -> String {
    let name = Path::new(model).file_name();
    name.map_or_else(|| model.to_string(), |n| n.to_string_lossy().into_owned())
}

/// The first signal lets requests end, the second ends them, the third ends the program.
fn stop_on_signals(stop: Stop) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|e| Error::Argument(format!("cannot react to signals: {e}")))?;
    std::thread::spawn(move || {
        for _ in &mut signals {
            match stop.stop() {
                1 => eprintln!("stopping: requests may end; once more ends them"),
                2 => eprintln!("stopping at the device's next step; once more does not wait for it"),
                _ => std::process::exit(INTERRUPTED),
            }
        }
    });
    Ok(())
}
