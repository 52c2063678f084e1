//! Images that the cloud pulls by HTTP, as its downloader does: the head for the size, the first bytes for the format,
//! and when it copies the whole, whose length and SHA-1 are looked at.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use data_encoding::HEXLOWER;

use super::world::File;

/// An answer.
struct Answer {
    status: u16,
    length: Option<u64>,
    body: Vec<u8>,
}

/// What is at an address, without its bytes; `None` where it does not answer with an image.
pub(super) fn look(url: &str) -> Option<File> {
    let head = ask("HEAD", url, "").ok().filter(|answer| answer.status == 200)?;
    let Some(length) = head.length else {
        return Some(File { unreadable: Some("Unsupported remote image format".to_owned()), ..File::default() });
    };
    let first = ask("GET", url, "Range: bytes=0-3\r\n").ok().filter(|answer| answer.status == 206)?;
    let format = if first.body == b"QFI\xfb" { "qcow2" } else { "raw" };
    Some(File { size_mb: length.div_ceil(1 << 20), format: format.to_owned(), ..File::default() })
}

/// Copies what is at an address; the error says what is wrong with it.
pub(super) fn copy(url: &str, sha1: Option<&String>) -> Result<(), String> {
    let whole = ask("GET", url, "").map_err(|error| error.to_string())?;
    if whole.status != 200 {
        return Err(format!("HTTP status {}", whole.status));
    }
    if whole.length != Some(whole.body.len() as u64) {
        return Err(format!("expected {:?} bytes, found {}", whole.length, whole.body.len()));
    }
    let found = openssl::hash::hash(openssl::hash::MessageDigest::sha1(), &whole.body).expect("a digest");
    let found = HEXLOWER.encode(&found);
    if sha1.is_some_and(|sha1| *sha1 != found) {
        return Err(format!("expected {sha1:?}, found {found}"));
    }
    Ok(())
}

fn ask(method: &str, url: &str, header: &str) -> io::Result<Answer> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let rest = url.strip_prefix("http://").ok_or_else(|| broken("not http"))?;
    let (host, path) = rest.split_once('/').ok_or_else(|| broken("no path"))?;
    let mut connection = TcpStream::connect(host)?;
    connection.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(connection, "{method} /{path} HTTP/1.1\r\nHost: {host}\r\n{header}Connection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    connection.read_to_end(&mut bytes)?;
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(&bytes).map_err(|error| broken(&error.to_string()))?;
    let httparse::Status::Complete(head) = parsed else { return Err(broken("half a head")) };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    let status = response.code.unwrap_or_default();
    Ok(Answer { status, length, body: bytes.split_off(head) })
}
