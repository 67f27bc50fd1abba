//! Who is let in: every route, times every way not to be.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use fornax_daemon::http::routes;

use crate::site::{Memory, PROJECT, RUN, Site, TASK};
use crate::wire::{get, post, send, send_unix};

/// Every route with a path that reaches it, and its body.
fn routes_and_requests() -> Vec<(&'static str, &'static str, String, &'static str)> {
    let project = format!("project={PROJECT}");
    let command =
        r#"{"cmd_id":"c1","project":"0123abcd","command":{"type":"stop","target":"all"}}"#;
    vec![
        ("GET", "/api/status", "/api/status".into(), ""),
        (
            "POST",
            "/api/projects",
            "/api/projects".into(),
            r#"{"dir":"/tmp"}"#,
        ),
        (
            "DELETE",
            "/api/projects/{id}",
            format!("/api/projects/{PROJECT}"),
            "",
        ),
        (
            "GET",
            "/api/projects/{id}/tools",
            format!("/api/projects/{PROJECT}/tools"),
            "",
        ),
        ("GET", "/api/trust", "/api/trust".into(), ""),
        (
            "POST",
            "/api/trust",
            "/api/trust".into(),
            r#"{"decision":"path","dir":"/"}"#,
        ),
        ("GET", "/api/snapshot", "/api/snapshot".into(), ""),
        ("GET", "/api/events", "/api/events".into(), ""),
        ("GET", "/api/runs", format!("/api/runs?{project}"), ""),
        (
            "GET",
            "/api/runs/{run}",
            format!("/api/runs/{RUN}?{project}"),
            "",
        ),
        (
            "GET",
            "/api/runs/{run}/events",
            format!("/api/runs/{RUN}/events?{project}"),
            "",
        ),
        (
            "GET",
            "/api/runs/{run}/acceptance",
            format!("/api/runs/{RUN}/acceptance?{project}"),
            "",
        ),
        (
            "POST",
            "/api/runs/{run}/acceptance",
            format!("/api/runs/{RUN}/acceptance?{project}"),
            r#"{"digest":"x"}"#,
        ),
        (
            "GET",
            "/api/frames/{frame}",
            format!("/api/frames/f-4k2p9x?{project}"),
            "",
        ),
        (
            "GET",
            "/api/tasks/{task}",
            format!("/api/tasks/{TASK}?{project}"),
            "",
        ),
        (
            "GET",
            "/api/tasks/{task}/logs/{stream}",
            format!("/api/tasks/{TASK}/logs/stdout?{project}"),
            "",
        ),
        (
            "GET",
            "/api/tasks/{task}/logs/{stream}/line",
            format!("/api/tasks/{TASK}/logs/stdout/line?{project}&line=1"),
            "",
        ),
        (
            "GET",
            "/api/tasks/{task}/logs/{stream}/search",
            format!("/api/tasks/{TASK}/logs/stdout/search?{project}&pattern=x"),
            "",
        ),
        (
            "GET",
            "/api/tasks/{task}/logs/merged/streams",
            format!("/api/tasks/{TASK}/logs/merged/streams?{project}&from=0&to=9"),
            "",
        ),
        (
            "GET",
            "/api/tasks/{task}/artifacts/{name}",
            format!("/api/tasks/{TASK}/artifacts/a.txt?{project}"),
            "",
        ),
        ("POST", "/api/commands", "/api/commands".into(), command),
        ("GET", "/api/tools", "/api/tools?profile=all".into(), ""),
        (
            "POST",
            "/api/tools/{name}",
            "/api/tools/flame_status".into(),
            r#"{"project":"0123abcd"}"#,
        ),
        (
            "POST",
            "/api/sessions/report",
            "/api/sessions/report".into(),
            r#"{"project":"0123abcd","report":{"type":"turn_ended"}}"#,
        ),
        (
            "POST",
            "/api/sessions/compacting",
            "/api/sessions/compacting".into(),
            r#"{"project":"0123abcd"}"#,
        ),
        (
            "POST",
            "/mcp",
            format!("/mcp?{project}"),
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
        ),
        (
            "POST",
            "/api/trace",
            format!("/api/trace?{project}&run={RUN}"),
            "{}\n",
        ),
        ("POST", "/api/login-links", "/api/login-links".into(), "{}"),
        (
            "POST",
            "/api/shutdown",
            "/api/shutdown".into(),
            r#"{"stop_tasks":false}"#,
        ),
        ("GET", "/login", "/login?code=guess".into(), ""),
    ]
}

