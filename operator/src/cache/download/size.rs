//! The number of bytes of an image whose source does not state it.

use super::Download;
use super::failure::may_pass_soon;
use crate::cache::error::DownloadError;
use crate::metrics::Work;

impl Download {
    /// Asks the server for the number of bytes, which the source does not state. It is no more than a hint: the digest
    /// decides.
    pub(super) async fn learn_size(&self) -> Result<u64, DownloadError> {
        let source = &self.request.source;
        let mut tries = 0;
        loop {
            let slot = self.or_cancelled(self.slots.take(source.url.url(), std::future::pending())).await?;
            let error = match self.or_cancelled(self.client.image_size(source)).await? {
                Ok(size) => return size.ok_or_else(|| DownloadError::SizeUnknown(source.url.clone())),
                Err(error) if may_pass_soon(&error) => error,
                Err(error) => return Err(error.into()),
            };
            drop(slot);
            tries += 1;
            let reason = error.reason();
            let wait = self.wait_before(tries, &error).ok_or(error)?;
            self.client.settings().metrics.retried(Work::Image, reason);
            self.or_cancelled(tokio::time::sleep(wait)).await?;
        }
    }
}
