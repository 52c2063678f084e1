//! A receiver of webhooks that behaves, or misbehaves, as it is configured. Real sockets.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use harness::image_server::ServerCertificate;
use openssl::ssl::SslAcceptor;

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The number of the connection.
    pub(crate) connection: usize,
    /// The method and the target.
    pub(crate) line: String,
    /// The headers, their names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(other, _)| other == name);
        let (_, value) = found.next()?;
        assert!(found.next().is_none(), "{name} came twice");
        Some(value)
    }
}

/// What the receiver does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A status, further header lines and a body.
    Says(u16, &'static str, String),
    /// Nothing, until the client goes.
    Silence,
    /// A status, and a body without an end.
    Endless(u16),
    /// A status, and a body that does not come.
    Stalls(u16),
    /// Half of a head, and then the end of the connection.
    Cut,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self::Says(status, "", String::new())
    }
}

/// The receiver. Dropped, it ends.
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    tls: Option<SslAcceptor>,
    /// The last one goes on for ever.
    answers: Mutex<VecDeque<Answer>>,
    requests: Mutex<Vec<Request>>,
    streams: Mutex<Vec<TcpStream>>,
    over: AtomicBool,
}

impl Receiver {
    pub(crate) fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::serve(None, answers)
    }

    pub(crate) fn start_tls(certificate: &ServerCertificate) -> Self {
        Self::serve(Some(certificate.acceptor()), [Answer::status(204)])
    }

    fn serve(tls: Option<SslAcceptor>, answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Mutex::new(answers.into_iter().collect());
        let shared =
            Shared { tls, answers, requests: Mutex::default(), streams: Mutex::default(), over: AtomicBool::default() };
        let shared = Arc::new(shared);
        let served = shared.clone();
        std::thread::spawn(move || accept(&listener, &served));
        Self { address, shared }
    }

    /// The URL of a path and query.
    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.shared.streams.lock().unwrap().len()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        for stream in self.shared.streams.lock().unwrap().iter() {
            let _gone = stream.shutdown(Shutdown::Both);
        }
        let _woken = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        let stream = stream.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut streams = shared.streams.lock().unwrap();
        let number = streams.len();
        streams.push(stream.try_clone().unwrap());
        drop(streams);
        let shared = shared.clone();
        std::thread::spawn(move || {
            match &shared.tls {
                // A client that does not believe the certificate ends here.
                Some(acceptor) => {
                    acceptor.accept(&stream).map(|tls| converse(tls, number, &shared)).unwrap_or_default();
                }
                None => converse(&stream, number, &shared),
            }
            let _gone = stream.shutdown(Shutdown::Both);
        });
    }
}

fn converse(mut stream: impl Read + Write, connection: usize, shared: &Shared) {
    let mut buffered = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffered, connection) {
        shared.requests.lock().unwrap().push(request);
        let mut answers = shared.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        drop(answers);
        if !answer_with(&mut stream, &answer.unwrap()).unwrap_or(false) {
            return;
        }
    }
}

/// Whether the connection goes on.
fn answer_with(stream: &mut (impl Read + Write), answer: &Answer) -> std::io::Result<bool> {
    match answer {
        Answer::Says(status, headers, body) => {
            let length = if *status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
            stream.write_all(format!("HTTP/1.1 {status} Answer\r\n{length}{headers}\r\n{body}").as_bytes())?;
            stream.flush()?;
            return Ok(true);
        }
        Answer::Silence => {}
        Answer::Stalls(status) => {
            stream.write_all(format!("HTTP/1.1 {status} Answer\r\nContent-Length: 10\r\n\r\nwait").as_bytes())?;
        }
        Answer::Endless(status) => {
            stream.write_all(format!("HTTP/1.1 {status} Answer\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes())?;
            loop {
                stream.write_all(format!("400\r\n{}\r\n", "endless ".repeat(128)).as_bytes())?;
            }
        }
        Answer::Cut => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le")?;
            return Ok(false);
        }
    }
    stream.flush()?;
    while stream.read(&mut [0; 4096])? > 0 {}
    Ok(false)
}

fn read_request(stream: &mut impl Read, buffered: &mut Vec<u8>, connection: usize) -> Option<Request> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(length) = head.parse(buffered).unwrap() {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let headers = head.headers.iter().map(|header| (header.name.to_ascii_lowercase(), text(header.value)));
            let line = format!("{} {}", head.method.unwrap(), head.path.unwrap());
            let mut request = Request { connection, line, headers: headers.collect(), body: Vec::new() };
            let size: usize = request.header("content-length").unwrap().parse().unwrap();
            if buffered.len() >= length + size {
                request.body = buffered[length..length + size].to_vec();
                buffered.drain(..length + size);
                return Some(request);
            }
        }
        let mut block = [0; 4096];
        let count = stream.read(&mut block).ok().filter(|count| *count > 0)?;
        buffered.extend_from_slice(&block[..count]);
    }
}