/// What is no route and must be guarded all the same.
const ELSEWHERE: &[(&str, &str)] = &[
    ("GET", "/"),
    ("HEAD", "/"),
    ("GET", "/index.html"),
    ("GET", "/assets/index.js"),
    ("GET", "/runs/RUN-20261120-001"),
    ("GET", "/api"),
    ("GET", "/api/"),
    ("GET", "/api/unknown"),
    ("GET", "//api/status"),
    ("GET", "/login/"),
    ("GET", "/LOGIN"),
    ("HEAD", "/login"),
    ("POST", "/login"),
    ("GET", "/..%2f..%2fetc/passwd"),
    ("GET", "/login/../api/status"),
    ("PUT", "/api/status"),
    ("OPTIONS", "/api/commands"),
    ("TRACE", "/api/status"),
];

#[test]
fn every_route_is_in_the_table() {
    let real: BTreeSet<_> = routes::<Memory>().into_iter().collect();
    let tested: BTreeSet<_> = routes_and_requests()
        .iter()
        .map(|(method, route, ..)| (*method, *route))
        .collect();
    assert_eq!(real, tested);
}

type Headers = Vec<(&'static str, String)>;

/// Changes to a request that is right otherwise, and the answer.
fn forgeries(site: &Site) -> Vec<(&'static str, Headers, u16)> {
    let port = site.addr.port();
    let text = str::to_owned;
    let origin = |origin: &str| vec![("origin", text(origin))];
    let host = |host: &str| vec![("host", text(host))];
    let mut wrong = site.token.clone().into_bytes();
    wrong[42] ^= 1;
    let wrong = String::from_utf8(wrong).unwrap();
    vec![
        ("no token", vec![("authorization", text(""))], 401),
        (
            "wrong token",
            vec![("authorization", format!("Bearer {wrong}"))],
            401,
        ),
        (
            "half a token",
            vec![("authorization", format!("Bearer {}", &site.token[..20]))],
            401,
        ),
        (
            "longer token",
            vec![("authorization", format!("Bearer {}x", site.token))],
            401,
        ),
        ("empty token", vec![("authorization", text("Bearer "))], 401),
        (
            "another scheme",
            vec![("authorization", format!("Basic {}", site.token))],
            401,
        ),
        (
            "bare token",
            vec![("authorization", site.token.clone())],
            401,
        ),
        (
            "wrong cookie",
            vec![
                ("authorization", text("")),
                ("cookie", format!("fornax_session={wrong}")),
            ],
            401,
        ),
        (
            "token as cookie",
            vec![
                ("authorization", text("")),
                ("cookie", format!("fornax_session={}", site.token)),
            ],
            401,
        ),
        ("foreign Host", host("evil.example"), 403),
        (
            "foreign Host with the port",
            host(&format!("evil.example:{port}")),
            403,
        ),
        (
            "Host with another port",
            host(&format!("127.0.0.1:{}", port ^ 1)),
            403,
        ),
        ("Host without a port", host("127.0.0.1"), 403),
        (
            "Host that begins well",
            host(&format!("127.0.0.1:{port}.evil.example")),
            403,
        ),
        (
            "Host of another loopback",
            host(&format!("127.0.0.2:{port}")),
            403,
        ),
        ("no Host", host(""), 403),
        ("foreign Origin", origin("http://evil.example"), 403),
        ("Origin null", origin("null"), 403),
        (
            "Origin of another port",
            origin(&format!("http://127.0.0.1:{}", port ^ 1)),
            403,
        ),
        (
            "Origin over TLS",
            origin(&format!("https://127.0.0.1:{port}")),
            403,
        ),
        (
            "Origin with a user",
            origin(&format!("http://a@127.0.0.1:{port}")),
            403,
        ),
        (
            "cross-site",
            vec![("sec-fetch-site", text("cross-site"))],
            403,
        ),
        (
            "same-site",
            vec![("sec-fetch-site", text("same-site"))],
            403,
        ),
        ("unknown site", vec![("sec-fetch-site", text("later"))], 403),
    ]
}

/// Changes that leave the request right.
fn variations(site: &Site, cookie: &str) -> Vec<(&'static str, Headers)> {
    let port = site.addr.port();
    let mut all = vec![
        ("as it is", vec![]),
        (
            "scheme in capitals",
            vec![("authorization", format!("BEARER {}", site.token))],
        ),
        ("localhost", vec![("host", format!("localhost:{port}"))]),
        ("LocalHost", vec![("host", format!("LocalHost:{port}"))]),
        ("IPv6", vec![("host", format!("[::1]:{port}"))]),
        (
            "own Origin",
            vec![("origin", format!("http://127.0.0.1:{port}"))],
        ),
        (
            "same-origin",
            vec![("sec-fetch-site", "same-origin".to_owned())],
        ),
        ("typed in", vec![("sec-fetch-site", "none".to_owned())]),
    ];
    let cookies = format!("a=b; fornax_session={cookie}; fornax_session_x=1");
    all.push((
        "cookie",
        vec![("authorization", String::new()), ("cookie", cookies)],
    ));
    all
}

/// Logs in with the site's link: the cookie's value.
async fn log_in(site: &Site) -> String {
    let path = site
        .new_link
        .split_once(&site.addr.to_string())
        .unwrap()
        .1
        .to_owned();
    let reply = get(
        site,
        &path,
        &[("authorization", ""), ("sec-fetch-site", "none")],
    )
    .await;
    assert_eq!((reply.status, reply.header("location")), (303, "/"));
    let cookie = reply.header("set-cookie");
    assert!(
        cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"),
        "{cookie}"
    );
    assert!(!cookie.contains(&site.token));
    cookie.split(['=', ';']).nth(1).unwrap().to_owned()
}

fn borrowed<'a>(headers: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

#[tokio::test]
async fn every_route_refuses_every_forgery_and_takes_every_variation() {
    let site = Site::start().await;
    let cookie = log_in(&site).await;
    let mut requests: Vec<(&str, String, &str)> = routes_and_requests()
        .into_iter()
        .map(|(method, _, path, body)| (method, path, body))
        .collect();
    requests.extend(
        ELSEWHERE
            .iter()
            .map(|(method, path)| (*method, (*path).to_owned(), "")),
    );
    for (method, path, body) in &requests {
        let kind = if path.starts_with("/api/trace") {
            "x-ndjson"
        } else {
            "json"
        };
        let (kind, length) = (format!("application/{kind}"), body.len().to_string());
        let with = |headers: &[(&'static str, String)]| {
            let mut all = vec![("content-type", kind.as_str()), ("content-length", &length)];
            all.extend(borrowed(headers));
            site.request(method, path, &all)
        };
        for (name, headers, status) in forgeries(&site) {
            let before = site.memory.calls.load(Ordering::SeqCst);
            let mut reply = send(&site, &with(&headers), body.as_bytes()).await;
            assert_eq!(reply.status, status, "{method} {path}: {name}");
            assert_eq!(
                site.memory.calls.load(Ordering::SeqCst),
                before,
                "{method} {path}: {name}"
            );
            assert_secure(&reply.headers);
            reply.body().await;
        }
        for (name, headers) in variations(&site, &cookie) {
            let reply = send(&site, &with(&headers), body.as_bytes()).await;
            // Of all routes only this one says 401 by itself: the code is a guess.
            let let_in = !matches!(reply.status, 401 | 403) || path == "/login?code=guess";
            // A token proves no person.
            let is_decision =
                *method == "POST" && (path == "/api/trust" || path.contains("/acceptance"));
            let let_in = let_in || (is_decision && name != "cookie" && reply.status == 403);
            assert!(let_in, "{method} {path}: {name}: {}", reply.status);
            assert_secure(&reply.headers);
        }
        let no_credentials = [
            ("host", "evil.example".to_owned()),
            ("authorization", String::new()),
        ];
        let reply = send_unix(&site, &with(&no_credentials), body.as_bytes()).await;
        assert!(
            !matches!(reply.status, 403) && (reply.status != 401 || path.starts_with("/login"))
        );
        assert_secure(&reply.headers);
    }
}

fn assert_secure(headers: &std::collections::HashMap<String, String>) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(headers.get(name).map(String::as_str), Some(value));
    }
    let csp = &headers["content-security-policy"];
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(csp.contains(part), "{csp}");
    }
    assert!(!csp.contains("unsafe"));
    assert!(!headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn doubled_and_absolute_names_are_refused() {
    let site = Site::start().await;
    let (addr, token) = (site.addr, &site.token);
    for request in [
        format!(
            "GET /api/status HTTP/1.1\r\nhost: {addr}\r\nhost: evil.example\r\nauthorization: Bearer {token}\r\n\r\n"
        ),
        format!(
            "GET /api/status HTTP/1.1\r\nhost: {addr}\r\nhost: {addr}\r\nauthorization: Bearer {token}\r\n\r\n"
        ),
        format!(
            "GET http://evil.example/api/status HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer {token}\r\n\r\n"
        ),
        format!(
            "GET /api/status HTTP/1.1\r\nhost: {addr}\r\norigin: http://{addr}\r\norigin: null\r\nauthorization: Bearer {token}\r\n\r\n"
        ),
        format!("GET /api/status HTTP/1.0\r\nauthorization: Bearer {token}\r\n\r\n"),
    ] {
        assert_eq!(send(&site, &request, b"").await.status, 403, "{request}");
    }
    let own = format!(
        "GET http://{addr}/api/status HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    assert_eq!(send(&site, &own, b"").await.status, 200);
}

#[tokio::test]
async fn a_login_link_works_once_in_time_and_not_from_other_sites() {
    let site = Site::start().await;
    let path = |link: &str| {
        link.split_once(&site.addr.to_string())
            .unwrap()
            .1
            .to_owned()
    };
    let (old, new) = (path(&site.old_link), path(&site.new_link));
    let anonymous = [("authorization", ""), ("accept", "text/html")];
    let mut reply = get(&site, &old, &anonymous).await;
    assert_eq!((reply.status, reply.header("set-cookie")), (401, ""));
    assert!(reply.text().await.contains("fornax open"));
    for forged in [
        ("sec-fetch-site", "cross-site"),
        ("host", "evil.example"),
        ("origin", "null"),
    ] {
        let reply = get(&site, &new, &[anonymous[0], forged]).await;
        assert_eq!(reply.status, 403);
    }
    assert_eq!(
        send(&site, &site.request("HEAD", &new, &[]), b"")
            .await
            .status,
        204
    );
    log_in(&site).await;
    let reply = get(&site, &new, &anonymous).await;
    assert_eq!((reply.status, reply.header("set-cookie")), (401, ""));
    // One that the API gives works as well.
    let mut reply = post(&site, "/api/login-links", &[], b"{}").await;
    let link = reply.json().await["url"].as_str().unwrap().to_owned();
    assert_eq!(get(&site, &path(&link), &anonymous).await.status, 303);
}

#[tokio::test]
async fn browsers_see_a_page_that_says_what_to_do_and_programs_see_json() {
    let site = Site::start().await;
    let page = [("authorization", ""), ("accept", "text/html,*/*;q=0.8")];
    let mut reply = get(&site, "/runs/RUN-20261120-001", &page).await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (401, "text/html; charset=utf-8")
    );
    let text = reply.text().await;
    assert!(
        text.contains("fornax open") && !text.contains("<script"),
        "{text}"
    );
    for (path, headers) in [("/api/status", &page[..]), ("/", &page[..1])] {
        let mut reply = get(&site, path, headers).await;
        assert_eq!(
            (reply.status, reply.kind().await.as_str()),
            (401, "unauthorized")
        );
    }
}

#[tokio::test]
async fn sessions_outlive_the_daemon() {
    let site = Site::start().await;
    let cookie = log_in(&site).await;
    let header = format!("fornax_session={cookie}");
    let with_cookie = [("authorization", ""), ("cookie", header.as_str())];
    let other = Site::start().await;
    assert_eq!(get(&other, "/api/status", &with_cookie).await.status, 401);
    let site = site.restart().await;
    assert_eq!(get(&site, "/api/status", &with_cookie).await.status, 200);
}

#[tokio::test]
async fn bodies_that_a_form_could_send_are_not_taken() {
    let site = Site::start().await;
    for (method, _, path, body) in routes_and_requests() {
        if method != "POST" {
            continue;
        }
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "",
        ] {
            let before = site.memory.calls.load(Ordering::SeqCst);
            let mut reply = post(&site, &path, &[("content-type", kind)], body.as_bytes()).await;
            assert_eq!(
                (reply.status, reply.kind().await.as_str()),
                (400, "usage"),
                "{path} {kind}"
            );
            assert_eq!(site.memory.calls.load(Ordering::SeqCst), before);
        }
    }
}
