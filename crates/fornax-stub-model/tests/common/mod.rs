//! A client that sees what an agent's HTTP library sees: status, headers, frames, and whether
//! the answer came to its end.
#![allow(dead_code, reason = "each test file uses its part")]

use fornax_stub_model::{Options, Script, StubModel};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Starts a stub with this script.
pub async fn start(script: &Value) -> StubModel {
    start_with(script, Options::default()).await
}

/// Starts a stub with this script and options.
pub async fn start_with(script: &Value, options: Options) -> StubModel {
    let script = Script::parse(&script.to_string()).unwrap();
    StubModel::start(script, options).await.unwrap()
}

/// Where a stub is: in this process, or as a program of its own.
pub trait Port {
    fn port(&self) -> u16;
}

impl Port for StubModel {
    fn port(&self) -> u16 {
        Self::port(self)
    }
}

impl Port for u16 {
    fn port(&self) -> u16 {
        *self
    }
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
    /// Whether the body came to its proper end.
    pub whole: bool,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The data of each server-sent event.
    pub fn events(&self) -> Vec<&str> {
        let events = self.body.split("\n\n").filter(|event| !event.is_empty());
        events
            .map(|event| event.strip_prefix("data: ").expect("only data lines"))
            .collect()
    }

    /// The events of a stream that must be whole and bear their types as names.
    pub fn named_events(&self) -> Vec<Value> {
        assert!(self.whole, "the stream broke off: {}", self.body);
        let events = self.body.split("\n\n").filter(|event| !event.is_empty());
        events
            .map(|event| {
                let (name, data) = event.split_once("\ndata: ").expect("a name and data");
                let data: Value = serde_json::from_str(data).unwrap();
                assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
                data
            })
            .collect()
    }

    /// The chunks of a stream that must be whole: JSON, then `[DONE]`.
    pub fn chunks(&self) -> Vec<Value> {
        assert!(self.whole, "the stream broke off: {}", self.body);
        let mut events = self.events();
        assert_eq!(events.pop(), Some("[DONE]"));
        events
            .into_iter()
            .map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }

    /// The assistant's text, streamed or not.
    pub fn text(&self) -> String {
        if self.body.starts_with("data: ") {
            let chunks = self.chunks();
            let pieces = chunks
                .iter()
                .map(|chunk| &chunk["choices"][0]["delta"]["content"]);
            return pieces.filter_map(Value::as_str).collect();
        }
        self.json()["choices"][0]["message"]["content"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// A request body: one user message, streamed, no tools.
pub fn ask(user: &str) -> Value {
    json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": user}]})
}

/// The same, not streamed.
pub fn ask_whole(user: &str) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": user}]})
}

/// A conversation in which the model has answered `rounds` times since the user spoke.
pub fn ask_in_round(user: &str, rounds: usize) -> Value {
    let mut messages = vec![json!({"role": "user", "content": user})];
    for round in 0..rounds {
        let call = json!({"id": format!("c{round}"), "type": "function",
            "function": {"name": "write", "arguments": "{}"}});
        messages.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
        messages.push(json!({"role": "tool", "tool_call_id": format!("c{round}"),
            "content": format!("result {round}")}));
    }
    json!({"model": "m", "messages": messages})
}

/// Offers tools of these names.
pub fn with_tools(mut body: Value, names: &[&str]) -> Value {
    let tools = names
        .iter()
        .map(|name| json!({"type": "function", "function": {"name": name}}));
    body["tools"] = tools.collect();
    body
}

/// Makes a model call. An error means that no head of an answer came.
pub async fn call(stub: &impl Port, body: &Value) -> Result<Reply, hyper::Error> {
    post(stub, "/v1/chat/completions", &[], body).await
}

/// Posts JSON to a path.
pub async fn post(
    stub: &impl Port,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Result<Reply, hyper::Error> {
    let mut builder = Request::post(path).header("content-type", "application/json");
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    let (_connection, answer) = send(stub.port(), builder, body.to_string()).await?;
    Ok(read(answer).await)
}

/// Gets a path.
pub async fn get(stub: &impl Port, path: &str) -> Reply {
    get_with(stub, path, &[]).await
}

/// Gets a path with more headers, or another `host`.
pub async fn get_with(stub: &impl Port, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut builder = Request::get(path);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    let (_connection, answer) = send(stub.port(), builder, String::new()).await.unwrap();
    read(answer).await
}

/// A connection in the background; aborting it closes it.
pub struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends a request on a connection of its own, and returns with the answer's head.
pub async fn send(
    port: u16,
    mut builder: hyper::http::request::Builder,
    body: String,
) -> Result<(Connection, Response<Incoming>), hyper::Error> {
    let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
    let connection = Connection(tokio::spawn(async move { drop(connection.await) }));
    if builder
        .headers_ref()
        .is_some_and(|headers| !headers.contains_key("host"))
    {
        builder = builder.header("host", format!("127.0.0.1:{port}"));
    }
    let request = builder.body(Full::new(Bytes::from(body))).unwrap();
    Ok((connection, sender.send_request(request).await?))
}

/// Reads an answer to its end, or to where it breaks off.
pub async fn read(answer: Response<Incoming>) -> Reply {
    let (head, mut body) = answer.into_parts();
    let (mut bytes, mut whole) = (Vec::new(), true);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(frame.data_ref().unwrap()),
            Err(_) => whole = false,
        }
    }
    let body = String::from_utf8(bytes).unwrap();
    Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
        whole,
    }
}
