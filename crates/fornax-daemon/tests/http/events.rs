//! Server-sent events: resumed anywhere, without a gap, whoever else is slow.

use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use fornax_core::view::{Change, ProjectView};
use fornax_daemon::client::{Client, SseItem};
use fornax_daemon::feed::Feed;
use futures_util::StreamExt;

use crate::site::Site;
use crate::wire::{Event, EventReader, get};

fn change(bytes: usize) -> Change {
    let project = ProjectView {
        id: "0123abcd".into(),
        name: "x".repeat(bytes),
        dir: "/".into(),
        problem: None,
        notice: None,
    };
    Change {
        projects: vec![project],
        ..Change::default()
    }
}

fn seq(event: &Event) -> u64 {
    assert_eq!(event.event, "change");
    let seq = event.data["seq"].as_u64().unwrap();
    assert!(event.id.ends_with(&format!(":{seq}")));
    seq
}

fn publish(feed: &Feed, count: usize) {
    for _ in 0..count {
        feed.publish(change(1));
    }
}

#[tokio::test]
async fn begins_now_or_after_the_query_and_the_header_wins() {
    let site = Site::start().await;
    let feed = &site.memory.feed;
    publish(feed, 5);
    let id = |seq: u64| format!("{}:{seq}", feed.epoch());

    let mut now = EventReader::open(&site, "", &[]).await;
    let mut query = EventReader::open(&site, &format!("?after={}", id(2)), &[]).await;
    let header = id(4);
    let mut both = EventReader::open(
        &site,
        &format!("?after={}", id(2)),
        &[("last-event-id", &header)],
    )
    .await;
    let mut newest = EventReader::open(&site, &format!("?after={}", id(5)), &[]).await;
    feed.publish(change(1));
    assert_eq!(seq(&now.next().await.unwrap()), 6);
    assert_eq!(seq(&query.next().await.unwrap()), 3);
    assert_eq!(seq(&both.next().await.unwrap()), 5);
    assert_eq!(seq(&newest.next().await.unwrap()), 6);
    assert_eq!(get(&site, "/api/events?afer=x:1", &[]).await.status, 400);
}

#[tokio::test]
async fn a_place_that_is_not_in_the_ring_is_reset_once_and_leads_on() {
    let site = Site::start_with(Feed::bounded(10, usize::MAX)).await;
    let feed = &site.memory.feed;
    publish(feed, 20);
    let epoch = feed.epoch().to_owned();
    let mut last = String::new();
    for place in [
        "0000000000000000:20".to_owned(),
        format!("{epoch}:9"),
        format!("{epoch}:21"),
        format!("{epoch}:-1"),
        format!("{epoch}:99999999999999999999"),
        epoch.clone(),
        "garbage".to_owned(),
        String::from("\u{e9}"),
    ] {
        let mut reader = EventReader::open(&site, "", &[("last-event-id", &place)]).await;
        let reset = reader.next().await.unwrap();
        assert_eq!(
            (reset.event.as_str(), &reset.id),
            ("reset", &format!("{epoch}:20")),
            "{place}"
        );
        assert_eq!(reader.next().await, None, "{place}");
        last = reset.id;
    }
    // Whoever comes back by itself goes on where a new snapshot ends.
    let mut again = EventReader::open(&site, "", &[("last-event-id", &last)]).await;
    publish(feed, 1);
    assert_eq!(seq(&again.next().await.unwrap()), 21);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_quick_changes_come_without_a_gap_over_broken_connections() {
    let seed = UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut dice = seed | 1;
    let mut roll = move |below: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % below
    };
    let site = Site::start().await;
    let memory = Arc::clone(&site.memory);
    let publisher = tokio::spawn(async move {
        for _ in 0..1000 {
            memory.feed.publish(change(100));
            tokio::task::yield_now().await;
        }
    });
    let mut last = format!("{}:0", site.memory.feed.epoch());
    let mut seen = Vec::new();
    let mut connections = 0;
    while seen.len() < 1000 {
        let mut reader = EventReader::open(&site, "", &[("last-event-id", &last)]).await;
        connections += 1;
        for _ in 0..=roll(100) {
            if seen.len() == 1000 {
                break;
            }
            let event = reader.next().await.unwrap();
            seen.push(seq(&event));
            last = event.id;
        }
    }
    publisher.await.unwrap();
    assert_eq!(seen, (1..=1000).collect::<Vec<_>>(), "seed {seed}");
    assert!(connections > 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_stands_still_costs_the_others_nothing_and_is_reset() {
    const ROUNDS: u64 = 150;
    const CHANGES: u64 = 20;
    let site = Site::start_with(Feed::bounded(usize::MAX, 2 << 20)).await;
    let mut still = EventReader::open(&site, "", &[]).await;
    let mut quick = EventReader::open(&site, "", &[]).await;
    let mut expected = 0;
    for _ in 0..ROUNDS {
        let told = Instant::now();
        (0..CHANGES).for_each(|_| assert!(site.memory.feed.publish(change(10_000)) > 0));
        for _ in 0..CHANGES {
            expected += 1;
            assert_eq!(seq(&quick.next().await.unwrap()), expected);
        }
        assert!(
            told.elapsed() < Duration::from_secs(5),
            "{:?}",
            told.elapsed()
        );
    }
    // What it was sent before is whole; then it is told that it missed something, and is closed.
    let mut expected = 1;
    loop {
        let event = still.next().await.unwrap();
        if event.event == "reset" {
            break;
        }
        assert_eq!(seq(&event), expected);
        expected += 1;
    }
    assert!(expected < ROUNDS * CHANGES);
    assert_eq!(still.next().await, None);
}

#[tokio::test]
async fn streams_end_with_the_daemon() {
    let site = Site::start().await;
    let mut reader = EventReader::open(&site, "", &[]).await;
    let mut over_the_socket = Client::connect(&site.home)
        .await
        .unwrap()
        .sse(None)
        .await
        .unwrap();
    let began = Instant::now();
    site.end().await;
    assert_eq!(reader.next().await, None);
    assert!(over_the_socket.next().await.is_none());
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "it did not wait for the deadline"
    );
}

#[tokio::test]
async fn the_client_reads_the_feed() {
    let site = Site::start().await;
    let client = Client::connect(&site.home).await.unwrap();
    let feed = &site.memory.feed;
    let mut stream = client
        .sse(Some(&format!("{}:0", feed.epoch())))
        .await
        .unwrap();
    publish(feed, 2);
    for expected in 1..=2 {
        match stream.next().await.unwrap().unwrap() {
            SseItem::Change(change) => assert_eq!(change.seq, expected),
            SseItem::Reset => panic!("nothing was missed"),
        }
    }
    let mut lost = client.sse(Some("elsewhere:7")).await.unwrap();
    assert_eq!(lost.next().await.unwrap().unwrap(), SseItem::Reset);
    assert!(lost.next().await.is_none());
}

// With the clock paused, time goes on by itself as soon as everybody waits for it.
#[tokio::test(start_paused = true)]
async fn a_quiet_stream_says_so_every_fifteen_seconds() {
    let site = Site::start().await;
    let mut reply = get(&site, "/api/events", &[]).await;
    assert_eq!(reply.chunk().await.unwrap(), b"retry: 1000\n\n");
    let began = tokio::time::Instant::now();
    for _ in 0..3 {
        assert_eq!(reply.chunk().await.unwrap(), b":\n\n");
    }
    let passed = began.elapsed();
    assert!(
        passed >= Duration::from_secs(45) && passed < Duration::from_secs(46),
        "{passed:?}"
    );
}
