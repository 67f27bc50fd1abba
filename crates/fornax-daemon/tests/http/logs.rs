//! Logs by line, searched, and both as one.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::site::{PROJECT, Site, TASK};
use crate::wire::{Reply, get};

fn path(rest: &str) -> String {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    format!("/api/tasks/{TASK}/logs/{path}?project={PROJECT}&{query}")
        .trim_end_matches('&')
        .to_owned()
}

async fn ask(site: &Site, rest: &str) -> Reply {
    get(site, &path(rest), &[]).await
}

async fn answer(site: &Site, rest: &str) -> Value {
    let mut reply = ask(site, rest).await;
    let text = reply.text().await;
    assert_eq!(reply.status, 200, "{rest}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{rest}: {text}"))
}

/// Lines of JSON: what is found, and the last word on how far it is.
async fn found(site: &Site, rest: &str) -> (Vec<Value>, Value) {
    let text = ask(site, rest).await.text().await;
    let told: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let last = told.last().unwrap().clone();
    assert_eq!(last["done"], true, "{text}");
    let hits = told.into_iter().filter(|told| told.get("text").is_some());
    (hits.collect(), last)
}

fn write(site: &Site, name: &str, content: &[u8]) -> File {
    let dir = site.memory.task_dir();
    fs::create_dir_all(&dir).unwrap();
    let mut options = OpenOptions::new();
    let mut file = options
        .create(true)
        .append(true)
        .open(dir.join(name))
        .unwrap();
    file.write_all(content).unwrap();
    file
}

#[tokio::test]
async fn lines_have_places_and_places_lines() {
    let site = Site::start().await;
    let first = json!({"line": 1, "offset": 0});
    // Before the task's folder is there, and while the log is empty.
    for _ in 0..2 {
        for rest in [
            "stdout/line?line=1",
            "stdout/line?line=7",
            "stdout/line?offset=0",
            "merged/line?line=2",
        ] {
            assert_eq!(answer(&site, rest).await, first, "{rest}");
        }
        write(&site, "stdout.log", b"");
    }
    write(&site, "stdout.log", b"one\ntwo\n\nfour");
    for (rest, line, offset) in [
        ("line=1", 1, 0),
        ("line=2", 2, 4),
        ("line=3", 3, 8),
        ("line=4", 4, 9),
        ("line=5", 4, 9),
        ("line=18446744073709551615", 4, 9),
        ("offset=0", 1, 0),
        ("offset=3", 1, 3),
        ("offset=4", 2, 4),
        ("offset=8", 3, 8),
        ("offset=13", 4, 13),
        ("offset=99", 4, 13),
    ] {
        let expected = json!({"line": line, "offset": offset});
        assert_eq!(
            answer(&site, &format!("stdout/line?{rest}")).await,
            expected,
            "{rest}"
        );
    }
    // It grows meanwhile.
    write(&site, "stdout.log", b"\nfive\n");
    assert_eq!(
        answer(&site, "stdout/line?line=9").await,
        json!({"line": 5, "offset": 14})
    );
    for rest in [
        "stdout/line",
        "stdout/line?line=0",
        "stdout/line?line=1&offset=1",
        "stdout/line?line=x",
        "else/line?line=1",
    ] {
        assert_eq!(ask(&site, rest).await.status, 400, "{rest}");
    }
}

/// A log of so many bytes that takes no room on the disk: nothing but NUL, and lines at its end.
fn sparse(site: &Site, bytes: u64) {
    let log = write(site, "stdout.log", b"");
    log.set_len(bytes - 12).unwrap();
    drop(log);
    write(site, "stdout.log", b"\nthe Needle\n");
}

