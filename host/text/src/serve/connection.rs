//! One HTTP request: where it goes, and what comes back.

use super::api::{Ask, Shared};
use super::refusal::{Answer, Refusal};
use super::reply::{Kind, Reply};
use super::stream::{Events, failed};
use super::worker::Event;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;

type Out = Response<BoxBody<Bytes, Infallible>>;

/// Answers a request; a refusal is an answer, too.
pub(super) async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Out, Infallible> {
    Ok(route(shared, request).await.unwrap_or_else(|refusal| {
        let mut out = whole(refusal.status, &refusal.json());
        if matches!(refusal.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            out.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        out
    }))
}

async fn route(shared: Arc<Shared>, request: Request<Incoming>) -> Answer<Out> {
    let path = request.uri().path().to_string();
    let wants = match path.as_str() {
        "/v1/completions" | "/v1/chat/completions" => Method::POST,
        "/v1/models" | "/health" => Method::GET,
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
    let mut pending = shared.queue(&ask)?;
    let reply = Reply::new(kind, &shared.model.name, ask.tokens.len());
    let ended = || failed("the engine's thread has ended".into());
    let mut text = String::new();
    loop {
        match pending.events.recv().await.ok_or_else(ended)? {
            Event::Failed(why) => return Err(failed(why)),
            first if ask.stream => {
                let mut out = Response::new(Events::new(reply, ask.stream_usage, pending, first).boxed());
                out.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
                out.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
                return Ok(out);
            }
            Event::Piece(new) => text.push_str(&new),
            Event::Done(done) => return Ok(whole(StatusCode::OK, &reply.whole(&text, &done))),
        }
    }
}
