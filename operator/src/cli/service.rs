//! What systemd is sent of a service of `Type=notify`: that it is ready, and that it stops. sd_notify(3).
//!
//! Without `$NOTIFY_SOCKET` nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// The longest time until the service counts as ready. A list server that does not answer, or another process that uses
/// the volume, does not hold up the start of the machine or the upgrade of a package.
const LONGEST_START: Duration = Duration::from_mins(1);

/// The service that this process is. Nothing is sent after it is dropped.
pub(super) struct Service {
    /// Is cancelled when the work has begun.
    pub(super) began: CancellationToken,
    ready: AbortOnDropHandle<()>,
}

impl Service {
    /// The service starts. It is ready when the work has begun, or after [`LONGEST_START`].
    pub(super) fn start() -> Self {
        let began = CancellationToken::new();
        let work = began.clone();
        let ready = tokio::spawn(async move {
            let status = match tokio::time::timeout(LONGEST_START, work.cancelled()).await {
                Ok(()) => "all lists were asked for",
                Err(_) => "ready, and still waits for the volume, a list server or a cloud",
            };
            send(&[NotifyState::Ready, NotifyState::Status(status)]);
        });
        Self { began, ready: AbortOnDropHandle::new(ready) }
    }

    /// The service stops: running work is brought to an end.
    pub(super) fn stopping(self) {
        self.ready.abort();
        send(&[NotifyState::Stopping]);
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd is not notified");
    }
}
