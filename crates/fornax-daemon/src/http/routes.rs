//! The table of routes. What is not in it is the page.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, delete, get, post};
use axum::{Router, middleware};
use serde::Deserialize;

use super::answer::{Fail, Query, wrong_method};
use super::auth::MCP_PATH;
use super::backend::Backend;
use super::{App, api, auth, files, logs, now_ms, page, sse, tools};
use crate::home::storage;

type Site<B> = Arc<App<B>>;
type Route<B> = (&'static str, &'static str, MethodRouter<Site<B>>);

fn table<B: Backend>() -> Vec<Route<B>> {
    vec![
        ("GET", "/api/status", get(api::status)),
        ("POST", "/api/projects", post(api::register)),
        ("DELETE", "/api/projects/{id}", delete(api::forget)),
        ("GET", "/api/projects/{id}/tools", get(api::tools)),
        ("GET", "/api/trust", get(api::review)),
        ("POST", "/api/trust", post(api::decide)),
        ("GET", "/api/snapshot", get(api::snapshot)),
        ("GET", "/api/events", get(sse::events)),
        ("GET", "/api/runs", get(api::runs)),
        ("GET", "/api/runs/{run}", get(api::run)),
        ("GET", "/api/runs/{run}/events", get(logs::events)),
        ("GET", "/api/runs/{run}/acceptance", get(api::candidate)),
        ("POST", "/api/runs/{run}/acceptance", post(api::accept)),
        ("GET", "/api/frames/{frame}", get(api::frame)),
        ("GET", "/api/tasks/{task}", get(api::task)),
        ("GET", "/api/tasks/{task}/logs/{stream}", get(logs::log)),
        (
            "GET",
            "/api/tasks/{task}/logs/{stream}/line",
            get(logs::line),
        ),
        (
            "GET",
            "/api/tasks/{task}/logs/{stream}/search",
            get(logs::search),
        ),
        (
            "GET",
            "/api/tasks/{task}/logs/merged/streams",
            get(logs::streams),
        ),
        (
            "GET",
            "/api/tasks/{task}/artifacts/{name}",
            get(logs::artifact),
        ),
        ("POST", "/api/commands", post(api::command)),
        ("GET", "/api/tools", get(tools::list)),
        ("POST", "/api/tools/{name}", post(tools::call::<B>)),
        ("POST", "/api/sessions/report", post(tools::report::<B>)),
        (
            "POST",
            "/api/sessions/compacting",
            post(tools::compacting::<B>),
        ),
        ("POST", MCP_PATH, post(tools::mcp::<B>)),
        ("POST", "/api/trace", post(api::trace)),
        ("POST", "/api/login-links", post(api::login_link)),
        ("POST", "/api/shutdown", post(api::shutdown)),
        ("GET", "/login", get(login)),
    ]
}

/// The method and the path of every route.
#[must_use]
pub fn routes<B: Backend>() -> Vec<(&'static str, &'static str)> {
    let table = table::<B>().into_iter();
    table.map(|(method, path, _)| (method, path)).collect()
}

/// The routes and the page, and around all of it the one guard.
pub(crate) fn router<B: Backend>(app: Arc<App<B>>) -> Router {
    table::<B>()
        .into_iter()
        .fold(Router::new(), |router, (_, path, handler)| {
            router.route(path, handler)
        })
        .fallback(page::serve)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            auth::guard::<B>,
        ))
        .with_state(app)
}

#[derive(Deserialize)]
pub(crate) struct Login {
    #[serde(default)]
    code: String,
}

/// `GET /login`: makes a browser that comes with a good code a known one.
async fn login<B: Backend>(
    State(app): State<Site<B>>,
    method: Method,
    Query(login): Query<Login>,
) -> Result<Response, Fail> {
    if method == Method::HEAD {
        // Whoever only looks does not use the link up.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let redeemed = files::on_disk(move || Ok(app.auth.redeem(&login.code, now_ms()))).await;
    let redeemed = redeemed.map_err(|error| storage("keep", "the session".as_ref(), &error))?;
    let Some(cookie) = redeemed? else {
        let why = "This link has been used, or is older than a minute.";
        return Ok(page::please_log_in(why));
    };
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response())
}
