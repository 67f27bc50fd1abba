//! Who may frame the page: nobody, unless the daemon was told; then only what is made for it.

use std::sync::atomic::Ordering;

use crate::site::Site;
use crate::wire::{get, post};

const EMBED: &str = "/embed/run/RUN-20261120-001?project=0123abcd";
const TOOL: &str = "http://localhost:3000";
/// What a browser says of the document of a frame in a page of another port.
const FRAMED: [(&str, &str); 3] = [
    ("sec-fetch-site", "same-site"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "iframe"),
];

fn with(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut headers = FRAMED.to_vec();
    headers.retain(|(known, _)| *known != name);
    headers.push((name, value));
    headers
}

/// Nobody may frame what is at a path.
async fn assert_unframed(site: &Site, path: &str) {
    let reply = get(site, path, &[]).await;
    assert_eq!(reply.header("x-frame-options"), "DENY", "{path}");
    let policy = reply.header("content-security-policy");
    assert!(
        policy.contains("frame-ancestors 'none'"),
        "{path}: {policy}"
    );
}

#[tokio::test]
async fn nobody_frames_anything_by_default() {
    let site = Site::start().await;
    assert_eq!(get(&site, EMBED, &FRAMED).await.status, 403);
    for path in [EMBED, "/", "/runs/a/b"] {
        assert_unframed(&site, path).await;
    }
}

#[tokio::test]
async fn the_origins_that_were_named_frame_what_is_made_for_it() {
    let site = Site::framed_by(&[TOOL, "http://127.0.0.1:3000"]).await;
    let reply = get(&site, EMBED, &FRAMED).await;
    assert_ne!(reply.status, 403);
    assert_eq!(reply.header("x-frame-options"), "");
    let policy = reply.header("content-security-policy");
    assert!(
        policy.contains("frame-ancestors http://localhost:3000 http://127.0.0.1:3000;"),
        "{policy}"
    );
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    // Nothing else may be framed, as before.
    for path in [
        "/",
        "/runs/a/b",
        "/embedded",
        "/api/status",
        "/login?code=x",
    ] {
        assert_unframed(&site, path).await;
    }
}

#[tokio::test]
async fn only_a_frames_document_comes_from_another_port() {
    let site = Site::framed_by(&[TOOL]).await;
    let refused = [
        with("sec-fetch-site", "cross-site"),
        with("sec-fetch-mode", "cors"),
        with("sec-fetch-mode", "no-cors"),
        with("sec-fetch-mode", ""),
        with("sec-fetch-dest", "document"),
        with("sec-fetch-dest", "object"),
        with("sec-fetch-dest", "empty"),
        with("sec-fetch-dest", ""),
        // A page that asks, and not a frame's document.
        with("origin", TOOL),
        [FRAMED.to_vec(), vec![("host", "evil.example")]].concat(),
    ];
    for headers in refused {
        assert_eq!(get(&site, EMBED, &headers).await.status, 403, "{headers:?}");
    }
    for path in [
        "/",
        "/embed",
        "/embedded/x",
        "/runs/a/b",
        "/assets/a.js",
        "/api/status",
        "/api/snapshot",
        "/login?code=x",
    ] {
        assert_eq!(get(&site, path, &FRAMED).await.status, 403, "{path}");
    }
    for path in [EMBED, "/api/commands", "/api/shutdown"] {
        assert_eq!(
            post(&site, path, &FRAMED, b"{}").await.status,
            403,
            "{path}"
        );
    }
    assert_eq!(site.memory.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_frame_needs_to_be_logged_in_and_says_so() {
    let site = Site::framed_by(&[TOOL]).await;
    let mut headers = FRAMED.to_vec();
    headers.extend([("authorization", ""), ("accept", "text/html")]);
    let mut reply = get(&site, EMBED, &headers).await;
    assert_eq!((reply.status, reply.header("x-frame-options")), (401, ""));
    assert!(reply.text().await.contains("fornax open"));
}
