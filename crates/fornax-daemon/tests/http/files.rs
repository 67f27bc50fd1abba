//! Logs, events and artifacts: parts of files, files that grow, and names that lead astray.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fornax_daemon::client::Client;
use futures_util::StreamExt;

use crate::site::{PROJECT, RUN, Site, TASK};
use crate::wire::{Reply, get};

fn log_path(more: &str) -> String {
    format!("/api/tasks/{TASK}/logs/stdout?project={PROJECT}{more}")
}

fn write_log(site: &Site, content: &[u8]) -> File {
    let dir = site.memory.task_dir();
    fs::create_dir_all(&dir).unwrap();
    let mut file = File::create(dir.join("stdout.log")).unwrap();
    file.write_all(content).unwrap();
    file
}

async fn range(site: &Site, range: &str) -> Reply {
    get(site, &log_path(""), &[("range", range)]).await
}

#[tokio::test]
async fn ranges_at_every_edge() {
    let site = Site::start().await;
    // Before the task's folder is there, and while the log is empty.
    for _ in 0..2 {
        for header in ["", "bytes=0-", "bytes=-1", "bytes=5-"] {
            let mut reply = range(&site, header).await;
            assert_eq!(
                (reply.status, reply.text().await.as_str()),
                (200, ""),
                "{header}"
            );
            assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
        }
        write_log(&site, b"");
    }
    write_log(&site, b"0123456789");
    for (header, status, content_range, body) in [
        ("", 200, "", "0123456789"),
        ("bytes=0-", 206, "bytes 0-9/10", "0123456789"),
        ("bytes=0-0", 206, "bytes 0-0/10", "0"),
        ("bytes=9-9", 206, "bytes 9-9/10", "9"),
        ("bytes=9-", 206, "bytes 9-9/10", "9"),
        ("bytes=3-5", 206, "bytes 3-5/10", "345"),
        ("bytes=8-999", 206, "bytes 8-9/10", "89"),
        ("bytes=-1", 206, "bytes 9-9/10", "9"),
        ("bytes=-10", 206, "bytes 0-9/10", "0123456789"),
        ("bytes=-999", 206, "bytes 0-9/10", "0123456789"),
        ("bytes=10-", 416, "bytes */10", ""),
        ("bytes=-0", 416, "bytes */10", ""),
        ("bytes=5-3", 200, "", "0123456789"),
        ("bytes=0-1,4-5", 200, "", "0123456789"),
        ("lines=1-2", 200, "", "0123456789"),
    ] {
        let mut reply = range(&site, header).await;
        assert_eq!(reply.status, status, "{header}");
        assert_eq!(reply.header("content-range"), content_range, "{header}");
        assert_eq!(
            reply.header("content-length"),
            body.len().to_string(),
            "{header}"
        );
        assert_eq!(reply.text().await, body, "{header}");
    }
    let conditional = [("range", "bytes=0-0"), ("if-range", "\"x\"")];
    assert_eq!(get(&site, &log_path(""), &conditional).await.status, 200);
    assert_eq!(get(&site, &log_path("&offset=3"), &[]).await.status, 400);
}

/// A figure of this process, as the system counts it.
fn figure(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/self/{file}")).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_end_of_a_gibibyte_comes_at_once_and_all_of_it_takes_no_memory() {
    const SIZE: u64 = 1 << 30;
    let site = Site::start().await;
    let log = write_log(&site, b"");
    log.set_len(SIZE).unwrap();
    log.write_all_at(b"the end", SIZE - 7).unwrap();

    let (read_before, began) = (figure("io", "rchar:"), Instant::now());
    let mut reply = range(&site, "bytes=-1024").await;
    let tail = reply.body().await;
    assert_eq!((reply.status, tail.len()), (206, 1024));
    assert!(tail.ends_with(b"\0the end"));
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    // Other tests may run in this process, but none reads half a gibibyte.
    assert!(figure("io", "rchar:") - read_before < SIZE / 2);

    let resident_before_kib = figure("status", "VmRSS:");
    let mut reply = get(&site, &log_path(""), &[]).await;
    let (mut bytes, mut grown_kib) = (0, 0);
    while let Some(chunk) = reply.chunk().await {
        bytes += chunk.len() as u64;
        if bytes >> 26 != (bytes - chunk.len() as u64) >> 26 {
            grown_kib =
                grown_kib.max(figure("status", "VmRSS:").saturating_sub(resident_before_kib));
        }
    }
    assert_eq!(bytes, SIZE);
    assert!(grown_kib < 300 << 10, "{grown_kib} KiB");
}

#[tokio::test]
async fn a_reader_that_stands_still_holds_the_file_back_and_not_the_daemon() {
    let site = Site::start().await;
    write_log(&site, b"").set_len(1 << 30).unwrap();
    let resident_before_kib = figure("status", "VmRSS:");
    let mut still = Vec::new();
    for _ in 0..20 {
        still.push(get(&site, &log_path(""), &[]).await);
    }
    assert_eq!(range(&site, "bytes=0-9").await.body().await.len(), 10);
    let grown_kib = figure("status", "VmRSS:").saturating_sub(resident_before_kib);
    assert!(grown_kib < 300 << 10, "{grown_kib} KiB");
    let mut one = still.pop().unwrap();
    assert!(!one.chunk().await.unwrap().is_empty());
}

