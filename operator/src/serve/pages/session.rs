//! Checks each request by the guard, and the login and logout of readers.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::middleware::Next;
use jiff::Timestamp;

use super::answer::{html, text};
use super::frame::Request;
use super::guard::{Access, Guard};
use super::login::{Login, own_path};
use super::query::Query;
use super::token::{Token, ended_session};
use crate::serve::plain;

/// The most bytes of a form.
const LARGEST: usize = 8 * 1024;
/// The longest time for a form.
const PATIENCE: Duration = Duration::from_secs(5);

/// Lets a request through if the guard does.
pub(super) async fn guarded(State(guard): State<Guard>, request: HttpRequest, next: Next) -> Response<Body> {
    let headers = request.headers().clone();
    let asked = guard.clone();
    // The token file may be read.
    let access = tokio::task::spawn_blocking(move || asked.access(&headers, Timestamp::now())).await;
    let is_open =
        matches!(request.uri().path(), "/login" | "/static/pages.css" | "/static/pages.js" | "/static/icon.svg");
    match access {
        Ok(Access::Granted) => next.run(request).await,
        Ok(Access::NeedsToken) if is_open => next.run(request).await,
        Ok(Access::NeedsToken) => asks_for_token(&request),
        Ok(Access::OtherHost) => plain(
            StatusCode::MISDIRECTED_REQUEST,
            "expected localhost or a loopback address as the host, found another one; a proxy needs --pages-behind-proxy",
        ),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// The login form. Programs see the header.
fn asks_for_token(request: &HttpRequest) -> Response<Body> {
    let here = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut response = html(StatusCode::UNAUTHORIZED, &Login::of(&about(here), here, false));
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"vmcatcher\""));
    response
}

fn about(here: &str) -> Request {
    Request { here: here.to_owned(), has_login: false, now: Timestamp::now() }
}

/// `GET /login`: the form. Where no token is asked for, there is nothing to log in to.
pub(super) async fn form(State(guard): State<Guard>, request: HttpRequest) -> Response<Body> {
    if !guard.has_login() {
        return to("/", None);
    }
    let query = Query::read(request.uri().query().unwrap_or_default().as_bytes());
    html(StatusCode::OK, &Login::of(&about("/login"), query.get("next").unwrap_or("/"), false))
}

/// `POST /login`: begins a session.
pub(super) async fn log_in(State(guard): State<Guard>, request: HttpRequest) -> Response<Body> {
    let headers = request.headers().clone();
    let form = tokio::time::timeout(PATIENCE, to_bytes(request.into_body(), LARGEST)).await;
    let Ok(Ok(form)) = form else {
        return plain(StatusCode::BAD_REQUEST, "expected a form of at most 8 KiB within 5 s, found another body");
    };
    let form = Query::read(&form);
    let next = own_path(form.get("next").unwrap_or("/"));
    let Ok(Some(token)) = tokio::task::spawn_blocking(move || guard.token()).await else {
        return to(&next, None);
    };
    if !form.get("token").is_some_and(|given| token.is(given.trim())) {
        return html(StatusCode::UNAUTHORIZED, &Login::of(&about("/login"), &next, true));
    }
    match token_cookie(&token, &headers) {
        Some(cookie) => to(&next, Some(&cookie)),
        None => plain(StatusCode::INTERNAL_SERVER_ERROR, "a session cannot be made"),
    }
}

/// The cookie is sent back with TLS only if a proxy says that the request came with it.
fn token_cookie(token: &Token, headers: &HeaderMap) -> Option<String> {
    let name = HeaderName::from_static("x-forwarded-proto");
    token.session(Timestamp::now(), text(headers, name) == Some("https")).ok()
}

/// `POST /logout`: ends the session.
pub(super) async fn log_out() -> Response<Body> {
    to("/login", Some(&ended_session()))
}

/// 303: the browser goes there with GET.
fn to(path: &str, cookie: Option<&str>) -> Response<Body> {
    let mut response = plain(StatusCode::SEE_OTHER, "see the other page");
    for (name, value) in [(header::LOCATION, Some(path)), (header::SET_COOKIE, cookie)] {
        if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
