//! HTTP on a socket: requests as they come, answers, and a client that fetches what an import asks for.

use std::io::{self, Read, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::request::{Answer, Request, Service, reason};

/// How long a read of a peer that says nothing takes.
const PATIENCE: Duration = Duration::from_mins(1);
/// Redirects that a fetch follows.
const REDIRECTS: usize = 5;

/// The body of a request, as it comes.
pub(super) struct Body {
    buffer: Vec<u8>,
    is_chunked: bool,
    is_over: bool,
    /// Bytes that are to come: of the body, or of the chunk.
    left: u64,
}

impl Body {
    fn fill(&mut self, connection: &mut TcpStream) -> io::Result<()> {
        let mut piece = vec![0; 64 << 10];
        let count = connection.read(&mut piece)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend_from_slice(&piece[..count]);
        Ok(())
    }

    fn line(&mut self, connection: &mut TcpStream) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.buffer.drain(..end + 2).take(end).collect();
                return String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData.into());
            }
            self.fill(connection)?;
        }
    }

    /// The next bytes; none: it is over. An error: it was cut off.
    pub(super) fn next(&mut self, connection: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
        if self.left == 0 && self.is_chunked && !self.is_over {
            let size = self.line(connection)?;
            let size = size.split(';').next().unwrap_or_default().trim().to_owned();
            self.left = u64::from_str_radix(&size, 16).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
            if self.left == 0 {
                self.is_over = true;
                self.line(connection)?;
            }
        }
        if self.left == 0 {
            return Ok(None);
        }
        if self.buffer.is_empty() {
            self.fill(connection)?;
        }
        let count = self.buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let piece = self.buffer.drain(..count).collect();
        self.left -= count as u64;
        if self.left == 0 && self.is_chunked {
            self.line(connection)?;
        }
        Ok(Some(piece))
    }

    /// All that is left.
    pub(super) fn rest(&mut self, connection: &mut TcpStream) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(piece) = self.next(connection)? {
            all.extend(piece);
        }
        Ok(all)
    }

    /// Reads what is left, for an answer that would be lost if the connection were closed before.
    pub(super) fn skip(&mut self, connection: &mut TcpStream) -> io::Result<()> {
        while self.next(connection)?.is_some() {}
        Ok(())
    }
}

/// A request without its body, and the way to its body.
pub(super) fn read_head(connection: &mut TcpStream, service: Service) -> io::Result<(Request, Body)> {
    connection.set_read_timeout(Some(PATIENCE))?;
    let mut body = Body { buffer: Vec::new(), is_chunked: false, is_over: false, left: 0 };
    loop {
        body.fill(connection)?;
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut headers);
        let head = match parsed.parse(&body.buffer) {
            Ok(httparse::Status::Complete(head)) => head,
            Ok(httparse::Status::Partial) => continue,
            Err(_) => return Err(io::ErrorKind::InvalidData.into()),
        };
        let headers = parsed
            .headers
            .iter()
            .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned()));
        let request = Request {
            service,
            method: parsed.method.unwrap_or_default().to_owned(),
            target: parsed.path.unwrap_or_default().to_owned(),
            headers: headers.collect(),
            body: Vec::new(),
        };
        body.is_chunked = request.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked"));
        body.left = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
        body.buffer.drain(..head);
        if request.header("expect").is_some() {
            connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        return Ok((request, body));
    }
}

/// An answer as bytes.
pub(super) fn encode(answer: &Answer) -> Vec<u8> {
    let Answer { status, headers, body } = answer;
    let fields: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("HTTP/1.1 {status} {}\r\n{}", reason(*status), fields.concat());
    let length = if *status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let id = "x-openstack-request-id: req-00000000-0000-4000-8000-000000000000";
    let head = format!("{head}{length}{id}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), if *status == 204 { &[] } else { body }].concat()
}

/// What is at an address, whole; redirects are followed.
pub(super) fn fetch(uri: &str) -> io::Result<Vec<u8>> {
    let mut uri = uri.to_owned();
    for _ in 0..=REDIRECTS {
        match fetch_once(&uri)? {
            Ok(bytes) => return Ok(bytes),
            Err(location) => uri = location,
        }
    }
    Err(io::Error::other("too many redirects"))
}

/// Status, `Location`, and whether the end of the body is known without the end of the connection.
fn read_response_head(connection: &mut TcpStream, body: &mut Body) -> io::Result<(u16, Option<String>, bool)> {
    loop {
        body.fill(connection)?;
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        let head = match response.parse(&body.buffer) {
            Ok(httparse::Status::Complete(head)) => head,
            Ok(httparse::Status::Partial) => continue,
            Err(_) => return Err(io::ErrorKind::InvalidData.into()),
        };
        let header = |name: &str| {
            let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
            Some(String::from_utf8_lossy(found.value).into_owned())
        };
        let (status, location) = (response.code.unwrap_or_default(), header("location"));
        let length = header("content-length").and_then(|length| length.parse().ok());
        body.is_chunked = header("transfer-encoding").is_some_and(|coding| coding.contains("chunked"));
        body.left = length.unwrap_or_default();
        body.buffer.drain(..head);
        return Ok((status, location, length.is_some() || body.is_chunked));
    }
}

/// The bytes, or where they are.
fn fetch_once(uri: &str) -> io::Result<Result<Vec<u8>, String>> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let address = uri.strip_prefix("http://").ok_or_else(|| broken("not http"))?;
    let (host, path) = address.split_once('/').ok_or_else(|| broken("no path"))?;
    let mut connection = TcpStream::connect(host)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    write!(connection, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut body = Body { buffer: Vec::new(), is_chunked: false, is_over: false, left: 0 };
    let (status, location, is_framed) = read_response_head(&mut connection, &mut body)?;
    let bytes = if is_framed {
        body.rest(&mut connection)?
    } else {
        let mut bytes = std::mem::take(&mut body.buffer);
        connection.read_to_end(&mut bytes)?;
        bytes
    };
    match (status, location) {
        (300..400, Some(location)) => {
            Ok(Err(if location.starts_with('/') { format!("http://{host}{location}") } else { location }))
        }
        (200, _) => Ok(Ok(bytes)),
        _ => Err(broken("another status than 200")),
    }
}
