//! The routes, and the way of one model call through the stub.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header, request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::choose::Seen;
use crate::conversation::Conversation;
use crate::fill;
use crate::playback::{self, Closing, Pace};
use crate::record::{Outcome, Recorder, RequestRecord, now_ms};
use crate::reply::{Raw, Reply};
use crate::script::Script;
use crate::wire::{self, Answer, Api, Fault};

/// Agents send whole conversations, with pictures; more than this is a mistake.
const MAX_BODY_BYTES: usize = 64 << 20;
/// Of messages the record keeps the beginning.
const MAX_RECORDED_CHARS: usize = 2000;
/// Headers whose value is a key, or could be.
const SECRET_HEADERS: [&str; 5] = [
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cookie",
];

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) script: Script,
    pub(crate) vars: BTreeMap<String, String>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) closing: Closing,
    /// Sets the ids of this stub's answers apart from those of another, earlier one.
    pub(crate) salt: String,
    pub(crate) counters: Mutex<Counters>,
}

/// What choosing a reply changes.
pub(crate) struct Counters {
    /// Model calls so far.
    pub(crate) calls: u64,
    /// How often each rule has fired, in the order of the rules.
    pub(crate) uses: Vec<u64>,
}

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/__stub/health", get(async || Json(json!({"ok": true}))))
        .route("/__stub/requests", get(requests))
        .route("/__stub/wait", get(wait))
        .fallback(anything)
        .layer(middleware::from_fn(local_only))
        .with_state(shared)
}

/// Keeps web pages out: one that a browser shows could otherwise read what agents said here,
/// under a host name of its own that leads to this machine.
async fn local_only(request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let name = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    if matches!(name, Some("127.0.0.1" | "localhost"))
        && !request.headers().contains_key(header::ORIGIN)
    {
        return next.run(request).await;
    }
    let problem = "only programs on this machine are served: use http://127.0.0.1:PORT, no Origin";
    (StatusCode::FORBIDDEN, Json(json!({"error": problem}))).into_response()
}

