//! What came to the stub and how it ended: a bounded list, and a log where one is asked for.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use crate::wire::Api;

/// The list keeps the newest requests: at most so many,
const MAX_RECORDS: usize = 1000;
/// and at most so many bytes of their bodies.
const MAX_BODIES_BYTES: usize = 64 << 20;
/// A log that grows past this is moved to `FILE.1`, over an older one, and begun anew.
const MAX_LOG_BYTES: u64 = 64 << 20;

/// One request, as it came and as it ended.
#[derive(Debug, Clone, Serialize)]
pub struct RequestRecord {
    /// Its place among all requests, from 1.
    pub seq: u64,
    /// Its number among the model calls, from 1; `None` for other requests.
    pub n: Option<u64>,
    /// When it came, in milliseconds since 1970.
    pub at_ms: u64,
    /// The API it speaks; `None` where it is no model call.
    pub api: Option<Api>,
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers; a value that could be a key is not kept.
    pub headers: BTreeMap<String, String>,
    /// The model asked for.
    pub model: String,
    /// Whether a streamed answer was asked for.
    pub stream: bool,
    /// The rule that fired; `fallback` where none fitted; `None` where it is no model call.
    pub rule: Option<String>,
    /// Model calls since the last user message, before this one.
    pub round: u64,
    /// The last real user message, cut to 2000 characters.
    pub last_user: String,
    /// The newest tool result, cut to 2000 characters.
    pub last_tool_result: String,
    /// The names of the tools offered.
    pub tools: Vec<String>,
    /// Length of the system prompt in characters.
    pub system_chars: usize,
    /// Length of the body in bytes.
    pub body_bytes: usize,
    /// The body, where [`Options::log_bodies`](crate::Options::log_bodies) asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Arc<Value>>,
    /// How it ended.
    pub outcome: Outcome,
    /// The HTTP status of the answer, once there is one.
    pub status: Option<u16>,
    /// Frames of a streamed answer that were sent.
    pub frames_sent: usize,
    /// From its arrival to the end of the answer.
    pub duration_ms: u64,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It has not ended.
    Pending,
    /// It was answered whole, by what the script says.
    Ok,
    /// The script's error was given.
    Error,
    /// The stub cut the connection, as the script says.
    Cut,
    /// The client went away before the answer's end.
    ClientLeft,
    /// The stub shut down before the answer's end.
    Stopped,
    /// It is no request that the stub knows.
    Rejected,
}

/// The list and the log.
pub(crate) struct Recorder {
    inner: Mutex<Inner>,
    keep_bodies: bool,
    /// Bumped whenever a request comes or ends.
    changed: watch::Sender<u64>,
}

struct Inner {
    records: VecDeque<RequestRecord>,
    kept_bodies_bytes: usize,
    last_seq: u64,
    pending: u64,
    fired: BTreeMap<String, u64>,
    log: Option<Log>,
}

/// An open record; when it is dropped, the request has ended.
pub(crate) struct Ticket {
    recorder: Arc<Recorder>,
    started: Instant,
    pub(crate) record: RequestRecord,
}

impl Recorder {
    pub(crate) fn new(log: Option<&Path>, keep_bodies: bool) -> io::Result<Arc<Self>> {
        let inner = Inner {
            records: VecDeque::new(),
            kept_bodies_bytes: 0,
            last_seq: 0,
            pending: 0,
            fired: BTreeMap::new(),
            log: log.map(|path| Log::open(path, MAX_LOG_BYTES)).transpose()?,
        };
        let changed = watch::Sender::new(0);
        Ok(Arc::new(Self {
            inner: Mutex::new(inner),
            keep_bodies,
            changed,
        }))
    }

    /// Enters a request. Its number and time are given here.
    pub(crate) fn open(self: &Arc<Self>, mut record: RequestRecord) -> Ticket {
        if !self.keep_bodies {
            record.body = None;
        }
        let mut inner = self.lock();
        inner.last_seq += 1;
        inner.pending += 1;
        record.seq = inner.last_seq;
        if let Some(rule) = &record.rule {
            *inner.fired.entry(rule.clone()).or_default() += 1;
        }
        inner.keep(record.clone());
        drop(inner);
        self.changed.send_modify(|count| *count += 1);
        Ticket {
            recorder: Arc::clone(self),
            started: Instant::now(),
            record,
        }
    }

    /// The requests kept, oldest first, and how many older ones are not.
    pub(crate) fn list(&self) -> (Vec<RequestRecord>, u64) {
        let inner = self.lock();
        let dropped = inner.last_seq - inner.records.len() as u64;
        (inner.records.iter().cloned().collect(), dropped)
    }

    /// Returns once the rule has fired, with how often.
    pub(crate) async fn fired(&self, rule: &str) -> u64 {
        self.until(|inner| inner.fired.get(rule).copied()).await
    }

    /// Returns once no request is being answered.
    pub(crate) async fn settled(&self) {
        self.until(|inner| (inner.pending == 0).then_some(())).await;
    }

    /// The first failure to write the log, and then no more: the log has stopped there.
    pub(crate) fn take_log_error(&self) -> Option<io::Error> {
        self.lock().log.as_mut().and_then(|log| log.failed.take())
    }

