//! Damaged blobs on the volume.

use crate::cache::{Scrub, Spoiled};

/// Waits until damaged blobs are found, and returns them. They are already in quarantine, and the next pass
/// of their images downloads them again.
pub(super) async fn damage(scrub: &Scrub) -> Vec<Spoiled> {
    let mut changed = scrub.changed();
    loop {
        let spoiled = scrub.take_spoiled();
        if !spoiled.is_empty() {
            return spoiled;
        }
        if changed.changed().await.is_err() {
            std::future::pending::<()>().await; // it has ended, as the program does
        }
    }
}
