//! Calls of the API server: counted, with a time-out, and with failures as [`StoreError`].

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use kube::client::ClientBuilder;
use kube::{Client, Config};
use tower::Service;
use tower::layer::layer_fn;

use crate::api::{Kind, ObjectKey};
use crate::metrics::Metrics;
use crate::store::StoreError;
use crate::text::with_causes;

/// Describes a call, for messages.
pub(super) struct Call<'a> {
    /// The action, such as `read`.
    pub action: &'static str,
    /// The object, such as `Secret default/token`.
    pub object: String,
    /// The object that no longer exists if the response is `404 Not Found`.
    pub gone: Option<(Kind, &'a ObjectKey)>,
}

/// Makes a call.
pub(super) async fn call<T>(
    about: Call<'_>,
    answer: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(LONGEST_CALL, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(failed(about, &error)),
        Err(_) => {
            let message = format!("no answer within {} s", LONGEST_CALL.as_secs());
            Err(StoreError::Unavailable { action: about.action, object: about.object, message })
        }
    }
}

/// The cause in the status of an API server that refuses a new object in a namespace that is being deleted (core/v1:
/// `NamespaceTerminatingCause`).
const TERMINATING: &str = "NamespaceTerminating";

fn failed(about: Call<'_>, error: &kube::Error) -> StoreError {
    let Call { action, object, gone } = about;
    let kube::Error::Api(status) = error else {
        return StoreError::Unavailable { action, object, message: with_causes(error) };
    };
    let message = status.message.clone();
    let mut causes = status.details.iter().flat_map(|details| &details.causes);
    match (status.code, gone) {
        (403, _) if causes.any(|cause| cause.reason == TERMINATING) => StoreError::NamespaceEnds { action, object },
        (404, Some((kind, key))) => StoreError::Gone { kind, key: key.clone() },
        (401 | 403, _) => StoreError::Denied { action, object, message },
        (409, _) => StoreError::Conflict { action, object, message },
        (400 | 404 | 405 | 415 | 422, _) => StoreError::Refused { action, object, message },
        _ => StoreError::Unavailable { action, object, message },
    }
}

/// The text of a failure. It never contains the body of the response.
pub(crate) fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.message.trim().is_empty() => format!("HTTP {}", status.code),
        kube::Error::Api(status) => status.message.trim().to_owned(),
        other => with_causes(other),
    }
}

/// The time-out of one call of the API server.
const LONGEST_CALL: Duration = Duration::from_secs(30);

/// A client whose requests are counted in `metrics`. A watch counts once, when it starts.
pub fn counted(configuration: Config, metrics: Metrics) -> kube::Result<Client> {
    Ok(ClientBuilder::try_from(configuration)?
        .with_layer(&layer_fn(move |inner| Counted { inner, metrics: metrics.clone() }))
        .build())
}

/// A service that counts its requests.
#[derive(Clone)]
struct Counted<S> {
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

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn answered(code: u16, gone: Option<(Kind, &ObjectKey)>) -> &'static str {
        let error = kube::Error::Api(Status::failure("told", "Reason").with_code(code).boxed());
        failed(Call { action: "read", object: "Secret a/b".to_owned(), gone }, &error).reason()
    }

    #[test]
    fn the_server_answers_in_words_that_a_person_can_act_on() {
        let key = ObjectKey::new("a", "b");
        assert_eq!(answered(404, Some((Kind::Image, &key))), "Gone");
        let cases = [
            (401, "NotAuthorized"),
            (403, "NotAuthorized"),
            (404, "Refused"),
            (409, "Conflict"),
            (422, "Refused"),
            (429, "ClusterUnavailable"),
            (500, "ClusterUnavailable"),
            (503, "ClusterUnavailable"),
        ];
        for (code, expected) in cases {
            assert_eq!(answered(code, None), expected, "{code}");
        }
    }

    #[test]
    fn what_a_terminating_namespace_refuses_is_no_missing_right() {
        let cause = serde_json::json!({"reason": "NamespaceTerminating", "message": "namespace a is being terminated"});
        let status: Status = serde_json::from_value(serde_json::json!({
            "status": "Failure", "message": "forbidden", "reason": "Forbidden", "code": 403,
            "details": {"name": "x", "causes": [cause]},
        }))
        .unwrap();
        let about = Call { action: "tell an event of", object: "Image a/b".to_owned(), gone: None };
        let error = failed(about, &kube::Error::Api(status.boxed()));
        assert_eq!(error.to_string(), "cannot tell an event of Image a/b: its namespace is being deleted");
        assert_eq!(error.reason(), "NamespaceEnds");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_answer_holds_nothing_up() {
        let about = Call { action: "read", object: "Secret a/b".to_owned(), gone: None };
        let error = call::<()>(about, std::future::pending()).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot read Secret a/b: no answer within 30 s");
    }
}
