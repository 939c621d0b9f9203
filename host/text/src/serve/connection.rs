//! One HTTP request: where it goes, and what comes back.

use super::api::{Ask, Shared};
use super::refusal::{Answer, Refusal};
use super::reply::{Choice, Kind, Reply};
use super::stream::{Events, failed};
use super::tokens;
use super::worker::Event;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, ORIGIN, RETRY_AFTER, VARY,
};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;

type Out = Response<BoxBody<Bytes, Infallible>>;

/// Answers a request; a refusal is an answer, too.
pub(super) async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Out, Infallible> {
    let origin = request.headers().get(ORIGIN).cloned();
    let cors = shared.cors.clone();
    let preflight = cors.is_some() && *request.method() == Method::OPTIONS;
    let mut out = match preflight {
        true => preflight_answer(),
        false => route(shared, request).await.unwrap_or_else(|refusal| {
            let mut out = whole(refusal.status, &refusal.json());
            if matches!(refusal.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
                out.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            out
        }),
    };
    if let Some(allowed) = cors {
        // Of a list of origins, browsers accept only the one that asks.
        if allowed == "*" || origin.is_some_and(|o| o == allowed) {
            out.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        }
        out.headers_mut().insert(VARY, HeaderValue::from_static("Origin"));
    }
    Ok(out)
}

/// What a browser asks before a page of another origin may send a request.
fn preflight_answer() -> Out {
    let mut out = Response::new(Full::from("").boxed());
    *out.status_mut() = StatusCode::NO_CONTENT;
    let headers = out.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*, Authorization, Content-Type"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    out
}

async fn route(shared: Arc<Shared>, request: Request<Incoming>) -> Answer<Out> {
    let path = request.uri().path().to_string();
    let wants = match path.as_str() {
        "/v1/completions" | "/v1/chat/completions" | "/tokenize" | "/detokenize" => Method::POST,
        "/v1/models" | "/health" | "/tokenizer_info" => Method::GET,
        p if p.starts_with("/v1/models/") => Method::GET,
        _ => return Err(Refusal::new(StatusCode::NOT_FOUND, format!("there is no {path} here"))),
    };
    if *request.method() != wants {
        let why = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("{path} takes {wants}"));
        let mut out = whole(why.status, &why.json());
        let allow = HeaderValue::from_str(wants.as_str()).unwrap_or(HeaderValue::from_static("GET"));
        out.headers_mut().insert(ALLOW, allow);
        return Ok(out);
    }
    match path.as_str() {
        "/health" => Ok(whole(StatusCode::OK, &json!({"status": "ok"}))),
        "/v1/models" => {
            Ok(whole(StatusCode::OK, &json!({"object": "list", "data": [about(&shared.model.name)]})))
        }
        "/tokenizer_info" => Ok(whole(StatusCode::OK, &tokens::info(&shared.model))),
        "/tokenize" | "/detokenize" => {
            let body = body(&shared, request).await?;
            let of = move || match path.as_str() {
                "/tokenize" => tokens::tokenize(&shared.model, shared.limits.prompt, &body),
                _ => tokens::detokenize(&shared.model, &body),
            };
            let value = tokio::task::spawn_blocking(of).await;
            let value = value.map_err(|e| failed(format!("the request could not be read: {e}")))??;
            Ok(whole(StatusCode::OK, &value))
        }
        "/v1/completions" => complete(shared, Kind::Text, request).await,
        "/v1/chat/completions" => complete(shared, Kind::Chat, request).await,
        _ => match path.strip_prefix("/v1/models/") {
            Some(name) if name == shared.model.name => Ok(whole(StatusCode::OK, &about(name))),
            name => Err(shared.no_model(name.unwrap_or_default())),
        },
    }
}

fn about(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": 0, "owned_by": "accllm"})
}

fn whole(status: StatusCode, value: &Value) -> Out {
    let mut out = Response::new(Full::from(format!("{value}\n")).boxed());
    *out.status_mut() = status;
    out.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    out
}

/// The request's body, within the limits.
async fn body(shared: &Shared, request: Request<Incoming>) -> Answer<Bytes> {
    let json = |v: &HeaderValue| v.to_str().is_ok_and(|v| v.trim_start().starts_with("application/json"));
    // A web page elsewhere can make a browser send other types here without asking.
    if !request.headers().get(CONTENT_TYPE).is_some_and(json) {
        let what = "send JSON, with the header 'Content-Type: application/json'";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, what));
    }
    let most = shared.limits.body;
    let large = || {
        let what = format!("the request is larger than {most} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, what)
    };
    if request.body().size_hint().lower() > most as u64 {
        return Err(large());
    }
    let all = tokio::time::timeout(shared.limits.timeout, Limited::new(request.into_body(), most).collect());
    match all.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(e)) if e.is::<LengthLimitError>() => Err(large()),
        Ok(Err(e)) => Err(Refusal::bad(format!("the request broke off: {e}"))),
        Err(_) => {
            let what = format!("the request did not arrive within {:?}", shared.limits.timeout);
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, what))
        }
    }
}

async fn complete(shared: Arc<Shared>, kind: Kind, request: Request<Incoming>) -> Answer<Out> {
    let body = body(&shared, request).await?;
    let reader = shared.clone();
    let ask: Ask = tokio::task::spawn_blocking(move || reader.read(kind, &body))
        .await
        .map_err(|e| failed(format!("the request could not be read: {e}")))??;
    let prompt_tokens = ask.prompts.iter().map(Vec::len).sum();
    let reply = Reply::new(kind, &shared.model, ask.wanted, prompt_tokens);
    if ask.stream {
        return stream(&shared, &ask, reply).await;
    }
    let mut choices = Vec::new();
    for prompt in &ask.prompts {
        let mut pending = shared.queue(&ask, prompt)?;
        let mut choice = Choice::default();
        while choice.done.is_none() {
            match pending.events.recv().await.ok_or_else(ended)? {
                Event::Failed(why) => return Err(failed(why)),
                Event::Prompt(scored) => choice.prompt = scored,
                Event::Piece(new, scored) => {
                    choice.text.push_str(&new);
                    choice.answer.extend(scored);
                }
                Event::Done(done) => choice.done = Some(done),
            }
        }
        choices.push(choice);
    }
    let value = reply.whole(&ask.prompts, &choices).map_err(|e| failed(e.to_string()))?;
    Ok(whole(StatusCode::OK, &value))
}

fn ended() -> Refusal {
    failed("the engine's thread has ended".into())
}

/// The answer in pieces; an error before the first is an answer of its own.
async fn stream(shared: &Shared, ask: &Ask, reply: Reply) -> Answer<Out> {
    let prompt = ask.prompts.first().ok_or_else(|| Refusal::bad("'prompt' is empty"))?;
    let mut pending = shared.queue(ask, prompt)?;
    match pending.events.recv().await.ok_or_else(ended)? {
        Event::Failed(why) => Err(failed(why)),
        first => {
            let mut out = Response::new(Events::new(reply, ask.stream_usage, pending, first).boxed());
            out.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            out.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            Ok(out)
        }
    }
}
