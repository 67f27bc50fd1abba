//! Delays, cuts, silence, clients that leave, shutdown, and many at once.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{ask, ask_in_round, ask_whole, call, read, send, start};
use fornax_stub_model::{Outcome, StubModel};
use http_body_util::BodyExt;
use hyper::Request;
use serde_json::json;
use tokio::task::JoinSet;

#[tokio::test]
async fn a_cut_leaves_exactly_the_frames_before_it() {
    for frames in [0, 1, 3, 6] {
        let stub = start(&json!({"fallback": {
            "text": "abcdefgh", "chunk_size": 2, "cut": frames}}))
        .await;
        let reply = call(&stub, &ask("x")).await.unwrap();
        assert_eq!(
            (reply.status, reply.whole),
            (200, false),
            "cut after {frames}"
        );
        assert_eq!(reply.events().len(), frames);
        stub.settle().await.unwrap();
        let record = &stub.requests()[0];
        assert_eq!((record.outcome, record.frames_sent), (Outcome::Cut, frames));
    }
    // Seven frames: head, four of text, the reason, [DONE]. A later cut never comes.
    let stub = start(&json!({"fallback": {"text": "abcdefgh", "chunk_size": 2, "cut": 8}})).await;
    assert_eq!(call(&stub, &ask("x")).await.unwrap().chunks().len(), 6);
}

#[tokio::test]
async fn a_cut_at_once_gives_not_even_a_head() {
    let stub = start(&json!({"fallback": {"cut": true}})).await;
    for body in [ask("x"), ask_whole("x")] {
        let error = call(&stub, &body).await.unwrap_err();
        assert!(error.is_incomplete_message(), "{error:?}");
    }
    stub.settle().await.unwrap();
    let requests = stub.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.outcome == Outcome::Cut && request.status.is_none())
    );
    // An answer in one piece is one frame.
    let stub = start(&json!({"rules": [
        {"when": {"n": 1}, "reply": {"text": "x", "cut": 0}},
        {"reply": {"text": "x", "cut": 1}},
    ]}))
    .await;
    assert!(
        call(&stub, &ask_whole("x"))
            .await
            .unwrap_err()
            .is_incomplete_message()
    );
    assert_eq!(call(&stub, &ask_whole("x")).await.unwrap().text(), "x");
}

#[tokio::test]
async fn it_hangs_until_the_client_leaves() {
    let stub = start(&json!({"rules": [
        {"id": "mute", "when": {"user": "mute"}, "reply": {"hang": true}},
        {"id": "half", "reply": {"text": "abcdefgh", "chunk_size": 2, "hang": 3}},
    ]}))
    .await;
    let request = || Request::post("/v1/chat/completions");

    // No head comes: the call is pending when its rule has fired, and ends with its client.
    let mute = send(stub.port(), request(), ask("mute").to_string());
    tokio::select! {
        _ = mute => panic!("a hanging stub answered"),
        fired = stub.wait_for("mute") => assert_eq!(fired.unwrap(), 1),
    }
    stub.settle().await.unwrap();
    let record = &stub.requests()[0];
    assert_eq!((record.outcome, record.status), (Outcome::ClientLeft, None));

    // Three frames come, and then nothing.
    let (connection, mut answer) = send(stub.port(), request(), ask("half").to_string())
        .await
        .unwrap();
    let mut text = Vec::new();
    while text.windows(2).filter(|pair| pair == b"\n\n").count() < 3 {
        text.extend(
            answer
                .body_mut()
                .frame()
                .await
                .unwrap()
                .unwrap()
                .into_data()
                .unwrap(),
        );
    }
    assert_eq!(stub.requests()[1].outcome, Outcome::Pending);
    drop((connection, answer));
    stub.settle().await.unwrap();
    let record = &stub.requests()[1];
    assert_eq!(
        (record.outcome, record.frames_sent),
        (Outcome::ClientLeft, 3)
    );
}

#[tokio::test]
async fn delays_are_kept() {
    let stub = start(&json!({"rules": [
        {"when": {"user": "late"}, "reply": {"text": "x", "delay_ms": 80}},
        {"reply": {"text": "abcdefgh", "chunk_size": 2, "chunk_delay_ms": 15}},
    ]}))
    .await;
    let started = Instant::now();
    assert_eq!(call(&stub, &ask_whole("late")).await.unwrap().text(), "x");
    assert!(started.elapsed() >= Duration::from_millis(80));
    let started = Instant::now();
    assert_eq!(call(&stub, &ask("slow")).await.unwrap().text(), "abcdefgh");
    assert!(started.elapsed() >= Duration::from_millis(7 * 15));
}

#[tokio::test]
async fn a_shutdown_ends_every_answer_and_every_connection() {
    let stub = start(&json!({"rules": [
        {"id": "mute", "when": {"user": "mute"}, "reply": {"hang": true}},
        {"id": "late", "when": {"user": "late"}, "reply": {"delay_ms": 3_600_000}},
        {"id": "half", "when": {"user": "half"}, "reply": {"text": "x", "hang": 1}},
        {"id": "slow", "reply": {"text": "x", "chunk_delay_ms": 3_600_000}},
    ]}))
    .await;
    let ids = ["mute", "late", "half", "slow"];
    let port = stub.port();
    let mut calls = JoinSet::new();
    for id in ids {
        calls.spawn(async move {
            let request = Request::post("/v1/chat/completions");
            let (_connection, answer) = send(port, request, ask(id).to_string()).await?;
            Ok::<_, hyper::Error>(read(answer).await)
        });
        stub.wait_for(id).await.unwrap();
    }
    // Nor does a connection without a request hold it up.
    let idle = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap();
    let started = Instant::now();
    stub.shutdown().await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    drop(idle);
    for call in calls.join_all().await {
        assert!(call.is_err() || call.is_ok_and(|reply| !reply.whole));
    }
    assert!(
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_at_once_do_not_disturb_each_others_rounds() {
    let stub = start(&json!({"rules": [
        {"id": "once", "when": {"user": "talk"}, "times": 10, "reply": {"error": {"status": 429}}},
        {"id": "talk", "when": {"user": "talk"}, "replies": [
            {"text": "{{last_user}} begins"}, {"text": "{{last_user}} goes on after {{last_tool_result}}"},
            {"text": "{{last_user}} ends"},
        ]},
    ]}))
    .await;
    let stub = Arc::new(stub);
    let mut talks = JoinSet::new();
    for id in 0..50 {
        talks.spawn(talk(Arc::clone(&stub), id));
    }
    assert_eq!(talks.join_all().await.into_iter().sum::<u32>(), 10);
    stub.settle().await.unwrap();
    let requests = stub.requests();
    let numbers: Vec<u64> = requests.iter().filter_map(|request| request.n).collect();
    assert_eq!(numbers, (1..=160).collect::<Vec<u64>>());
    assert!(
        requests
            .iter()
            .all(|request| request.outcome != Outcome::Pending)
    );
}

/// One agent's conversation of three rounds; gives back how often it was refused and retried.
async fn talk(stub: Arc<StubModel>, id: u32) -> u32 {
    let user = format!("talk {id}");
    let mut refused = 0;
    for (round, expected) in [
        (0, format!("{user} begins")),
        (1, format!("{user} goes on after result 0")),
        (2, format!("{user} ends")),
    ] {
        let mut body = ask_in_round(&user, round);
        body["stream"] = json!(id.is_multiple_of(2));
        let reply = loop {
            let reply = call(&*stub, &body).await.unwrap();
            if reply.status == 200 {
                break reply;
            }
            refused += 1;
        };
        assert_eq!(reply.text(), expected);
    }
    refused
}
