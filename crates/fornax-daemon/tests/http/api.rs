//! The JSON routes, the page, and the bounds of requests.

use std::path::Path;
use std::sync::atomic::Ordering;

use fornax_core::error::{Error, ErrorKind};
use fornax_core::view::{Answer, FrameDetail, ProjectView, RunDetail, Snapshot};
use fornax_daemon::client::Client;
use fornax_daemon::home::Home;
use fornax_daemon::http;
use fornax_daemon::http::backend::{RunPage, Status, TaskDetail};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::site::{PROJECT, RUN, Site, TASK};
use crate::wire::{get, post, send};

#[tokio::test]
async fn the_client_gets_every_shape_and_every_error() {
    let site = Site::start().await;
    let client = Client::connect(&site.home).await.unwrap();
    let of = format!("project={PROJECT}");

    let status: Status = client.get_json("/api/status").await.unwrap();
    assert_eq!(status.url, format!("http://{}", site.addr));
    assert_eq!(
        (status.pid, status.projects[0].queued),
        (std::process::id(), 3)
    );
    let snapshot: Snapshot = client.get_json("/api/snapshot").await.unwrap();
    assert_eq!(snapshot.epoch, status.epoch);
    let page: RunPage = client.get_json(&format!("/api/runs?{of}")).await.unwrap();
    assert_eq!((page.runs.len(), page.more), (1, false));
    let page: RunPage = client
        .get_json(&format!("/api/runs?{of}&before={RUN}&limit=1"))
        .await
        .unwrap();
    assert_eq!((page.runs.len(), page.more), (0, true));
    let detail: RunDetail = client
        .get_json(&format!("/api/runs/{RUN}?{of}"))
        .await
        .unwrap();
    assert_eq!(detail.run.id.to_string(), RUN);
    let project: ProjectView = client
        .post_json("/api/projects", &json!({"dir": "/tmp"}))
        .await
        .unwrap();
    assert_eq!(project.dir, "/tmp");
    client
        .delete(&format!("/api/projects/{PROJECT}"))
        .await
        .unwrap();
    let command = json!({
        "cmd_id": "c1", "project": PROJECT, "command": {"type": "stop", "target": "all"},
    });
    let answer: Answer = client.post_json("/api/commands", &command).await.unwrap();
    assert_eq!(answer.moved, 7);
    let () = client
        .post_json("/api/shutdown", &json!({"stop_tasks": true}))
        .await
        .unwrap();
    assert_eq!(*site.memory.told_to_end.lock().unwrap(), Some(true));

    let missing = client.delete("/api/projects/ffffffff").await.unwrap_err();
    let expected = Error::new(ErrorKind::NotFound, "no project `ffffffff`")
        .with_help("`fornax status` lists them");
    assert_eq!(missing, expected);
    let missing = client
        .get_json::<FrameDetail>(&format!("/api/frames/f-zz?{of}"))
        .await;
    assert_eq!(missing.unwrap_err().message, "no frame `f-zz`");
}

