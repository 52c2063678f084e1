//! The style, the script and the icon of the pages. They are part of the program.

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderValue, Response, StatusCode, header};

use crate::serve::plain;

const ASSETS: [(&str, &str, &str); 3] = [
    ("pages.css", "text/css; charset=utf-8", include_str!("../../../templates/static/pages.css")),
    ("pages.js", "text/javascript; charset=utf-8", include_str!("../../../templates/static/pages.js")),
    ("icon.svg", "image/svg+xml", include_str!("../../../templates/static/icon.svg")),
];

/// One of them. A browser asks again each time, because another version of the program has others.
pub(super) async fn asset(Path(name): Path<String>) -> Response<Body> {
    let Some((_, kind, text)) = ASSETS.into_iter().find(|(known, _, _)| *known == name) else {
        return plain(StatusCode::NOT_FOUND, "there is no such file");
    };
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
