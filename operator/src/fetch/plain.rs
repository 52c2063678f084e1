//! Connections for `http:` without a proxy. The system's certificate authorities are not read for them, which takes
//! longer than a run that has nothing to do.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use reqwest::{Body, Request, Response};
use tower::Service;

use super::address::AddressPolicy;
use super::error::{FetchError, failure, not_connected};
use crate::imagelist::SourceUrl;
use crate::text::cause;

/// How long an unused connection is kept: as long as the other connections.
const IDLE: Duration = Duration::from_secs(90);

/// How often TCP asks whether a silent peer is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// The connections. Cheap to clone; all clones share them.
#[derive(Debug, Clone)]
pub(super) struct PlainConnections(Client<HttpConnector<Resolver>, Body>);

/// Resolves names to the addresses that the policy allows.
#[derive(Debug, Clone)]
struct Resolver {
    policy: AddressPolicy,
    timeout: Duration,
}

impl PlainConnections {
    /// Connections to the addresses that the policy allows. The timeout is one for the name and one for the connection.
    pub(super) fn new(policy: &AddressPolicy, timeout: Duration) -> Self {
        let mut connector = HttpConnector::new_with_resolver(Resolver { policy: policy.clone(), timeout });
        connector.set_connect_timeout(Some(timeout));
        connector.set_keepalive(Some(KEEPALIVE));
        connector.set_nodelay(true);
        let mut builder = Client::builder(TokioExecutor::new());
        Self(builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).build(connector))
    }

    /// Sends a request for an `http:` URL.
    pub(super) async fn send(&self, url: &SourceUrl, request: Request) -> Result<Response, FetchError> {
        let request = http::Request::try_from(request).map_err(|error| failure(url, error))?;
        match self.0.request(request).await {
            Ok(response) => Ok(Response::from(response.map(Body::wrap))),
            Err(error) => {
                let is_timeout = cause::<io::Error>(&error).is_some_and(|error| error.kind() == ErrorKind::TimedOut);
                Err(not_connected(url, &error, is_timeout))
            }
        }
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { policy, timeout } = self.clone();
        Box::pin(async move {
            let found = tokio::time::timeout(timeout, policy.lookup(name.as_str())).await;
            found.map_err(|_| io::Error::from(ErrorKind::TimedOut))?
        })
    }
}
