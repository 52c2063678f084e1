//! Operations on files beside the threads that run tasks.

use tokio::task::spawn_blocking;

use super::{CacheError, Volume};

impl Volume {
    /// Runs work that waits for the disk on a thread of its own. It runs to its end even if the future is dropped. A panic
    /// is an error of this operation on the volume.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Self) -> Result<T, CacheError> + Send + 'static,
    ) -> Result<T, CacheError> {
        let volume = self.clone();
        let ended = spawn_blocking(move || work(&volume)).await;
        ended.map_err(|error| CacheError::io(operation, self.root())(std::io::Error::other(error)))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_with_the_operation_and_the_volume() {
        let folder = tempfile::tempdir().unwrap();
        let volume = Volume::open(folder.path()).unwrap();
        assert_eq!(
            volume.blocking("count", |volume| Ok(volume.root().as_os_str().len())).await.unwrap(),
            volume.root().as_os_str().len()
        );
        let error = volume.blocking("scrub", |_| -> Result<(), CacheError> { panic!("no block 7") }).await.unwrap_err();
        let text = format!("{:#}", anyhow::Error::from(error));
        assert!(text.contains("cannot scrub") && text.contains("no block 7"), "{text}");
    }
}
