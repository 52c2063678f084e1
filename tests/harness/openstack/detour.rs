//! A way to servers that can be cut: an HTTP proxy that says each moment of each exchange before it goes on.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Bytes of a body between two moments.
const BLOCK: usize = 256 << 10;
/// A request's head is not larger.
const LARGEST_HEAD: usize = 64 << 10;

/// A moment of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The head of a request is here; the server has nothing of it yet.
    Asked,
    /// The server has this much of the body.
    Sent(usize),
    /// The server has answered; the client does not have the answer.
    Answered,
}

/// What goes on from a moment. `false`: nothing of this exchange goes on any more.
type Watch = dyn Fn(&str, Moment) -> bool + Send + Sync;

/// A running proxy; it ends with the process. It takes requests for any address, and those without one for its server.
pub struct Detour {
    address: SocketAddr,
    tokens: Arc<Mutex<Vec<String>>>,
}

/// What each connection needs.
#[derive(Clone)]
struct Shared {
    server: Option<String>,
    watch: Arc<Watch>,
    tokens: Arc<Mutex<Vec<String>>>,
}

impl Detour {
    /// A proxy whose every moment is told to `watch`, with the first line of the request: `GET http://127.0.0.1/…`.
    pub fn start(server: Option<&str>, watch: impl Fn(&str, Moment) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let tokens = Arc::<Mutex<Vec<String>>>::default();
        let server = server.map(|url| url.trim_start_matches("http://").split('/').next().unwrap().to_owned());
        let shared = Shared { server, watch: Arc::new(watch), tokens: tokens.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = shared.clone();
                // A client or a server that went away ends its exchange.
                std::thread::spawn(move || drop(stream.and_then(|stream| shared.exchange(&stream))));
            }
        });
        Self { address, tokens }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The tokens that Keystone gave, in order.
    pub fn tokens(&self) -> Vec<String> {
        self.tokens.lock().unwrap().clone()
    }
}

impl Shared {
    /// One exchange: servers for tests close the connection after each.
    fn exchange(&self, client: &TcpStream) -> io::Result<()> {
        let (head, rest) = read_head(client)?;
        let (line, fields) = head.split_once("\r\n").ok_or(io::ErrorKind::InvalidData)?;
        let (method, target) = line.split_once(' ').ok_or(io::ErrorKind::InvalidData)?;
        let (server, origin_form) = match target.strip_prefix("http://") {
            Some(rest) => rest.split_at(rest.find('/').ok_or(io::ErrorKind::InvalidData)?),
            None => (self.server.as_deref().ok_or(io::ErrorKind::InvalidData)?, target),
        };
        if !(self.watch)(line, Moment::Asked) {
            return Ok(());
        }
        let upstream = TcpStream::connect(server)?;
        (&upstream).write_all(format!("{method} {origin_form}\r\n{fields}").as_bytes())?;
        match self.send(client, &upstream, line, &rest, content_length(fields)) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            // It may have answered early, and closed.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => return Err(error),
        }
        let mut answer = Vec::new();
        // A client that goes away meanwhile does not keep a server from its work.
        (&upstream).read_to_end(&mut answer)?;
        self.note_token(&answer);
        if !(self.watch)(line, Moment::Answered) {
            return Ok(());
        }
        let mut client = client;
        client.write_all(&answer)?;
        client.shutdown(Shutdown::Write)
    }

    /// Sends the body, whose start is here. Returns whether the exchange goes on.
    fn send(
        &self,
        mut client: &TcpStream,
        mut upstream: &TcpStream,
        line: &str,
        rest: &[u8],
        length: usize,
    ) -> io::Result<bool> {
        upstream.write_all(rest)?;
        let (mut sent, mut block) = (rest.len(), vec![0; BLOCK]);
        while sent < length {
            let most = BLOCK.min(length - sent);
            let read = client.read(&mut block[..most])?;
            if read == 0 {
                // The client is gone, and so is this request.
                return Ok(false);
            }
            upstream.write_all(&block[..read])?;
            let before = sent;
            sent += read;
            if before / BLOCK != sent / BLOCK && !(self.watch)(line, Moment::Sent(sent)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn note_token(&self, answer: &[u8]) {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        if response.parse(answer).is_ok() {
            let token = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("x-subject-token"));
            let token = token.map(|header| String::from_utf8_lossy(header.value).into_owned());
            self.tokens.lock().unwrap().extend(token);
        }
    }
}

/// The head of a request with its empty line, and the start of its body.
fn read_head(mut client: &TcpStream) -> io::Result<(String, Vec<u8>)> {
    let (mut read, mut block) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = read.split_off(end + 4);
            let head = String::from_utf8(read).map_err(|_| io::ErrorKind::InvalidData)?;
            return Ok((head, rest));
        }
        let count = client.read(&mut block)?;
        if count == 0 || read.len() > LARGEST_HEAD {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read.extend_from_slice(&block[..count]);
    }
}

fn content_length(fields: &str) -> usize {
    let value = fields.lines().filter_map(|line| line.split_once(':'));
    let mut value = value.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    value.next().map_or(0, |(_, value)| value.trim().parse().unwrap())
}
