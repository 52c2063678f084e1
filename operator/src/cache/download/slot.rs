//! The slot of a download.

use super::{Attempts, Download};
use crate::cache::bandwidth::Slot;
use crate::cache::error::DownloadError;

impl Download {
    /// Waits for a slot. The first try of a small image shares a connection, as soon as its server is known to have
    /// HTTP/2.
    pub(super) async fn slot(&self, attempts: &Attempts) -> Result<Option<Slot>, DownloadError> {
        let (url, shares) = (self.request.source.url.url(), attempts.shares);
        let has_http2 = async {
            if shares {
                self.client.until_http2(url).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        self.or_cancelled(self.slots.take(url, has_http2)).await
    }

    /// The slot for the next try, after one that made progress. A connection that was shared is not shared again.
    pub(super) async fn kept(&self, slot: Option<Slot>, attempts: &Attempts) -> Result<Option<Slot>, DownloadError> {
        match slot {
            Some(slot) if slot.is_shared() => {
                drop(slot);
                self.slot(attempts).await
            }
            alone => Ok(alone),
        }
    }
}
