//! The broker as messages name it, and what its errors are for the caller.

use std::future::Future;
use std::time::Duration;

use lapin::ErrorKind;
use lapin::protocol::AMQPError;
use openssl::ssl;

use crate::events::sink::SinkError;
use crate::text::one_line;

/// The most characters of a broker's words in a message.
const MOST_WORDS: usize = 300;
/// OpenSSL's reason codes from here on are alerts that the other side sent (`SSL_AD_REASON_OFFSET`).
const ALERTS: i32 = 1000;

/// The broker: its address without credentials, and the longest wait for each step.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) address: String,
    pub(super) timeout: Duration,
}

impl Peer {
    /// Waits for a step, at most the timeout.
    pub(super) async fn step<T>(&self, step: impl Future<Output = lapin::Result<T>>) -> Result<T, SinkError> {
        match tokio::time::timeout(self.timeout, step).await {
            Ok(done) => done.map_err(|error| self.error(&error)),
            Err(_) => Err(self.timed_out()),
        }
    }

    /// What an error of the connection or of the channel means.
    pub(super) fn error(&self, error: &lapin::Error) -> SinkError {
        match error.kind() {
            ErrorKind::ProtocolError(error) => self.refusal(error),
            ErrorKind::IOError(error) if is_alert(error) => self.denied(words(&error.to_string())),
            _ => self.unreachable(words(&error.to_string())),
        }
    }

    /// What a reply code is for the caller (AMQP 0-9-1 reference, constants).
    fn refusal(&self, error: &AMQPError) -> SinkError {
        let found = words(error.get_message().as_str());
        match error.get_id() {
            // INVALID_PATH, ACCESS_REFUSED, NOT_FOUND, RESOURCE_LOCKED, PRECONDITION_FAILED, NOT_ALLOWED: who delivers has
            // no right to, or the exchange is missing or another one.
            402..=406 | 530 => self.denied(found),
            // CONTENT_TOO_LARGE, RESOURCE_ERROR, INTERNAL_ERROR.
            311 | 506 | 541 => self.busy(found),
            _ => self.unreachable(found),
        }
    }

    pub(super) fn unreachable(&self, found: String) -> SinkError {
        SinkError::Unreachable { address: self.address.clone(), found }
    }

    pub(super) fn denied(&self, found: String) -> SinkError {
        SinkError::Denied { address: self.address.clone(), found }
    }

    pub(super) fn busy(&self, found: String) -> SinkError {
        SinkError::Busy { address: self.address.clone(), found, retry_after: None }
    }

    pub(super) fn timed_out(&self) -> SinkError {
        SinkError::TimedOut { address: self.address.clone(), after: self.timeout }
    }
}

/// Words from the broker or from a library: one line, printable, not long.
pub(super) fn words(text: &str) -> String {
    one_line(text.as_bytes(), MOST_WORDS)
}

/// The same error without a secret: a broker could send back what it was sent.
pub(super) fn without(error: SinkError, secret: &str) -> SinkError {
    let clean = |found: String| if secret.is_empty() { found } else { found.replace(secret, "…") };
    match error {
        SinkError::Unreachable { address, found } => SinkError::Unreachable { address, found: clean(found) },
        SinkError::Denied { address, found } => SinkError::Denied { address, found: clean(found) },
        SinkError::Busy { address, found, retry_after } => {
            SinkError::Busy { address, found: clean(found), retry_after }
        }
        error @ (SinkError::TimedOut { .. } | SinkError::File { .. }) => error,
    }
}

/// Whether the broker ended TLS with an alert: it refuses the client's certificate, or that there is none.
fn is_alert(error: &std::io::Error) -> bool {
    let stack = error.get_ref().and_then(|inner| inner.downcast_ref::<ssl::Error>()).and_then(ssl::Error::ssl_error);
    stack.is_some_and(|stack| stack.errors().iter().any(|error| error.reason_code() > ALERTS))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn peer() -> Peer {
        Peer { address: "amqp://broker".to_owned(), timeout: Duration::from_secs(1) }
    }

    fn refused(code: u16, text: &str) -> SinkError {
        let error = AMQPError::from_id(code, lapin::types::ShortString::try_new(text).unwrap()).unwrap();
        peer().error(&ErrorKind::ProtocolError(error).into())
    }

    #[test]
    fn a_reply_code_says_whether_waiting_helps() {
        for (code, reason) in [
            (403, "Denied"),
            (404, "Denied"),
            (406, "Denied"),
            (530, "Denied"),
            (506, "Busy"),
            (541, "Busy"),
            (320, "Unreachable"),
            (501, "Unreachable"),
        ] {
            assert_eq!(refused(code, "words").reason(), reason, "{code}");
        }
    }

    #[test]
    fn words_of_a_broker_are_one_line_and_have_no_secret() {
        let error = without(refused(403, "bad\u{1b}[31m\nlogin of me with s3cret"), "s3cret");
        assert_eq!(error.to_string(), "amqp://broker refuses the delivery: bad [31m login of me with …");
        let long = std::io::Error::other("x".repeat(5000));
        let error = peer().error(&ErrorKind::IOError(Arc::new(long)).into());
        assert!(error.to_string().len() < 400);
    }
}
