//! A socket that answers HTTP. The number of connections is limited, in all and for each address. So are the time for
//! the head of a request and the time for which a response may stall.

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

use super::connections::{Connection, Connections, Limits, Place};
use super::peer::{Answer, Peer};
use super::plain;

/// The pause after a failed accept, for example when there are no free file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// The routes of a socket.
#[derive(Debug, Clone)]
pub struct App {
    everything: Router,
    probes: Router,
}

impl App {
    /// `everything` has all routes. `probes` has those that are also answered on connections that are reserved for
    /// probes.
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

/// A socket that is served until it is shut down or dropped.
#[derive(Debug)]
pub struct Listening {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Listening {
    /// Binds the address and starts to serve. Port 0 picks a free port.
    pub async fn start(address: SocketAddr, app: impl Into<App>, limits: Limits) -> io::Result<Self> {
        let listener = bind(address).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        Ok(Self { address, stop: Some(stop), task: tokio::spawn(answer(listener, app.into(), limits, stopped)) })
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more requests, gives running responses some time to finish, and ends.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        // The task ends by itself. A panic in it has already been reported.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Binds an address. If `[::]` is not possible because the machine has no IPv6, binds `0.0.0.0`.
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
    // Dropped with this task, which aborts all connections.
    let mut running = JoinSet::new();
    loop {
        while running.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => break,
        };
        match accepted {
            // If there is no free place, the connection is closed.
            Ok((stream, peer)) => {
                if let Some(connection) = connections.admit(peer.ip()) {
                    // The last packet of a response goes at once. If it is not possible, it goes a little later.
                    let _unchanged = stream.set_nodelay(true);
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

/// Serves one connection until it ends or must close to make room.
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

/// The response on connections for probes to all other requests.
fn busy() -> Response<Body> {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, "all connections are in use");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}
