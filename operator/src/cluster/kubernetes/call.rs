//! One call of the API server: bounded in time, its failure told in the words of [`ClusterError`].

use std::future::Future;

use super::LONGEST_CALL;
use crate::reconcile::{ClusterError, Kind, ObjectKey};

/// What a call is about, for messages.
pub(super) struct Call<'a> {
    /// Such as `read`.
    pub action: &'static str,
    /// Such as `Secret default/token`.
    pub object: String,
    /// What `404 Not Found` says is gone.
    pub gone: Option<(Kind, &'a ObjectKey)>,
}

/// Makes a call.
pub(super) async fn call<T>(
    about: Call<'_>,
    answer: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ClusterError> {
    match tokio::time::timeout(LONGEST_CALL, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(failed(about, &error)),
        Err(_) => {
            let message = format!("no answer within {} s", LONGEST_CALL.as_secs());
            Err(ClusterError::Unavailable { action: about.action, object: about.object, message })
        }
    }
}

fn failed(about: Call<'_>, error: &kube::Error) -> ClusterError {
    let Call { action, object, gone } = about;
    let kube::Error::Api(status) = error else {
        return ClusterError::Unavailable { action, object, message: chain(error) };
    };
    let message = status.message.clone();
    match (status.code, gone) {
        (404, Some((kind, key))) => ClusterError::Gone { kind, key: key.clone() },
        (401 | 403, _) => ClusterError::Denied { action, object, message },
        (409, _) => ClusterError::Conflict { action, object, message },
        (400 | 404 | 405 | 415 | 422, _) => ClusterError::Refused { action, object, message },
        _ => ClusterError::Unavailable { action, object, message },
    }
}

/// An error with what it stands on.
fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !told.contains(&more) {
            told.push_str(": ");
            told.push_str(&more);
        }
        cause = error.source();
    }
    told
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

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_answer_holds_nothing_up() {
        let about = Call { action: "read", object: "Secret a/b".to_owned(), gone: None };
        let error = call::<()>(about, std::future::pending()).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot read Secret a/b: no answer within 30 s");
    }
}
