//! HTTP/1.1, as it should be.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::{Asked, Shared, first_byte};

pub(super) async fn converse(mut stream: SslStream<TcpStream>, connection: u64, shared: &Shared) {
    let mut buffered = Vec::new();
    while let Some(asked) = read(&mut stream, &mut buffered, connection).await {
        let range = asked.range.clone();
        let answer = match shared.note(asked) {
            None => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
            Some((body, _)) => answer(&body.to_vec(), first_byte(range.as_deref())),
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn answer(body: &[u8], first: usize) -> Vec<u8> {
    let rest = &body[first.min(body.len())..];
    let part = format!("Content-Range: bytes {first}-{}/{}\r\n", body.len().saturating_sub(1), body.len());
    let (status, part) = if first > 0 { ("206 Partial Content", part) } else { ("200 OK", String::new()) };
    let head = format!("HTTP/1.1 {status}\r\nETag: \"1\"\r\n{part}Content-Length: {}\r\n\r\n", rest.len());
    [head.as_bytes(), rest].concat()
}

async fn read(stream: &mut SslStream<TcpStream>, buffered: &mut Vec<u8>, connection: u64) -> Option<Asked> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(length) = head.parse(buffered).ok()? {
            let path = head.path.unwrap_or_default().to_owned();
            let header = |name: &str| {
                let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
                found.map(|header| String::from_utf8_lossy(header.value).into_owned())
            };
            let (range, if_none_match) = (header("range"), header("if-none-match"));
            let authorization = header("authorization");
            buffered.drain(..length);
            return Some(Asked { path, http2: false, connection, range, if_none_match, authorization });
        }
        if stream.read_buf(buffered).await.ok()? == 0 {
            return None;
        }
    }
}
