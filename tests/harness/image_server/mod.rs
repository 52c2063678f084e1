//! An HTTP server for images and lists that behaves, or misbehaves, as each path is told. Real sockets.
//!
//! ```text
//! let server = ImageServer::start();
//! server.put("/a.img", Resource::pattern(7, 1 << 20).etag("\"v1\"").cut_every(100_000));
//! let url = server.url("/a.img");
//! …
//! assert_eq!(server.requests("/a.img")[1].range.as_deref(), Some("bytes=100000-"));
//! ```
//!
//! It runs on threads of its own, so tests need no runtime for it, and ends when it is dropped.

#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "a harness that cannot do its part ends the test")]

mod body;
mod connection;
mod resource;
mod tls;

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use body::Body;
pub use resource::Resource;
pub use tls::ServerCertificate;

/// How long a wait for a request lasts before the test is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request that was answered, or is being answered.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The target as it stood in the request line, query included.
    pub target: String,
    /// All headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The `Range` header.
    pub range: Option<String>,
    /// The status of the answer; 0 before there is one.
    pub status: u16,
    /// Bytes of the body that were handed to the socket.
    pub sent: u64,
}

/// The server. Dropped, it cuts every connection.
pub struct ImageServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    tls: Option<openssl::ssl::SslAcceptor>,
    state: Mutex<State>,
    changed: Condvar,
    closed: AtomicBool,
    /// By how much the server's clock is ahead, in seconds.
    ahead: AtomicI64,
}

#[derive(Default)]
struct State {
    paths: BTreeMap<String, Script>,
    requests: Vec<Request>,
    connections: BTreeMap<u64, TcpStream>,
    accepted: u64,
}

/// What a path answers, request by request; the last goes on for ever.
struct Script {
    steps: Vec<Resource>,
    next: usize,
}

impl ImageServer {
    /// A server on a free port of 127.0.0.1.
    pub fn start() -> Self {
        Self::serve(None)
    }

    /// The same with TLS.
    pub fn start_tls(certificate: &ServerCertificate) -> Self {
        Self::serve(Some(certificate.acceptor()))
    }

    fn serve(tls: Option<openssl::ssl::SslAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { tls, ..Shared::default() });
        let served = shared.clone();
        std::thread::spawn(move || accept(&listener, &served));
        Self { address, shared }
    }

    /// Puts the clock of the server's `Date` forward, or back.
    pub fn pass_time(&self, seconds: i64) {
        self.shared.ahead.fetch_add(seconds, Ordering::Relaxed);
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        self.url_at("127.0.0.1", path)
    }

    /// The URL of a path under another name of this machine, such as `localhost`.
    pub fn url_at(&self, host: &str, path: &str) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{host}:{}{path}", self.address.port())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the path answers so. A path is compared with the whole target, its query included, first, and then
    /// without it.
    pub fn put(&self, path: &str, resource: Resource) {
        self.put_each(path, vec![resource]);
    }

    /// Changes every answer that was put.
    pub fn change_all(&self, change: impl Fn(Resource) -> Resource) {
        for script in self.shared.state().paths.values_mut() {
            script.steps.iter_mut().for_each(|step| *step = change(step.clone()));
        }
    }

    /// Whether the path has an answer of its own.
    pub fn has(&self, path: &str) -> bool {
        self.shared.state().paths.contains_key(path)
    }

    /// The path answers its next requests one after the other so; the last answer goes on.
    pub fn put_each(&self, path: &str, steps: Vec<Resource>) {
        assert!(!steps.is_empty(), "a path needs an answer");
        self.shared.state().paths.insert(path.to_owned(), Script { steps, next: 0 });
    }

    /// The requests for a path so far, whatever their query.
    pub fn requests(&self, path: &str) -> Vec<Request> {
        let state = self.shared.state();
        state.requests.iter().filter(|request| without_query(&request.target) == path).cloned().collect()
    }

    /// All requests so far.
    pub fn all_requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// Bytes of bodies that were sent for a path.
    pub fn bytes_sent(&self, path: &str) -> u64 {
        self.requests(path).iter().map(|request| request.sent).sum()
    }

    /// Waits until the path was asked for `count` times, and `sent` bytes went out in all.
    pub fn wait_for(&self, path: &str, count: usize, sent: u64) {
        let enough = |state: &mut State| {
            let mine = || state.requests.iter().filter(|request| without_query(&request.target) == path);
            mine().count() < count || mine().map(|request| request.sent).sum::<u64>() < sent
        };
        let waited = self.shared.changed.wait_timeout_while(self.shared.state(), PATIENCE, enough);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "{path} was not asked for {count} times: {:?}", state.requests);
    }
}

impl Drop for ImageServer {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        for connection in self.shared.state().connections.values() {
            let _gone = connection.shutdown(Shutdown::Both);
        }
        // WorkQueues the accepting thread, which then sees that it is over.
        let _woken = TcpStream::connect(self.address);
    }
}

impl Shared {
    /// What time the server says it is.
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now() + jiff::SignedDuration::from_secs(self.ahead.load(Ordering::Relaxed))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request; its number, and how to answer it.
    fn note(&self, request: Request) -> (usize, Resource) {
        let mut state = self.state();
        let target = request.target.clone();
        state.requests.push(request);
        let number = state.requests.len() - 1;
        let path = if state.paths.contains_key(&target) { target.as_str() } else { without_query(&target) };
        let resource = match state.paths.get_mut(path) {
            Some(script) => {
                let resource = script.steps[script.next.min(script.steps.len() - 1)].clone();
                script.next += 1;
                resource
            }
            None => Resource::status(404),
        };
        drop(state);
        self.changed.notify_all();
        (number, resource)
    }

    fn update(&self, number: usize, update: impl FnOnce(&mut Request)) {
        update(&mut self.state().requests[number]);
        self.changed.notify_all();
    }
}

fn without_query(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.closed.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let Ok(clone) = stream.try_clone() else { continue };
        let number = {
            let mut state = shared.state();
            state.accepted += 1;
            let number = state.accepted;
            state.connections.insert(number, clone);
            number
        };
        let shared = shared.clone();
        std::thread::spawn(move || {
            connection::serve(stream, &shared);
            if let Some(connection) = shared.state().connections.remove(&number) {
                let _gone = connection.shutdown(Shutdown::Both);
            }
        });
    }
}