/// Bytes in which a loss or a swap shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_gets_all_that_is_written_meanwhile_and_ends_with_the_task() {
    let site = Site::start().await;
    let content = Arc::new(pattern(5_000_000));
    // The folder is not there yet: the task has only just been started.
    let mut from_the_start = get(&site, &log_path("&follow=true"), &[]).await;
    let mut from_the_middle = get(&site, &log_path("&follow=true&offset=2000000"), &[]).await;
    let client = Client::connect(&site.home).await.unwrap();
    let mut stderr = client
        .stream_bytes(&log_path("&follow=true").replace("stdout", "stderr"))
        .await
        .unwrap();
    let (memory, writing) = (Arc::clone(&site.memory), Arc::clone(&content));
    let writer = std::thread::spawn(move || {
        fs::create_dir_all(memory.run_dir()).unwrap();
        fs::create_dir_all(memory.task_dir()).unwrap();
        let mut log = File::create(memory.task_dir().join("stdout.log")).unwrap();
        let (mut at, mut size) = (0, 1);
        while at < writing.len() - 1 {
            let end = (at + size).min(writing.len() - 1);
            log.write_all(&writing[at..end]).unwrap();
            (at, size) = (end, size * 31 % 9973 + 1);
            if at % 7 == 0 {
                // Another project's task of the same id ends nothing here.
                memory.tell_task_over();
            }
        }
        // The very last byte, right before the end is told.
        log.write_all(&writing[at..]).unwrap();
        memory.end_task();
    });
    assert!(from_the_start.body().await == *content);
    assert!(from_the_middle.body().await == content[2_000_000..]);
    assert!(stderr.next().await.is_none());
    writer.join().unwrap();
    // What is over is given whole, and at once.
    assert!(
        get(&site, &log_path("&follow=true"), &[])
            .await
            .body()
            .await
            == *content
    );
}

#[tokio::test]
async fn a_follower_ends_with_the_daemon() {
    let site = Site::start().await;
    write_log(&site, b"so far");
    let mut reply = get(&site, &log_path("&follow=true"), &[]).await;
    assert_eq!(reply.chunk().await.unwrap(), b"so far");
    site.end().await;
    assert_eq!(reply.chunk().await, None);
}

