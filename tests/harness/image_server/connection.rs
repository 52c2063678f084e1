//! One connection: requests in, answers out, as each resource is told.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::resource::{Framing, Ranges, Resource};
use super::{Request, Shared};

/// A request's head is not larger.
const LARGEST_HEAD: usize = 64 * 1024;

/// Bytes of a body between two looks at limits.
const BLOCK: usize = 64 * 1024;

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// What is sent of a body.
struct Part {
    status: u16,
    start: u64,
    end: u64,
    headers: Vec<(String, String)>,
}

pub(super) fn serve(stream: TcpStream, shared: &Shared) {
    let _no_delay = stream.set_nodelay(true);
    match &shared.tls {
        // A client that does not believe the certificate ends here.
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream) {
                converse(stream, shared);
            }
        }
        None => converse(stream, shared),
    }
}

fn converse(mut stream: impl Stream, shared: &Shared) {
    let mut buffered = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffered) {
        let (number, resource) = shared.note(request.clone());
        match answer(&mut stream, shared, number, &request, &resource) {
            Ok(true) => {}
            // Cut, or the client went away.
            Ok(false) | Err(_) => return,
        }
    }
}

fn read_request(stream: &mut impl Stream, buffered: &mut Vec<u8>) -> Option<Request> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(length) = head.parse(buffered).ok()? {
            let headers: std::collections::BTreeMap<String, String> = head
                .headers
                .iter()
                .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned()))
                .collect();
            let request = Request {
                method: head.method.unwrap_or_default().to_owned(),
                target: head.path.unwrap_or_default().to_owned(),
                range: headers.get("range").cloned(),
                headers,
                ..Request::default()
            };
            buffered.drain(..length);
            return Some(request);
        }
        let mut block = [0; 4096];
        let count = stream.read(&mut block).ok().filter(|count| *count > 0)?;
        buffered.extend_from_slice(&block[..count]);
        if buffered.len() > LARGEST_HEAD {
            return None;
        }
    }
}

/// Whether the connection goes on.
fn answer(
    stream: &mut impl Stream,
    shared: &Shared,
    number: usize,
    request: &Request,
    resource: &Resource,
) -> std::io::Result<bool> {
    if resource.silent {
        return wait_for_close(stream);
    }
    let part = part(request, resource);
    shared.update(number, |request| request.status = part.status);
    let bodiless = matches!(part.status, 204 | 304) || request.method == "HEAD";
    let closes = resource.framing == Framing::Close;
    stream.write_all(head(&part, resource, bodiless, shared.now()).as_bytes())?;
    if bodiless {
        return Ok(true);
    }
    let length = part.end - part.start;
    let cut = resource.cut_after.filter(|cut| *cut < length);
    let stall = resource.stall_after.filter(|stall| *stall < length);
    let sent = length.min(cut.unwrap_or(length)).min(stall.unwrap_or(length));
    let own = part.status < 300 || part.status == resource.status;
    let body = if own { resource.body.clone() } else { Resource::status(part.status).body };
    send(stream, shared, number, &body, part.start, sent, resource)?;
    if stall.is_some_and(|stall| stall == sent) {
        return wait_for_close(stream);
    }
    if resource.framing == Framing::Chunked && cut.is_none() {
        stream.write_all(b"0\r\n\r\n")?;
        stream.flush()?;
    }
    let lies = matches!(resource.framing, Framing::FalseLength(_));
    Ok(cut.is_none() && !closes && !lies)
}

/// Nothing more is said until the client has had enough.
fn wait_for_close(stream: &mut impl Stream) -> std::io::Result<bool> {
    let mut block = [0; 4096];
    while stream.read(&mut block)? > 0 {}
    Ok(false)
}

