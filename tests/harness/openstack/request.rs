//! A request as it came, and the answer to it.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Keystone.
    Identity,
    /// Glance.
    Image,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who is asked.
    pub service: Service,
    /// `GET` and the like.
    pub method: String,
    /// Path and query, as they came.
    pub target: String,
    /// By names in small letters.
    pub headers: BTreeMap<String, String>,
    /// Without the body of an upload that comes in pieces.
    pub body: Vec<u8>,
}

impl Request {
    /// The segments of the path, decoded.
    pub(super) fn segments(&self) -> Vec<String> {
        let path = self.target.split('?').next().unwrap_or_default();
        path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect()
    }

    /// The pairs of the query, decoded.
    pub(super) fn query(&self) -> Vec<(String, String)> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        };
        pairs.map(pair).collect()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The media type, without its parameters.
    pub(super) fn media_type(&self) -> &str {
        self.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim()
    }

    pub(super) fn json(&self) -> Result<Value, Answer> {
        serde_json::from_slice(&self.body).map_err(|_| Answer::refuse(400, "Malformed JSON in request body."))
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 200 and the like.
    pub status: u16,
    /// Without `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// As it is sent.
    pub body: Vec<u8>,
}

impl Answer {
    fn of(status: u16, media_type: &str, body: Vec<u8>) -> Self {
        Self { status, headers: vec![("Content-Type".to_owned(), media_type.to_owned())], body }
    }

    pub(super) fn json(status: u16, value: &Value) -> Self {
        Self::of(status, "application/json", value.to_string().into_bytes())
    }

    pub(super) fn empty(status: u16) -> Self {
        Self::of(status, "text/html; charset=UTF-8", Vec::new())
    }

    /// 204 without a media type.
    pub(super) fn nothing() -> Self {
        Self { status: 204, headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn bytes(status: u16, bytes: Vec<u8>) -> Self {
        Self::of(status, "application/octet-stream", bytes)
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// An answer of Glance with this text, exactly.
    pub fn text(status: u16, text: &str) -> Self {
        Self::of(status, "text/plain; charset=UTF-8", text.as_bytes().to_vec())
    }

    /// As Glance refuses: plain text, with the reason phrase of the status before the explanation.
    pub fn refuse(status: u16, explanation: &str) -> Self {
        Self::text(status, &format!("{status} {}\n\n{explanation}\n\n   ", reason(status)))
    }

    /// As Glance refuses where the explanation is the status's own, and the detail comes after it.
    pub(super) fn refuse_in_detail(status: u16, detail: &str) -> Self {
        let explanation = match status {
            403 => "Access was denied to this resource.",
            409 => "There was a conflict when trying to complete your request.",
            _ => "The server could not comply with the request.",
        };
        Self::text(status, &format!("{status} {}\n\n{explanation}\n\n {detail}  ", reason(status)))
    }

    /// A refusal of Glance in the form that the client accepts: HTML for all that take anything, JSON for those that take JSON, plain
    /// text for those that say nothing.
    #[must_use]
    pub(super) fn rendered(self, accept: Option<&str>) -> Self {
        let accept = accept.unwrap_or_default();
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let is_refusal = self.headers.iter().any(|(_, value)| value.starts_with("text/plain"));
        let mut parts = text.splitn(3, "\n\n").map(str::trim);
        let (Some(code), Some(explanation), Some(detail)) = (parts.next(), parts.next(), parts.next()) else {
            return self;
        };
        if !is_refusal || !(accept.contains("json") || accept.contains("*/*") || accept.contains("html")) {
            return self;
        }
        // The template of 415 has other line ends than those of all others.
        let (before, after) = if self.status == 415 { ("\n", "") } else { ("", "\n\n") };
        let (kind, body) = if accept.contains("json") {
            let message = format!("{explanation}{before}<br /><br />\n{detail}{after}");
            let title = reason(self.status);
            ("application/json", serde_json::json!({"message": message, "code": code, "title": title}).to_string())
        } else {
            let (explanation, detail) = (escape(explanation), escape(detail));
            let body = format!("  <h1>{code}</h1>\n  {explanation}{before}<br /><br />\n{detail}{after}\n");
            let head = format!("<html>\n <head>\n  <title>{code}</title>\n </head>\n");
            ("text/html; charset=UTF-8", format!("{head} <body>\n{body} </body>\n</html>"))
        };
        let others = self.headers.into_iter().filter(|(name, _)| name != "Content-Type");
        let headers = [("Content-Type".to_owned(), kind.to_owned())].into_iter().chain(others).collect();
        Self { status: self.status, headers, body: body.into_bytes() }
    }

    /// As Keystone refuses.
    pub fn refuse_identity(status: u16, message: &str) -> Self {
        let error = serde_json::json!({"error": {"code": status, "message": message, "title": reason(status)}});
        Self::json(status, &error)
    }
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#x27;")
}

/// The reason phrase of a status.
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        410 => "Gone",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        416 => "Request Range Not Satisfiable",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}
