//! A socket that answers HTTP: bounded in connections, in all and for each address, in the time that a request may take
//! to arrive, and in the time that an answer may stand still.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use super::connections::{Connection, Connections, Place};
use super::peer::{Answer, Peer};
use super::plain;

/// After a failed accept, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// What one socket takes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once. For one more, one goes whose next request has not come yet.
    pub connections: usize,
    /// The same of one address, which a reverse proxy has for all its clients.
    pub per_address: usize,
    /// So many more where all are being answered: for probes.
    pub reserve: usize,
    /// How long a request's head may take to arrive, and a connection stand idle between two.
    pub head: Duration,
    /// How long an answer may stand still because the peer takes next to nothing of it.
    pub stall: Duration,
    /// How long answers may go on after the server was asked to stop.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            per_address: 128,
            reserve: 16,
            head: Duration::from_secs(5),
            stall: Duration::from_mins(2),
            farewell: Duration::from_secs(10),
        }
    }
}

/// What a socket answers with.
#[derive(Debug, Clone)]
pub struct App {
    everything: Router,
    probes: Router,
}

impl App {
    /// Everything; and the probes among it, which are answered where there is room for nothing else.
    pub fn new(everything: Router, probes: Router) -> Self {
        Self { everything, probes: probes.fallback(async || busy()) }
    }
}

impl From<Router> for App {
    /// Without probes.
    fn from(everything: Router) -> Self {
        Self::new(everything, Router::new())
    }
}

/// A socket that answers until it is shut down or dropped.
#[derive(Debug)]
pub struct Listening {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Listening {
    /// Binds the address and answers from now on. Port 0 is a free one.
    pub async fn start(address: SocketAddr, app: impl Into<App>, limits: Limits) -> io::Result<Self> {
        let listener = bind(address).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        Ok(Self { address, stop: Some(stop), task: tokio::spawn(answer(listener, app.into(), limits, stopped)) })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, lets answers that run go on for a while, and ends.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        // It ends by itself; a panic in it was told when it happened.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// `[::]` is every address of this machine; one without IPv6 has those of IPv4.
async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let without_ipv6 = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].map(|error| Some(error.raw_os_error()));
    match TcpListener::bind(address).await {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && without_ipv6.contains(&error.raw_os_error()) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound_or_failed => bound_or_failed,
    }
}

async fn answer(listener: TcpListener, app: App, limits: Limits, mut stopped: oneshot::Receiver<()>) {
    let connections = Connections::new(limits);
    let farewell = GracefulShutdown::new();
    // Dropped with this task, so that none outlives it.
    let mut running = JoinSet::new();
    loop {
        while running.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => break,
        };
        match accepted {
            // Where there is no room at all it is closed.
            Ok((stream, peer)) => {
                if let Some(connection) = connections.admit(peer.ip()) {
                    running.spawn(serve(stream, connection, &app, limits, &farewell));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    if tokio::time::timeout(limits.farewell, farewell.shutdown()).await.is_err() {
        tracing::warn!("answers that still run are cut off");
    }
}

/// Answers one connection until its end, or until it has to go.
fn serve(
    stream: TcpStream,
    connection: Connection,
    app: &App,
    limits: Limits,
    farewell: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + use<> {
    let router = match connection.place {
        Place::Any => app.everything.clone(),
        Place::Probes => app.probes.clone(),
    };
    let (router, progress) = (TowerToHyperService::new(router), connection.progress.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        progress.answering();
        let (answer, progress) = (router.call(request), progress.clone());
        async move { answer.await.map(|response| response.map(|body| Answer::new(body, progress))) }
    });
    let peer = Peer::new(stream, limits.stall, connection.progress.clone());
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .keep_alive(connection.place == Place::Any)
        .serve_connection(TokioIo::new(peer), service);
    let served = farewell.watch(served);
    async move {
        if let Some(Err(error)) = connection.gone.run_until_cancelled(served).await {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// All places are taken by answers that go on.
fn busy() -> Response<Body> {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, "all connections are in use");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}
