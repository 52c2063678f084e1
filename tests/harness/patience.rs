//! Waiting for what tells nobody when it comes: a line in another program's log, an answer of a server.

use std::time::Duration;

/// How long a test waits for what has to come.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// How long it pauses before it looks again.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks again and again until something is found; `None` where nothing is within [`PATIENCE`].
pub async fn found<T>(mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let looked = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, looked).await.ok()
}

/// Waits until this holds. What was `expected` is told where it does not.
pub async fn until(expected: &str, mut holds: impl AsyncFnMut() -> bool) {
    assert!(found(async || holds().await.then_some(())).await.is_some(), "expected: {expected}");
}
