//! Counts requests to the API server.

use std::pin::Pin;
use std::task::{Context, Poll};

use kube::client::ClientBuilder;
use kube::{Client, Config};
use tower::{Layer, Service};

use crate::metrics::Metrics;

/// A client whose requests are counted in `metrics`. A watch counts once, when it starts.
pub fn counted(configuration: Config, metrics: Metrics) -> kube::Result<Client> {
    Ok(ClientBuilder::try_from(configuration)?.with_layer(&Counting(metrics)).build())
}

struct Counting(Metrics);

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, metrics: self.0.clone() }
    }
}

/// A service that counts its requests.
#[derive(Clone)]
pub(super) struct Counted<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, A, B> Service<http::Request<A>> for Counted<S>
where
    S: Service<http::Request<A>, Response = http::Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<A>) -> Self::Future {
        let (method, metrics) = (request.method().clone(), self.metrics.clone());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            metrics.request(&method, answer.as_ref().ok().map(|answer| answer.status().as_u16()));
            answer
        })
    }
}
