//! Watches the folders that people change.

use std::path::Path;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// An editor or `git pull` writes several files, so the folder is read only after it has not changed for this time.
pub(super) const QUIET: Duration = Duration::from_millis(300);

/// Watches the folders. If that is not possible, they are read only when a pass begins for another reason.
pub(super) fn watch(folders: [&Path; 3]) -> (Option<notify::RecommendedWatcher>, mpsc::Receiver<()>) {
    let (sender, receiver) = mpsc::channel(1);
    let told = move |event: notify::Result<notify::Event>| {
        // Reading a file is not a change. If the channel is full, a message is already waiting.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = sender.try_send(());
        }
    };
    let mut watcher = match notify::recommended_watcher(told) {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "changes of manifests are seen only when something else happens");
            return (None, receiver);
        }
    };
    for folder in folders {
        if let Err(error) = watcher.watch(folder, RecursiveMode::Recursive) {
            tracing::warn!(path = %folder.display(), %error, "changes in it are seen only when something else happens");
        }
    }
    (Some(watcher), receiver)
}

/// Waits until there has been no change for [`QUIET`].
pub(super) async fn quiet(changes: &mut mpsc::Receiver<()>) {
    while let Ok(Some(())) = tokio::time::timeout(QUIET, changes.recv()).await {}
}
