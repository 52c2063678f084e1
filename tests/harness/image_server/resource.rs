//! How one path answers.

use data_encoding::HEXLOWER;

use super::body::Body;

/// An answer: what it consists of, and what is wrong with it. By default nothing is.
#[derive(Debug, Clone)]
#[must_use]
pub struct Resource {
    pub(super) status: u16,
    pub(super) body: Body,
    pub(super) headers: Vec<(String, String)>,
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
    pub(super) credentials: Option<String>,
    pub(super) ranges: Ranges,
    pub(super) framing: Framing,
    pub(super) cut_after: Option<u64>,
    pub(super) stall_after: Option<u64>,
    pub(super) silent: bool,
    pub(super) rate: Option<u64>,
}

/// What it makes of `Range`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ranges {
    /// As RFC 9110 says, with `If-Range`.
    Honoured,
    /// Always the whole.
    Ignored,
    /// `If-Range` is not looked at: 206 whatever became of the file.
    Blind,
    /// 206 with a part that starts so many bytes too early.
    Shifted(u64),
    /// 206 without a word on which part it is.
    Unsaid,
}

/// How it says where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length,
    /// A `Content-Length` that is not true.
    FalseLength(u64),
    Chunked,
    Close,
}

impl Resource {
    fn new(status: u16, body: Body) -> Self {
        Self {
            status,
            body,
            headers: Vec::new(),
            etag: None,
            last_modified: None,
            credentials: None,
            ranges: Ranges::Honoured,
            framing: Framing::Length,
            cut_after: None,
            stall_after: None,
            silent: false,
            rate: None,
        }
    }

    /// These bytes.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(200, Body::Bytes(bytes.into().into()))
    }

    /// So many zero bytes.
    pub fn zeros(size: u64) -> Self {
        Self::new(200, Body::Zeros(size))
    }

    /// So many bytes that look random and differ by seed.
    pub fn pattern(seed: u64, size: u64) -> Self {
        Self::new(200, Body::Pattern { seed, size })
    }

    /// A body of any kind.
    pub fn body(body: Body) -> Self {
        Self::new(200, body)
    }

    /// Just a status, with a small text.
    pub fn status(status: u16) -> Self {
        Self::new(status, Body::Bytes(format!("{status}\n").into_bytes().into()))
    }

    /// The same with another status.
    pub fn status_of(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// A redirect.
    pub fn redirect(status: u16, to: &str) -> Self {
        Self::status(status).header("Location", to)
    }

    /// Takes the request and never answers.
    pub fn silent() -> Self {
        Self { silent: true, ..Self::status(200) }
    }

    /// One more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// An `ETag`, with its quotes; `If-None-Match` and `If-Range` are judged by it.
    pub fn etag(mut self, etag: &str) -> Self {
        self.etag = Some(etag.to_owned());
        self
    }

    /// A `Last-Modified`.
    pub fn last_modified(mut self, date: &str) -> Self {
        self.last_modified = Some(date.to_owned());
        self
    }

    /// 401 without this user and password.
    pub fn basic(mut self, username: &str, password: &str) -> Self {
        use base64::Engine;
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
        self.credentials = Some(format!("Basic {encoded}"));
        self
    }

    /// 401 without this token.
    pub fn bearer(mut self, token: &str) -> Self {
        self.credentials = Some(format!("Bearer {token}"));
        self
    }

    /// Cuts each connection after so many bytes of the body.
    pub fn cut_every(mut self, bytes: u64) -> Self {
        self.cut_after = Some(bytes);
        self
    }

    /// Sends so many bytes of the body and then nothing more, with the connection open.
    pub fn stall_after(mut self, bytes: u64) -> Self {
        self.stall_after = Some(bytes);
        self
    }

    /// At most so many bytes a second.
    pub fn rate(mut self, bytes_per_second: u64) -> Self {
        self.rate = Some(bytes_per_second);
        self
    }

    /// Knows no ranges.
    pub fn without_ranges(mut self) -> Self {
        self.ranges = Ranges::Ignored;
        self
    }

    /// Answers 206 whatever `If-Range` says.
    pub fn blind_to_if_range(mut self) -> Self {
        self.ranges = Ranges::Blind;
        self
    }

    /// Answers 206 with a part that starts so many bytes before what was asked for.
    pub fn shifted_ranges(mut self, bytes: u64) -> Self {
        self.ranges = Ranges::Shifted(bytes);
        self
    }

    /// Answers 206 without a `Content-Range`.
    pub fn unsaid_ranges(mut self) -> Self {
        self.ranges = Ranges::Unsaid;
        self
    }

    /// Lies about the length.
    pub fn claims_length(mut self, length: u64) -> Self {
        self.framing = Framing::FalseLength(length);
        self
    }

    /// Says the length by chunks only.
    pub fn chunked(mut self) -> Self {
        self.framing = Framing::Chunked;
        self
    }

    /// Says the end by closing the connection only.
    pub fn until_close(mut self) -> Self {
        self.framing = Framing::Close;
        self
    }

    /// SHA-256 of its body, in hexadecimal digits.
    pub fn sha256(&self) -> String {
        HEXLOWER.encode(&openssl::sha::sha256(&self.body.to_vec()))
    }

    /// SHA-512 of the body, as hexadecimal digits.
    pub fn sha512(&self) -> String {
        self.body.sha512()
    }

    /// Number of bytes of the body.
    pub fn size(&self) -> u64 {
        self.body.size()
    }
}