async fn requests(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let (requests, dropped) = shared.recorder.list();
    Json(json!({"requests": requests, "dropped": dropped}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    rule: String,
    #[serde(default = "half_a_minute_ms")]
    timeout_ms: u64,
}

fn half_a_minute_ms() -> u64 {
    30_000
}

async fn wait(State(shared): State<Arc<Shared>>, Query(wait): Query<Wait>) -> Response {
    if !shared.script.has_rule(&wait.rule) {
        let problem = format!("the script has no rule \"{}\"", wait.rule);
        return (StatusCode::NOT_FOUND, Json(json!({"error": problem}))).into_response();
    }
    let mut closing = shared.closing.clone();
    tokio::select! {
        count = shared.recorder.fired(&wait.rule) => Json(json!({"fired": count})).into_response(),
        () = tokio::time::sleep(Duration::from_millis(wait.timeout_ms)) => {
            (StatusCode::REQUEST_TIMEOUT, Json(json!({"fired": 0}))).into_response()
        }
        () = closing.begun() => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// Whatever is no control route. Any prefix will do, so that base URLs with and without `/v1`
/// work, and agents can be told apart by one.
async fn anything(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path().trim_end_matches('/');
    match head.method {
        Method::POST => post(&shared, &head, path, body).await,
        Method::GET if path.ends_with("/models") => {
            let models = wire::models(path, head.uri.query(), &head.headers);
            note(&shared, &head, Outcome::Ok, Json(models).into_response())
        }
        // Some agents ask first whether there is anyone.
        Method::HEAD => note(&shared, &head, Outcome::Ok, StatusCode::OK.into_response()),
        // Who asks for a web socket takes the answer to mean that there are none.
        Method::GET if path.ends_with("/responses") => {
            let problem = "the stub model has no web sockets: post the request".to_owned();
            reject(&shared, &head, StatusCode::UPGRADE_REQUIRED, problem)
        }
        _ => unknown(&shared, &head),
    }
}

async fn post(shared: &Shared, head: &request::Parts, path: &str, body: Body) -> Response {
    let api = Api::of_call(path, head.uri.query());
    if api.is_none() && wire::count_tokens(path, 0).is_none() {
        return unknown(shared, head);
    }
    let mut closing = shared.closing.clone();
    let body = tokio::select! {
        body = read_body(body) => body,
        () = closing.begun() => Err((StatusCode::SERVICE_UNAVAILABLE, "shutting down".to_owned())),
    };
    match (body, api) {
        (Ok((body, bytes)), Some(api)) => model_call(shared, api, head, body, bytes).await,
        (Ok((_, bytes)), None) => {
            let tokens = Json(wire::count_tokens(path, bytes)).into_response();
            note(shared, head, Outcome::Ok, tokens)
        }
        (Err((status, problem)), _) => reject(shared, head, status, problem),
    }
}

fn unknown(shared: &Shared, head: &request::Parts) -> Response {
    let problem = format!("the stub model does not know {} {}", head.method, head.uri);
    reject(shared, head, StatusCode::NOT_FOUND, problem)
}

async fn read_body(body: Body) -> Result<(Value, usize), (StatusCode, String)> {
    let bytes: Bytes = to_bytes(body, MAX_BODY_BYTES).await.map_err(|error| {
        let problem = format!("the body broke off, or is over {MAX_BODY_BYTES} bytes: {error}");
        (StatusCode::PAYLOAD_TOO_LARGE, problem)
    })?;
    match serde_json::from_slice(&bytes) {
        Ok(body @ Value::Object(_)) => Ok((body, bytes.len())),
        Ok(_) => Err((
            StatusCode::BAD_REQUEST,
            "the body is no JSON object".to_owned(),
        )),
        Err(error) => Err((
            StatusCode::BAD_REQUEST,
            format!("the body is no JSON: {error}"),
        )),
    }
}

/// The way of one model call: read, choose, fill, write, play.
async fn model_call(
    shared: &Shared,
    api: Api,
    head: &request::Parts,
    body: Value,
    body_bytes: usize,
) -> Response {
    let talk = api.read(head.uri.path().trim_end_matches('/'), &body);
    let mut record = blank_record(head);
    record.api = Some(api);
    record.model.clone_from(&talk.model);
    record.stream = talk.stream;
    record.round = talk.round;
    record.last_user = beginning(&talk.last_user);
    record.last_tool_result = beginning(&talk.last_tool_result);
    record.tools.clone_from(&talk.tools);
    record.system_chars = talk.system.chars().count();
    record.body_bytes = body_bytes;
    record.body = Some(Arc::new(body));

    // Entered under the same lock as it is counted: the list is in the order of the numbers.
    let (n, reply, ticket) = {
        let mut counters = shared
            .counters
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        counters.calls += 1;
        let n = counters.calls;
        let path = head.uri.path();
        let seen = Seen {
            n,
            path,
            headers: &head.headers,
            talk: &talk,
        };
        let (rule, reply) = shared.script.choose(&mut counters.uses, &seen);
        record.n = Some(n);
        record.rule = Some(rule.to_owned());
        (n, reply, shared.recorder.open(record))
    };

    let pace = Pace::of(&reply);
    let mut closing = shared.closing.clone();
    let ticket = match playback::before(&pace, ticket, &mut closing).await {
        Ok(ticket) => ticket,
        Err(response) => return response,
    };
    let reply = filled(reply, n, &talk, &shared.vars);
    let fault = reply.error.as_ref().map(|error| api.fault(error));
    let (response, outcome) = match (fault, &reply.raw) {
        (Some(fault), _)
            if talk.stream
                && let Some(after) = fault.after =>
        {
            let answer = Answer::new(format!("{}-{n}", shared.salt), reply, &talk);
            let frames = api.broken_frames(&answer, &fault, after);
            return playback::stream(frames, Outcome::Error, pace, ticket, closing);
        }
        (Some(fault), _) => (error_response(api, &fault), Outcome::Error),
        (None, Some(raw)) => (raw_response(raw), Outcome::Ok),
        (None, None) => {
            let answer = Answer::new(format!("{}-{n}", shared.salt), reply, &talk);
            if talk.stream {
                let frames = api.frames(&answer);
                return playback::stream(frames, Outcome::Ok, pace, ticket, closing);
            }
            (Json(api.whole(&answer)).into_response(), Outcome::Ok)
        }
    };
    playback::whole(response, outcome, &pace, ticket, closing).await
}

fn filled(mut reply: Reply, n: u64, talk: &Conversation, vars: &BTreeMap<String, String>) -> Reply {
    let n = n.to_string();
    for text in reply.strings_mut() {
        *text = fill::fill(text, |name| match name {
            "n" => Some(n.as_str()),
            "model" => Some(talk.model.as_str()),
            "last_user" => Some(talk.last_user.as_str()),
            "last_tool_result" => Some(talk.last_tool_result.as_str()),
            _ => vars.get(name).map(String::as_str),
        });
    }
    reply
}

fn error_response(api: Api, fault: &Fault) -> Response {
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(api.error(fault))).into_response();
    if let Some(seconds) = fault.retry_after_s {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn raw_response(raw: &Raw) -> Response {
    let mut response = match &raw.body {
        Value::String(text) => text.clone().into_response(),
        Value::Null => ().into_response(),
        json => Json(json).into_response(),
    };
    *response.status_mut() = StatusCode::from_u16(raw.status).unwrap_or_default();
    response.headers_mut().extend(raw.headers.clone());
    response
}

fn reject(shared: &Shared, head: &request::Parts, status: StatusCode, problem: String) -> Response {
    let error = json!({"message": problem, "type": "stub_model", "param": null, "code": null});
    let response = (status, Json(json!({"error": error}))).into_response();
    note(shared, head, Outcome::Rejected, response)
}

/// Enters a request that is answered at once.
fn note(shared: &Shared, head: &request::Parts, outcome: Outcome, response: Response) -> Response {
    let mut ticket = shared.recorder.open(blank_record(head));
    ticket.record.outcome = outcome;
    ticket.record.status = Some(response.status().as_u16());
    response
}

fn blank_record(head: &request::Parts) -> RequestRecord {
    RequestRecord {
        seq: 0,
        n: None,
        at_ms: now_ms(),
        api: None,
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: kept_headers(&head.headers),
        model: String::new(),
        stream: false,
        rule: None,
        round: 0,
        last_user: String::new(),
        last_tool_result: String::new(),
        tools: Vec::new(),
        system_chars: 0,
        body_bytes: 0,
        body: None,
        outcome: Outcome::Pending,
        status: None,
        frames_sent: 0,
        duration_ms: 0,
    }
}

fn kept_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let kept = headers.iter().map(|(name, value)| {
        let secret = SECRET_HEADERS.contains(&name.as_str());
        let value = if secret {
            "(set)".into()
        } else {
            String::from_utf8_lossy(value.as_bytes())
        };
        (name.to_string(), value.into_owned())
    });
    kept.collect()
}

fn beginning(text: &str) -> String {
    text.chars().take(MAX_RECORDED_CHARS).collect()
}
