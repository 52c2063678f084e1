//! A server with TLS that has HTTP/2 and HTTP/1.1, and behaves, or misbehaves, over HTTP/2 as each path is set up. Over
//! HTTP/1.1 it always behaves. Real sockets.
//!
//! It runs on the runtime of the test, and ends when it is dropped.

mod http1;
mod http2;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use h2::Reason;
use openssl::ssl::Ssl;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_openssl::SslStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::image_server::{Body, ServerCertificate};
use crate::patience;

/// An answer over HTTP/2.
#[derive(Debug, Clone)]
pub enum Act {
    /// The whole body.
    Whole,
    /// The whole body, without its length.
    Unmeasured,
    /// A redirect.
    Redirect(String),
    /// No head: the stream is reset.
    Refuse(Reason),
    /// So many bytes, and then the stream is reset.
    Reset(usize, Reason),
    /// The same, without the length of the body.
    ResetUnmeasured(usize, Reason),
    /// So many bytes, and then GOAWAY: the connection ends. None: no head either.
    GoAway(Option<usize>, Reason),
    /// So many bytes, and then the connection is cut. None: no head either.
    Die(Option<usize>),
    /// So many bytes, and then nothing more as long as the connection lasts.
    Hold(usize),
    /// A head of so many bytes.
    LargeHead(usize),
    /// Frames of one byte.
    Dribble,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// Whether it came over HTTP/2.
    pub http2: bool,
    /// The number of its connection, from 1 on.
    pub connection: u64,
    /// `Range`.
    pub range: Option<String>,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// `Authorization`.
    pub authorization: Option<String>,
}

/// The server.
pub struct Http2Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    _running: DropGuard,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Ends all connections when it changes.
    cut: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    paths: BTreeMap<String, (Body, Vec<Act>)>,
    asked: Vec<Asked>,
    connections: u64,
    /// How many of them ended.
    ended: usize,
    /// The bytes of bodies that were sent.
    sent: usize,
}

impl Http2Server {
    /// A server on a free port of 127.0.0.1.
    pub async fn start(certificate: &ServerCertificate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (acceptor, shared, running) =
            (certificate.http2_acceptor(), Arc::<Shared>::default(), CancellationToken::new());
        let (served, ended) = (shared.clone(), running.clone());
        tokio::spawn(async move {
            let accept = async {
                while let Ok((stream, _)) = listener.accept().await {
                    let ssl = Ssl::new(acceptor.context()).expect("TLS");
                    let connection = serve(stream, ssl, served.clone());
                    tokio::spawn(ended.clone().run_until_cancelled_owned(connection));
                }
            };
            ended.run_until_cancelled(accept).await;
        });
        Self { address, shared, _running: running.drop_guard() }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.address.port())
    }

    /// From now on the path has this body, and answers so over HTTP/2, request by request; the last goes on for ever.
    pub fn put(&self, path: &str, body: Body, acts: &[Act]) {
        self.shared.state().paths.insert(path.to_owned(), (body, acts.to_vec()));
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.state().asked.clone()
    }

    /// The requests for a path.
    pub fn asked_for(&self, path: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.path == path).collect()
    }

    /// How many connections ended.
    pub fn ended(&self) -> usize {
        self.shared.state().ended
    }

    /// Waits until so many bytes of bodies were sent.
    pub async fn wait_for(&self, bytes: usize) {
        patience::until("bytes that are sent", async || self.shared.state().sent >= bytes).await;
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        self.shared.cut.send_modify(|times| *times += 1);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sent(&self, bytes: usize) {
        self.state().sent += bytes;
    }

    /// Notes a request; what is sent of which body, and how. `None` if there is no such path.
    fn note(&self, asked: Asked) -> Option<(Body, Act)> {
        let mut state = self.state();
        let found = state.paths.get_mut(&asked.path).map(|(body, acts)| {
            let act = if !asked.http2 {
                Act::Whole
            } else if acts.len() > 1 {
                acts.remove(0)
            } else {
                acts.first().cloned().unwrap_or(Act::Whole)
            };
            (body.clone(), act)
        });
        state.asked.push(asked);
        found
    }
}

/// The first byte that a request is for.
fn first_byte(range: Option<&str>) -> usize {
    range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()).unwrap_or(0)
}

async fn serve(stream: TcpStream, ssl: Ssl, shared: Arc<Shared>) {
    let number = {
        let mut state = shared.state();
        state.connections += 1;
        state.connections
    };
    let mut cut = shared.cut.subscribe();
    cut.borrow_and_update();
    let Ok(mut stream) = SslStream::new(ssl, stream) else { return };
    if Pin::new(&mut stream).accept().await.is_err() {
        return;
    }
    let work = async {
        if stream.ssl().selected_alpn_protocol() == Some(b"h2") {
            http2::converse(stream, number, &shared).await;
        } else {
            http1::converse(stream, number, &shared).await;
        }
    };
    tokio::select! {
        () = work => {}
        _ = cut.changed() => {}
    }
    shared.state().ended += 1;
}
