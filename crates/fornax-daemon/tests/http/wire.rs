//! Requests byte for byte, so that any header can be forged, and answers as they come.

use std::collections::HashMap;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};

use crate::site::Site;

/// Whatever carries bytes both ways.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// An answer whose head has come.
pub struct Reply {
    pub status: u16,
    /// By lower-case name.
    pub headers: HashMap<String, String>,
    stream: BufReader<Box<dyn Wire>>,
    /// Of the body: what is left, where its length is known.
    left: Option<u64>,
    bodiless: bool,
}

/// Sends a request over TCP.
pub async fn send(site: &Site, request: &str, body: &[u8]) -> Reply {
    let stream = TcpStream::connect(site.addr).await.unwrap();
    talk(Box::new(stream), request, body).await
}

/// Sends a request over the Unix socket.
pub async fn send_unix(site: &Site, request: &str, body: &[u8]) -> Reply {
    let stream = UnixStream::connect(site.home.socket()).await.unwrap();
    talk(Box::new(stream), request, body).await
}

/// A GET with the right token.
pub async fn get(site: &Site, path: &str, headers: &[(&str, &str)]) -> Reply {
    send(site, &site.request("GET", path, headers), b"").await
}

/// A POST of JSON with the right token.
pub async fn post(site: &Site, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let length = body.len().to_string();
    let mut all = vec![
        ("content-type", "application/json"),
        ("content-length", length.as_str()),
    ];
    all.extend(headers);
    send(site, &site.request("POST", path, &all), body).await
}

async fn talk(mut stream: Box<dyn Wire>, request: &str, body: &[u8]) -> Reply {
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    let status = line
        .split(' ')
        .nth(1)
        .unwrap_or_else(|| panic!("no status in {line:?}"));
    let status = status.parse().unwrap();
    let mut headers = HashMap::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let left = headers
        .get("content-length")
        .map(|length| length.parse().unwrap());
    let bodiless = request.starts_with("HEAD ") || status == 204 || status == 304;
    Reply {
        status,
        headers,
        stream,
        left,
        bodiless,
    }
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The next bytes of the body; none at its end. Panics where it breaks off.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        if self.bodiless {
            return None;
        }
        let Some(left) = self.left else {
            return self.chunked().await;
        };
        if left == 0 {
            return None;
        }
        let mut chunk = vec![0; left.min(1 << 16) as usize];
        let length = self.stream.read(&mut chunk).await.unwrap();
        assert!(length > 0, "the body broke off with {left} bytes left");
        chunk.truncate(length);
        self.left = Some(left - length as u64);
        Some(chunk)
    }

    async fn chunked(&mut self) -> Option<Vec<u8>> {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        let size = usize::from_str_radix(line.trim_end(), 16)
            .unwrap_or_else(|_| panic!("the body broke off: {line:?}"));
        let mut chunk = vec![0; size + 2];
        self.stream.read_exact(&mut chunk).await.unwrap();
        chunk.truncate(size);
        (size > 0).then_some(chunk)
    }

    /// All of the body that is left.
    pub async fn body(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await {
            body.extend(chunk);
        }
        body
    }

    pub async fn text(&mut self) -> String {
        String::from_utf8(self.body().await).unwrap()
    }

    pub async fn json(&mut self) -> serde_json::Value {
        serde_json::from_slice(&self.body().await).unwrap()
    }

    /// Of an error: its kind.
    pub async fn kind(&mut self) -> String {
        self.json().await["error"]["kind"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

/// Server-sent events as they come.
pub struct EventReader {
    reply: Reply,
    text: String,
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: String,
    pub event: String,
    pub data: serde_json::Value,
}

impl EventReader {
    /// Subscribes; `query` and `headers` say from where.
    pub async fn open(site: &Site, query: &str, headers: &[(&str, &str)]) -> EventReader {
        let reply = get(site, &format!("/api/events{query}"), headers).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), "text/event-stream");
        EventReader {
            reply,
            text: String::new(),
        }
    }

    /// The next event; none at the stream's end.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let mut lines = block.lines().filter_map(|line| line.strip_prefix(name));
                    lines.next().unwrap_or_default().to_owned()
                };
                let (id, event, data) = (field("id: "), field("event: "), field("data: "));
                self.text = rest.to_owned();
                if !event.is_empty() {
                    let data = serde_json::from_str(&data).unwrap();
                    return Some(Event { id, event, data });
                }
            }
            self.text
                .push_str(std::str::from_utf8(&self.reply.chunk().await?).unwrap());
        }
    }
}
