//! What comes in and goes out beside the routes' own matter: queries, bodies, errors, headers.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use fornax_core::error::{Error, ErrorKind};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

/// The largest JSON body.
const JSON_MAX_BYTES: usize = 1 << 20;
/// The largest body of trace events.
const TRACE_MAX_BYTES: usize = 32 << 20;
/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What an answer may do in a browser: show itself with its own scripts and styles, and talk home.
pub(super) const CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; worker-src 'self'; font-src 'self'; frame-ancestors 'none'; \
     base-uri 'none'; form-action 'self'",
);

/// An error as an answer.
pub(crate) struct Fail(pub Error);

impl From<Error> for Fail {
    fn from(error: Error) -> Fail {
        Fail(error)
    }
}

impl IntoResponse for Fail {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.kind.http_status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(serde_json::json!({ "error": self.0 }))).into_response()
    }
}

/// A request that is not well formed.
pub(crate) fn usage(what: impl Into<String>) -> Fail {
    Fail(Error::new(ErrorKind::Usage, what))
}

/// The query's parameters.
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fail> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|query| Query(query.0))
            .map_err(|error| usage(error.body_text()))
    }
}

/// The variable parts of the path.
pub(crate) struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fail> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|path| Path(path.0))
            .map_err(|error| usage(error.body_text()))
    }
}

/// A JSON body.
pub(crate) struct Input<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Input<T> {
    type Rejection = Fail;

    async fn from_request(request: Request, _: &S) -> Result<Self, Fail> {
        let body = read(request, JSON_MAX_BYTES).await?;
        serde_json::from_slice(&body)
            .map(Input)
            .map_err(|error| usage(format!("the body is not what it should be: {error}")))
    }
}

/// A body of trace events.
pub(crate) struct Trace(pub Bytes);

impl<S: Sync> FromRequest<S> for Trace {
    type Rejection = Fail;

    async fn from_request(request: Request, _: &S) -> Result<Self, Fail> {
        read(request, TRACE_MAX_BYTES).await.map(Trace)
    }
}

async fn read(request: Request, max_bytes: usize) -> Result<Bytes, Fail> {
    let body = Limited::new(request.into_body(), max_bytes).collect();
    match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let what = format!("the body is longer than {max_bytes} bytes");
            Err(Error::new(ErrorKind::TooLarge, what).into())
        }
        Ok(Err(error)) => Err(usage(format!("the body broke off: {error}"))),
        Err(_) => Err(usage(format!("the body took longer than {BODY_TIMEOUT:?}"))),
    }
}

/// Adds what every answer carries, where the answer does not say otherwise itself.
pub(crate) fn secure(headers: &mut HeaderMap) {
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (
            header::HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(value);
    }
}

/// The answer to a method that the path does not know.
pub(crate) async fn wrong_method(request: Request<Body>) -> Response {
    let what = format!(
        "{} is not something that can be done here",
        request.method()
    );
    let Fail(error) = usage(what);
    let body = Json(serde_json::json!({ "error": error }));
    (StatusCode::METHOD_NOT_ALLOWED, body).into_response()
}