#[expect(clippy::disallowed_methods, reason = "a slow server is what was asked for, nothing is waited for")]
fn send(
    stream: &mut impl Stream,
    shared: &Shared,
    number: usize,
    body: &super::Body,
    start: u64,
    length: u64,
    resource: &Resource,
) -> std::io::Result<()> {
    let began = Instant::now();
    let block = resource.rate.map_or(BLOCK, |rate| BLOCK.min(usize::try_from(rate / 10 + 1).unwrap_or(BLOCK)));
    let mut buffer = vec![0; block];
    let mut sent = 0;
    while sent < length {
        let wanted = usize::try_from(length - sent).unwrap_or(usize::MAX).min(block);
        let count = body.read_at(start + sent, &mut buffer[..wanted]);
        if count == 0 {
            return Ok(());
        }
        if resource.framing == Framing::Chunked {
            stream.write_all(format!("{count:x}\r\n").as_bytes())?;
        }
        stream.write_all(&buffer[..count])?;
        if resource.framing == Framing::Chunked {
            stream.write_all(b"\r\n")?;
        }
        stream.flush()?;
        sent += count as u64;
        shared.update(number, |request| request.sent = sent);
        if let Some(rate) = resource.rate {
            let due = Duration::from_millis(sent * 1000 / rate.max(1));
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
    }
    Ok(())
}

fn head(part: &Part, resource: &Resource, bodiless: bool, now: jiff::Timestamp) -> String {
    let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT");
    let line = |name: &str, value: &dyn std::fmt::Display| format!("{name}: {value}\r\n");
    let length = match resource.framing {
        Framing::Length if bodiless && part.status == 304 => String::new(),
        Framing::Length => line("Content-Length", &(part.end - part.start)),
        Framing::FalseLength(claimed) => line("Content-Length", &claimed),
        Framing::Chunked => line("Transfer-Encoding", &"chunked"),
        Framing::Close => line("Connection", &"close"),
    };
    let named = [("ETag", &resource.etag), ("Last-Modified", &resource.last_modified)];
    let named = named.into_iter().filter_map(|(name, value)| Some(line(name, value.as_ref()?)));
    let others = part.headers.iter().chain(&resource.headers).map(|(name, value)| line(name, value));
    let headers: String = others.chain(named).collect();
    format!("HTTP/1.1 {} Answer\r\nDate: {date}\r\n{length}{headers}\r\n", part.status)
}

/// What RFC 9110 says of credentials, conditions and ranges, as far as the resource honours it.
fn part(request: &Request, resource: &Resource) -> Part {
    let size = resource.body.size();
    let whole = |status: u16| {
        let end = if status < 300 || status == resource.status { size } else { Resource::status(status).size() };
        Part { status, start: 0, end, headers: Vec::new() }
    };
    if resource.credentials.is_some() && request.headers.get("authorization") != resource.credentials.as_ref() {
        return Part { headers: vec![("WWW-Authenticate".into(), "Basic realm=\"test\"".into())], ..whole(401) };
    }
    if resource.status != 200 {
        return whole(resource.status);
    }
    let same = |header: &str, value: &Option<String>| value.is_some() && request.headers.get(header) == value.as_ref();
    if same("if-none-match", &resource.etag) || same("if-modified-since", &resource.last_modified) {
        return Part { status: 304, start: 0, end: 0, headers: Vec::new() };
    }
    let first =
        request.range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let Some(first) = first.filter(|_: &u64| resource.ranges != Ranges::Ignored) else { return whole(200) };
    let conditional = request.headers.contains_key("if-range") && resource.ranges != Ranges::Blind;
    if conditional && !same("if-range", &resource.etag) && !same("if-range", &resource.last_modified) {
        return whole(200);
    }
    if first >= size {
        return Part { headers: vec![("Content-Range".into(), format!("bytes */{size}"))], ..whole(416) };
    }
    let start = match resource.ranges {
        Ranges::Shifted(bytes) => first.saturating_sub(bytes),
        Ranges::Honoured | Ranges::Ignored | Ranges::Blind | Ranges::Unsaid => first,
    };
    if resource.ranges == Ranges::Unsaid {
        return Part { status: 206, start, end: size, headers: Vec::new() };
    }
    let range = format!("bytes {start}-{}/{size}", size - 1);
    Part { status: 206, start, end: size, headers: vec![("Content-Range".into(), range)] }
}