/// Whether the daemon, which is this process, watches the file.
fn is_watched(path: &Path) -> bool {
    let inode = format!("ino:{:x} ", fs::metadata(path).unwrap().ino());
    let infos = fs::read_dir("/proc/self/fdinfo").unwrap();
    infos.flatten().any(|info| {
        // Descriptors come and go while they are listed.
        let text = fs::read_to_string(info.path()).unwrap_or_default();
        text.lines()
            .any(|line| line.starts_with("inotify") && line.contains(&inode))
    })
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_follower_that_leaves_leaves_nothing_behind() {
    let site = Site::start().await;
    write_log(&site, b"so far");
    let path = site.memory.task_dir().join("stdout.log");
    let mut over_tcp = get(&site, &log_path("&follow=true"), &[]).await;
    assert_eq!(over_tcp.chunk().await.unwrap(), b"so far");
    let client = Client::connect(&site.home).await.unwrap();
    let mut over_unix = client
        .stream_bytes(&log_path("&follow=true"))
        .await
        .unwrap();
    assert_eq!(over_unix.next().await.unwrap().unwrap(), "so far");
    until("it is watched", || is_watched(&path)).await;
    drop(over_tcp);
    assert!(is_watched(&path));
    drop(over_unix);
    until("it is watched no longer", || !is_watched(&path)).await;
}

#[tokio::test]
async fn events_are_given_in_whole_lines_from_any_line_on() {
    let site = Site::start().await;
    let path = |more: &str| format!("/api/runs/{RUN}/events?project={PROJECT}{more}");
    assert_eq!(get(&site, &path(""), &[]).await.text().await, "");
    assert_eq!(get(&site, &path("&offset=1"), &[]).await.status, 400);
    fs::create_dir_all(site.memory.run_dir()).unwrap();
    let file = site.memory.run_dir().join("events.jsonl");
    let mut journal = File::create(&file).unwrap();
    journal
        .write_all(b"{\"seq\":1}\n{\"seq\":2}\n{\"seq\":")
        .unwrap();
    for (offset, text) in [
        (0, "{\"seq\":1}\n{\"seq\":2}\n"),
        (10, "{\"seq\":2}\n"),
        (20, ""),
    ] {
        let mut reply = get(&site, &path(&format!("&offset={offset}")), &[]).await;
        assert_eq!((reply.status, reply.text().await.as_str()), (200, text));
        assert_eq!(reply.header("content-type"), "application/x-ndjson");
    }
    for offset in [1, 9, 11, 27, 28, 1000] {
        let mut reply = get(&site, &path(&format!("&offset={offset}")), &[]).await;
        assert_eq!(
            (reply.status, reply.kind().await.as_str()),
            (400, "usage"),
            "{offset}"
        );
    }

    let mut follower = get(&site, &path("&offset=10&follow=true"), &[]).await;
    assert_eq!(follower.chunk().await.unwrap(), b"{\"seq\":2}\n");
    journal.write_all(b"3}\n{\"se").unwrap();
    assert_eq!(follower.chunk().await.unwrap(), b"{\"seq\":3}\n");
    journal.write_all(b"q\":4}\n").unwrap();
    site.memory.end_run();
    assert_eq!(follower.text().await, "{\"seq\":4}\n");
}

#[tokio::test]
async fn many_events_are_given_whole() {
    let site = Site::start().await;
    fs::create_dir_all(site.memory.run_dir()).unwrap();
    let lines: String = (0..60_000)
        .map(|seq| format!("{{\"seq\":{seq}}}\n"))
        .collect();
    fs::write(
        site.memory.run_dir().join("events.jsonl"),
        format!("{lines}{{\"seq\":"),
    )
    .unwrap();
    let path = format!("/api/runs/{RUN}/events?project={PROJECT}");
    assert!(get(&site, &path, &[]).await.text().await == lines);
}

#[tokio::test]
async fn artifacts_are_downloads_and_names_lead_nowhere_else() {
    let site = Site::start().await;
    let dir = site.memory.task_dir();
    fs::create_dir_all(dir.join("artifacts/sub")).unwrap();
    fs::write(site.memory.dir.join("secret"), "secret").unwrap();
    fs::write(dir.join("task.json"), "{}").unwrap();
    fs::write(dir.join("artifacts/a \"ü\".html"), "<script>").unwrap();
    fs::write(dir.join("artifacts/sub/b.txt"), "b").unwrap();
    symlink(site.memory.dir.join("secret"), dir.join("artifacts/link")).unwrap();
    symlink(&site.memory.dir, dir.join("artifacts/up")).unwrap();
    let artifact = |name: &str| format!("/api/tasks/{TASK}/artifacts/{name}?project={PROJECT}");

    let mut reply = get(&site, &artifact("a%20%22%C3%BC%22.html"), &[]).await;
    assert_eq!(
        (reply.status, reply.text().await.as_str()),
        (200, "<script>")
    );
    assert_eq!(reply.header("content-type"), "application/octet-stream");
    let called = "attachment; filename*=UTF-8''a%20%22%C3%BC%22%2Ehtml";
    assert_eq!(reply.header("content-disposition"), called);
    assert_eq!(
        get(&site, &artifact("sub%2Fb.txt"), &[]).await.text().await,
        "b"
    );
    let mut part = get(&site, &artifact("sub%2Fb.txt"), &[("range", "bytes=0-")]).await;
    assert_eq!((part.status, part.text().await.as_str()), (206, "b"));

    for name in [
        "missing",
        "link",
        "up%2Fsecret",
        "sub",
        "..%2Ftask.json",
        "sub%2F..%2F..%2Ftask.json",
        "..",
        "%2Fetc%2Fpasswd",
        ".",
        "%00",
        "a%00b",
        "%2E%2E%2Ftask.json",
    ] {
        let mut reply = get(&site, &artifact(name), &[]).await;
        assert_eq!(reply.status, 404, "{name}");
        assert!(!reply.text().await.contains("secret\""), "{name}");
    }
}

#[tokio::test]
async fn an_image_is_shown_where_a_preview_is_asked_for_and_can_do_nothing_as_a_document() {
    let site = Site::start().await;
    let dir = site.memory.task_dir().join("artifacts");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("image"), "<svg onload='alert(1)'/>").unwrap();
    fs::write(dir.join("page.png"), "<script>alert(1)</script>").unwrap();
    let artifact =
        |name: &str| format!("/api/tasks/{TASK}/artifacts/{name}?project={PROJECT}&preview=true");

    let image = get(&site, &artifact("image"), &[("range", "bytes=0-3")]).await;
    assert_eq!(image.status, 206);
    assert_eq!(image.header("content-type"), "image/svg+xml");
    let other = get(&site, &artifact("page.png"), &[]).await;
    assert_eq!(other.header("content-type"), "application/octet-stream");
    assert!(
        other
            .header("content-disposition")
            .starts_with("attachment")
    );
    for reply in [image, other] {
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        let policy = reply.header("content-security-policy");
        assert!(
            policy.starts_with("sandbox; default-src 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("allow-"), "{policy}");
    }
}

#[tokio::test]
async fn a_log_that_is_a_link_is_refused() {
    let site = Site::start().await;
    fs::create_dir_all(site.memory.task_dir()).unwrap();
    fs::write(site.memory.dir.join("secret"), "secret").unwrap();
    symlink(
        site.memory.dir.join("secret"),
        site.memory.task_dir().join("stdout.log"),
    )
    .unwrap();
    for more in ["", "&follow=true"] {
        let mut reply = get(&site, &log_path(more), &[]).await;
        assert_eq!(
            (reply.status, reply.kind().await.as_str()),
            (404, "not_found")
        );
    }
}