#[tokio::test]
async fn the_lines_of_a_large_log_are_counted() {
    const BYTES: u64 = 8 << 20;
    let site = Site::start().await;
    sparse(&site, BYTES);
    let last = json!({"line": 2, "offset": BYTES - 11});
    assert_eq!(answer(&site, "stdout/line?line=9999").await, last);
    let middle = answer(&site, &format!("stdout/line?offset={}", BYTES / 2)).await;
    assert_eq!(middle["line"], 1);
    let (hits, _) = found(&site, "stdout/search?pattern=needle").await;
    assert_eq!(
        (&hits[0]["line"], &hits[0]["offset"]),
        (&last["line"], &last["offset"])
    );
}

#[tokio::test]
async fn a_search_tells_what_it_found_and_how_far_it_is() {
    let site = Site::start().await;
    for _ in 0..2 {
        let (hits, last) = found(&site, "stdout/search?pattern=x").await;
        assert_eq!(
            (hits.len(), last),
            (0, json!({"searched": 0, "lines": 0, "done": true}))
        );
        write(&site, "stdout.log", b"");
    }
    write(
        &site,
        "stdout.log",
        b"Error: a\nfine\n\x1b[31mer\x1b[0mror: b\nerror.c\n",
    );
    let lines = |hits: &[Value]| {
        hits.iter()
            .map(|hit| hit["line"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    for (query, expected) in [
        ("pattern=error", vec![1, 3, 4]),
        ("pattern=Error", vec![1]),
        ("pattern=Error&ignore_case=true", vec![1, 3, 4]),
        ("pattern=error&ignore_case=false", vec![3, 4]),
        ("pattern=error.", vec![4]),
        ("pattern=error.&regex=true", vec![1, 3, 4]),
        ("pattern=%5Eerror&regex=true&ignore_case=false", vec![3, 4]),
        ("pattern=error&offset=1", vec![3, 4]),
        ("pattern=error&offset=9", vec![3, 4]),
        ("pattern=error&offset=15", vec![4]),
        ("pattern=error&offset=999", vec![]),
    ] {
        let (hits, last) = found(&site, &format!("stdout/search?{query}")).await;
        assert_eq!(lines(&hits), expected, "{query}");
        assert_eq!(last["lines"], expected.len(), "{query}");
    }
    let (hits, last) = found(&site, "stdout/search?pattern=error&limit=1").await;
    assert_eq!(
        (hits.len(), &last["lines"]),
        (1, &json!(3)),
        "the others are counted"
    );
    let third = found(&site, "stdout/search?pattern=error&offset=1").await.0;
    let expected =
        json!({"line": 3, "offset": 14, "marks": [[0, 5]], "text": "error: b", "text_from": 0});
    assert_eq!(third[0], expected);
    for query in [
        "",
        "pattern=",
        "pattern=%0A",
        "pattern=(&regex=true",
        "pattern=x&limit=0",
        "pattern=x&limit=10001",
    ] {
        let mut reply = ask(&site, &format!("stdout/search?{query}")).await;
        assert_eq!(
            (reply.status, reply.kind().await.as_str()),
            (400, "usage"),
            "{query}"
        );
    }
}

/// Whether the daemon, which is this process, has the file open.
fn is_open(path: &Path) -> bool {
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let mut files = open.filter_map(|fd| fs::read_link(fd.path()).ok());
    files.any(|file| file == path)
}

#[tokio::test]
async fn a_search_tells_how_far_it_is_and_ends_with_its_client() {
    let site = Site::start().await;
    // To read all of it would take many minutes.
    sparse(&site, 1 << 40);
    let path = site.memory.task_dir().join("stdout.log");
    let mut reply = ask(&site, "stdout/search?pattern=needle").await;
    let mut first = Vec::new();
    while !first.contains(&b'\n') {
        first.extend(reply.chunk().await.unwrap());
    }
    let told = first.split(|&byte| byte == b'\n').next().unwrap();
    let told: Value = serde_json::from_slice(told).unwrap();
    assert_eq!((&told["done"], &told["lines"]), (&json!(false), &json!(0)));
    assert!(told["searched"].as_u64().unwrap() < 16 << 20, "{told}");
    assert!(is_open(&path));
    drop(reply);
    let deadline = Instant::now() + Duration::from_secs(60);
    while is_open(&path) {
        assert!(Instant::now() < deadline, "it goes on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What an order says: lengths of runs, standard output's first. All are below 128.
fn order(site: &Site, runs: &[u8]) {
    write(site, "order.idx", runs);
}

#[tokio::test]
async fn both_logs_are_one_in_the_order_in_which_they_came() {
    let site = Site::start().await;
    assert_eq!(ask(&site, "merged").await.text().await, "");
    write(&site, "stdout.log", b"");
    write(&site, "stderr.log", b"");
    assert_eq!(ask(&site, "merged").await.text().await, "");
    write(&site, "stdout.log", b"out 1\n");
    let mut follower = get(&site, &path("merged?follow=true&offset=2"), &[]).await;
    assert_eq!(follower.chunk().await.unwrap(), b"t 1\n");
    order(&site, &[6]);
    write(&site, "stderr.log", b"err 1\nerr");
    assert_eq!(follower.chunk().await.unwrap(), b"err 1\n");
    order(&site, &[6]);
    write(&site, "stdout.log", b"out 2\nout 3\n");
    assert_eq!(follower.chunk().await.unwrap(), b"out 2\nout 3\n");

    let text = "out 1\nerr 1\nout 2\nout 3\n";
    let mut whole = ask(&site, "merged").await;
    assert_eq!(whole.header("content-length"), text.len().to_string());
    assert_eq!(whole.text().await, text);
    for (range, part) in [
        ("bytes=4-13", "1\nerr 1\nou"),
        ("bytes=-6", "out 3\n"),
        ("bytes=6-6", "e"),
    ] {
        let mut reply = get(&site, &path("merged"), &[("range", range)]).await;
        assert_eq!(
            (reply.status, reply.text().await.as_str()),
            (206, part),
            "{range}"
        );
    }
    let streams = answer(&site, "merged/streams?from=0&to=100").await;
    assert_eq!(
        streams,
        json!({"stderr": [[6, 12]], "size": 24, "ordered_to": 24})
    );
    let clipped = answer(&site, "merged/streams?from=8&to=10").await;
    assert_eq!(clipped["stderr"], json!([[8, 10]]));
    for query in ["from=2&to=1", "from=0&to=1048577", "from=0"] {
        assert_eq!(
            ask(&site, &format!("merged/streams?{query}")).await.status,
            400,
            "{query}"
        );
    }
    assert_eq!(
        answer(&site, "merged/line?line=2").await,
        json!({"line": 2, "offset": 6})
    );
    let (hits, _) = found(&site, "merged/search?pattern=2").await;
    assert_eq!(hits[0]["offset"], 12);

    // The end brings what no newline ended.
    site.memory.end_task();
    assert_eq!(follower.text().await, "err");
    assert_eq!(
        ask(&site, "merged").await.text().await,
        format!("{text}err")
    );
}

#[tokio::test]
async fn where_no_order_is_known_one_log_follows_the_other_at_the_end() {
    let site = Site::start().await;
    write(&site, "stdout.log", b"out\n");
    write(&site, "stderr.log", b"err\n");
    assert_eq!(ask(&site, "merged").await.text().await, "");
    let mut follower = get(&site, &path("merged?follow=true"), &[]).await;
    site.memory.end_task();
    assert_eq!(follower.text().await, "out\nerr\n");
    let streams = answer(&site, "merged/streams?from=0&to=8").await;
    assert_eq!(
        streams,
        json!({"stderr": [[4, 8]], "size": 8, "ordered_to": 0})
    );
    // An order that says more than the logs hold, as after a power cut, is none.
    order(&site, &[100, 4]);
    assert_eq!(ask(&site, "merged").await.text().await, "out\nerr\n");
}