    async fn until<T>(&self, found: impl Fn(&Inner) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(value) = found(&self.lock()) {
                return value;
            }
            if changed.changed().await.is_err() {
                // Cannot be: the sender lives in self.
                std::future::pending::<()>().await;
            }
        }
    }

    fn close(&self, record: RequestRecord) {
        let mut inner = self.lock();
        inner.pending -= 1;
        if let Some(log) = &mut inner.log {
            log.write(&record);
        }
        if let Ok(at) = inner
            .records
            .binary_search_by_key(&record.seq, |kept| kept.seq)
        {
            inner.records[at] = record;
        }
        drop(inner);
        self.changed.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn keep(&mut self, record: RequestRecord) {
        self.kept_bodies_bytes += body_bytes(&record);
        self.records.push_back(record);
        while self.records.len() > MAX_RECORDS
            || (self.kept_bodies_bytes > MAX_BODIES_BYTES && self.records.len() > 1)
        {
            if let Some(oldest) = self.records.pop_front() {
                self.kept_bodies_bytes -= body_bytes(&oldest);
            }
        }
    }
}

fn body_bytes(record: &RequestRecord) -> usize {
    if record.body.is_some() {
        record.body_bytes
    } else {
        0
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Dropped before anyone said how it ended: the connection is gone.
        if self.record.outcome == Outcome::Pending {
            self.record.outcome = Outcome::ClientLeft;
        }
        self.record.duration_ms = millis(self.started.elapsed());
        self.recorder.close(self.record.clone());
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, millis)
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
    max_bytes: u64,
    failed: Option<io::Error>,
    stopped: bool,
}

impl Log {
    fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self {
            path: path.to_owned(),
            file,
            bytes,
            max_bytes,
            failed: None,
            stopped: false,
        })
    }

    fn write(&mut self, record: &RequestRecord) {
        if self.stopped {
            return;
        }
        if let Err(error) = self.append(record) {
            self.stopped = true;
            self.failed = Some(error);
        }
    }

    fn append(&mut self, record: &RequestRecord) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        if self.bytes > 0 && self.bytes + line.len() as u64 > self.max_bytes {
            let mut older = self.path.clone().into_os_string();
            older.push(".1");
            std::fs::rename(&self.path, older)?;
            *self = Self::open(&self.path, self.max_bytes)?;
        }
        self.file.write_all(&line)?;
        self.bytes += line.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn record(rule: &str) -> RequestRecord {
        RequestRecord {
            seq: 0,
            n: Some(1),
            at_ms: now_ms(),
            api: Some(Api::Chat),
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            headers: BTreeMap::new(),
            model: String::new(),
            stream: true,
            rule: Some(rule.to_owned()),
            round: 0,
            last_user: String::new(),
            last_tool_result: String::new(),
            tools: Vec::new(),
            system_chars: 0,
            body_bytes: MAX_BODIES_BYTES / 4,
            body: Some(Arc::new(Value::Null)),
            outcome: Outcome::Pending,
            status: None,
            frames_sent: 0,
            duration_ms: 0,
        }
    }

    #[test]
    fn the_list_keeps_the_newest_by_number_and_by_size() {
        let small = Recorder::new(None, false).unwrap();
        let open: Vec<Ticket> = (0..=MAX_RECORDS).map(|_| small.open(record("a"))).collect();
        let (records, dropped) = small.list();
        assert_eq!(
            (records.len(), records[0].seq, dropped),
            (MAX_RECORDS, 2, 1)
        );
        assert!(records.iter().all(|record| record.body.is_none()));
        // One that the list has let go of can still end.
        drop(open);
        assert!(
            small
                .list()
                .0
                .iter()
                .all(|record| record.outcome == Outcome::ClientLeft)
        );

        let big = Recorder::new(None, true).unwrap();
        for _ in 0..10 {
            big.open(record("a"));
        }
        let (records, dropped) = big.list();
        assert_eq!((records.len(), records[0].seq, dropped), (4, 7, 6));
    }

    #[test]
    fn a_full_log_is_moved_aside_and_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let mut log = Log::open(&path, 2000).unwrap();
        for number in 0..20 {
            log.write(&record(&format!("r{number}")));
        }
        assert!(log.failed.is_none());
        let now = std::fs::read_to_string(&path).unwrap();
        let older = std::fs::read_to_string(folder.path().join("log.jsonl.1")).unwrap();
        assert!(now.len() <= 2000 && older.len() <= 2000);
        assert!(now.ends_with('\n') && now.contains("\"r19\""));
        let lines: Vec<&str> = older.lines().chain(now.lines()).collect();
        assert!(lines.len() < 20 && lines.len() > 4, "{}", lines.len());
    }

    #[test]
    fn a_log_that_cannot_be_written_says_so_once() {
        let recorder = Recorder::new(Some(Path::new("/dev/full")), false).unwrap();
        recorder.open(record("a"));
        recorder.open(record("a"));
        let error = recorder.take_log_error().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(recorder.take_log_error().is_none());
    }
}