#[tokio::test]
async fn a_task_comes_with_its_files() {
    let site = Site::start().await;
    let client = Client::connect(&site.home).await.unwrap();
    let path = format!("/api/tasks/t-4k2?project={PROJECT}");
    let detail: TaskDetail = client.get_json(&path).await.unwrap();
    assert_eq!(
        (
            detail.task.id.to_string().as_str(),
            detail.record,
            detail.exit
        ),
        (TASK, None, None)
    );
    let dir = site.memory.task_dir();
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("task.json"), r#"{"argv": ["true"]}"#).unwrap();
    std::fs::write(dir.join("exit.json"), r#"{"code": 0}"#).unwrap();
    let detail: TaskDetail = client.get_json(&path).await.unwrap();
    assert_eq!(detail.record, Some(json!({"argv": ["true"]})));
    assert_eq!(detail.exit, Some(json!({"code": 0})));
    std::fs::write(dir.join("exit.json"), "{").unwrap();
    let damaged = client.get_json::<TaskDetail>(&path).await.unwrap_err();
    assert_eq!(damaged.kind, ErrorKind::Damaged);
    assert!(damaged.message.contains("exit.json"), "{damaged}");
}

#[tokio::test]
async fn what_is_malformed_is_a_usage_error_and_asks_nobody() {
    let site = Site::start().await;
    let of = format!("project={PROJECT}");
    for path in [
        "/api/runs".to_owned(),
        format!("/api/runs?{of}&limit=0"),
        format!("/api/runs?{of}&limit=501"),
        format!("/api/runs?{of}&limit=many"),
        format!("/api/runs?{of}&before=RUN-1"),
        format!("/api/runs/RUN-1?{of}"),
        format!("/api/runs/%FF?{of}"),
        format!("/api/runs/{RUN}"),
        format!("/api/tasks/{TASK}/logs/stdin?{of}"),
        format!("/api/tasks/{TASK}/logs/stdout?{of}&folow=true"),
    ] {
        let mut reply = get(&site, &path, &[]).await;
        assert_eq!(
            (reply.status, reply.kind().await.as_str()),
            (400, "usage"),
            "{path}"
        );
    }
    for (path, body) in [
        ("/api/projects", r#"{"dir": "relative"}"#),
        ("/api/projects", r#"{"dir": "/a", "more": 1}"#),
        ("/api/commands", ""),
        ("/api/commands", "[]"),
        (
            "/api/commands",
            r#"{"cmd_id":"a b","project":"0","command":{"type":"stop","target":"all"}}"#,
        ),
        (
            "/api/commands",
            r#"{"cmd_id":"a","project":"0","command":{"type":"explode"}}"#,
        ),
        ("/api/shutdown", "{}"),
    ] {
        let mut reply = post(&site, path, &[], body.as_bytes()).await;
        assert_eq!(
            (reply.status, reply.kind().await.as_str()),
            (400, "usage"),
            "{path} {body}"
        );
    }
    assert_eq!(site.memory.calls.load(Ordering::SeqCst), 0);
    let put = site.request(
        "PUT",
        "/api/status",
        &[("content-type", "application/json")],
    );
    let mut reply = send(&site, &put, b"").await;
    assert_eq!((reply.status, reply.kind().await.as_str()), (405, "usage"));
    let mut reply = get(&site, "/api/nothing", &[]).await;
    assert_eq!(
        (reply.status, reply.kind().await.as_str()),
        (404, "not_found")
    );
}

#[tokio::test]
async fn bodies_are_bounded() {
    let site = Site::start().await;
    let dir = "/".repeat((1 << 20) - 10);
    let fits = format!("{{\"dir\":\"{dir}\"}}");
    assert_eq!(fits.len(), 1 << 20);
    assert_eq!(
        post(&site, "/api/projects", &[], fits.as_bytes())
            .await
            .status,
        200
    );
    let mut reply = post(&site, "/api/projects", &[], format!("{fits} ").as_bytes()).await;
    assert_eq!(
        (reply.status, reply.kind().await.as_str()),
        (413, "too_large")
    );

    let trace = format!("/api/trace?project={PROJECT}&run={RUN}");
    let ndjson = [("content-type", "application/x-ndjson")];
    let mut lines = vec![b'x'; 32 << 20];
    lines[7] = b'\n';
    let mut reply = post(&site, &trace, &ndjson, &lines).await;
    let expected = json!({"accepted": 2, "rejected": [{"line": 2, "why": "for the test"}]});
    assert_eq!((reply.status, reply.json().await), (200, expected));
    lines.push(b'x');
    assert_eq!(post(&site, &trace, &ndjson, &lines).await.status, 413);
}

#[tokio::test]
async fn the_page_is_given_or_it_is_said_how_to_build_it() {
    let site = Site::start().await;
    let built = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../web/dist/index.html")
        .exists();
    for path in ["/", "/index.html", "/runs/RUN-20261120-001?tab=log.txt"] {
        let mut reply = get(&site, path, &[]).await;
        assert_eq!(reply.status, if built { 200 } else { 404 }, "{path}");
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
        let text = reply.text().await;
        assert!(built || text.contains("npm run build"), "{text}");
        if built {
            let tag = reply.header("etag").to_owned();
            assert_eq!(reply.header("cache-control"), "no-cache");
            let again = get(&site, path, &[("if-none-match", &tag)]).await;
            assert_eq!(again.status, 304, "{path}");
        }
    }
    // What is missing among the hashed files is missing: no page in place of a script.
    for path in [
        "/assets/missing.js",
        "/assets/../../../Cargo.toml",
        "/assets/%2e%2e/x",
    ] {
        assert_eq!(get(&site, path, &[]).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn only_loopback_is_listened_on_and_a_taken_port_is_told() {
    let temp = tempfile::tempdir().unwrap();
    let home = Home::open(temp.path().join("fornax")).unwrap();
    for open in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7717"] {
        let error = http::bind(&home, Some(open.parse().unwrap()))
            .await
            .err()
            .unwrap();
        assert_eq!(error.kind, ErrorKind::Forbidden);
        assert!(error.help.unwrap().contains("ssh -L"));
    }
    let site = Site::start().await;
    let taken = http::bind(&home, Some(site.addr)).await.err().unwrap();
    assert_eq!(taken.kind, ErrorKind::Unavailable);
    // Whether the usual port is free or not, there is one.
    let (one, two) = (
        http::bind(&home, None).await.unwrap(),
        http::bind(&home, None).await.unwrap(),
    );
    assert_ne!(one.addr().port(), two.addr().port());
    use std::os::unix::fs::MetadataExt;
    assert_eq!(
        std::fs::metadata(home.socket()).unwrap().mode() & 0o777,
        0o600
    );
}

#[tokio::test]
async fn a_request_that_is_under_way_is_answered_before_the_end() {
    let site = Site::start().await;
    let body = br#"{"dir": "/tmp"}"#;
    let length = body.len().to_string();
    let headers = [
        ("content-type", "application/json"),
        ("content-length", length.as_str()),
        ("expect", "100-continue"),
    ];
    let mut stream = TcpStream::connect(site.addr).await.unwrap();
    let head = site.request("POST", "/api/projects", &headers);
    stream.write_all(head.as_bytes()).await.unwrap();
    // This comes when the route waits for the body.
    let mut go_on = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut go_on).await.unwrap();
    let ending = tokio::spawn(site.end());
    tokio::task::yield_now().await;
    stream.write_all(body).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("\"dir\":\"/tmp\""), "{answer}");
    ending.await.unwrap();
}

// With the clock paused, time goes on by itself as soon as everybody waits for it.
#[tokio::test(start_paused = true)]
async fn slow_requests_are_given_up() {
    let site = Site::start().await;
    let mut stream = TcpStream::connect(site.addr).await.unwrap();
    stream
        .write_all(b"GET /api/status HTTP/1.1\r\nho")
        .await
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200"));

    // One that is kept for a next request which does not come.
    let mut stream = TcpStream::connect(site.addr).await.unwrap();
    let request = site.request("GET", "/api/nothing", &[]);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 404"));

    let mut reply = post(&site, "/api/projects", &[("content-length", "100")], b"{").await;
    assert_eq!((reply.status, reply.kind().await.as_str()), (400, "usage"));
}
