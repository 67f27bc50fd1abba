//! The page's own files, built into the binary.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fornax_core::error::{Error, ErrorKind};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::answer::{self, Fail};

#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Files;

/// What a browser may keep: names in `assets/` change with their content.
const FOR_EVER: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");
/// What it has to ask for again each time.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// Answers all that is no route: a file of the page, else the page itself, which knows what its
/// paths mean.
pub(crate) async fn serve(request: Request) -> Response {
    let path = request.uri().path();
    if path == "/api" || path.starts_with("/api/") {
        let what = format!("there is no `{path}`");
        return Fail(Error::new(ErrorKind::NotFound, what)).into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return answer::wrong_method(request).await;
    }
    let name = path.trim_start_matches('/');
    let hashed = name.starts_with("assets/");
    if let Some(file) = Files::get(name).filter(|_| !name.is_empty()) {
        return give(name, file, hashed, request.headers());
    }
    if hashed {
        let what = format!("there is no `{path}`");
        return Fail(Error::new(ErrorKind::NotFound, what)).into_response();
    }
    match Files::get("index.html") {
        Some(file) => give("index.html", file, false, request.headers()),
        None => (StatusCode::NOT_FOUND, document("Fornax", NOT_BUILT)).into_response(),
    }
}

fn give(name: &str, file: EmbeddedFile, hashed: bool, asked: &HeaderMap) -> Response {
    let digest = file.metadata.sha256_hash();
    let hex = digest.iter().take(16).map(|byte| format!("{byte:02x}"));
    let tag = format!("\"{}\"", hex.collect::<String>());
    let known = asked
        .get_all(header::IF_NONE_MATCH)
        .into_iter()
        .filter_map(|tags| tags.to_str().ok())
        .flat_map(|tags| tags.split(','))
        .any(|known| known.trim().trim_start_matches("W/") == tag);
    let headers = [
        (
            header::CACHE_CONTROL,
            if hashed { FOR_EVER } else { ASK_AGAIN },
        ),
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static(content_type(name)),
        ),
    ];
    let tag = [(header::ETAG, tag)];
    if known {
        return (StatusCode::NOT_MODIFIED, headers, tag).into_response();
    }
    (headers, tag, file.data).into_response()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}

/// Whether a request is a browser's that wants something to show.
pub(crate) fn wanted(request: &Request) -> bool {
    let shows = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains("text/html"));
    matches!(*request.method(), Method::GET | Method::HEAD)
        && !request.uri().path().starts_with("/api/")
        && request.headers().get_all(header::ACCEPT).iter().any(shows)
}

/// What a browser sees that is not logged in.
pub(crate) fn please_log_in(why: &str) -> Response {
    let text = format!("{why} Run <code>fornax open</code> in a terminal: it opens this page.");
    (StatusCode::UNAUTHORIZED, document("Fornax", &text)).into_response()
}

const NOT_BUILT: &str = "The page is not part of this build. To have it, run <code>npm ci</code> \
     and <code>npm run build</code> in the folder <code>web</code>, then build Fornax again. The \
     command line and the API work without it.";

/// A small page of fixed text: no script, no style, nothing to load.
fn document(title: &str, html: &str) -> impl IntoResponse {
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<h1>{title}</h1>\n<p>{html}</p>\n</html>\n"
    );
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page)
}
