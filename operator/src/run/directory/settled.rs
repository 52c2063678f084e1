//! Leaves out the passes over images that are settled.

use jiff::Timestamp;
use tokio::task::{JoinHandle, spawn_blocking};

use super::results::Results;
use super::{Driver, Due};
use crate::api::{CachedImage, Kind, ObjectKey};
use crate::parallel;
use crate::reconcile::image::{self, Seen};
use crate::store::ResourceStore as _;

/// The look at the files of images, on threads of its own. The images that may be settled, ordered by key.
pub(super) type Sight = JoinHandle<Vec<Box<Seen>>>;

impl Driver {
    /// Takes over from the run before which images are settled. The marks are of the stored objects, so this comes before
    /// the manifests are read, which may change them.
    pub(super) fn restore_settled(&self) {
        let store = &*self.context.store;
        let marks: Vec<_> = store.marks().iter().collect();
        parallel::map(&marks, |(key, mark)| {
            if let Some(image) = store.get::<CachedImage>(key) {
                self.context.settled.restore((*key).clone(), &image, mark);
            }
        });
    }

    /// Copies the stored images and their marks for the next run, if they have changed.
    pub(super) fn copy_images(&self) {
        let (store, settled) = (&*self.context.store, &self.context.settled);
        if !settled.have_changed() && !store.copies_are_old() {
            return;
        }
        let marks = settled.marks(|key| store.get::<CachedImage>(key));
        if let Err(error) = store.copy_images(&marks, Timestamp::now()) {
            tracing::warn!(%error, "the next run reads each stored image again");
        }
    }

    /// Begins to look at the files of the images that are due, which needs nothing of their lists: while these are fetched
    /// and verified, a processor is free.
    pub(super) fn see_images(&self, due: &Due) -> Sight {
        let context = self.context.clone();
        let images = due.iter().filter(|(kind, _)| *kind == Kind::Image).map(|(_, key)| key.clone());
        let images: Vec<ObjectKey> = images.collect();
        spawn_blocking(move || {
            // Without it nothing is seen, and each image has its pass, which reports the failure.
            let Ok(root) = context.volume.open_root() else { return Vec::new() };
            let seen = parallel::map_beside(&images, |key| image::see(&context, &root, key));
            seen.into_iter().flatten().collect()
        })
    }

    /// The images that need a pass. Those that were not seen need one, which looks at their files itself.
    pub(super) async fn not_settled(
        &self,
        images: Vec<ObjectKey>,
        sight: &mut Sight,
        results: &mut Results,
    ) -> Vec<ObjectKey> {
        let (seen, now) = (sight.await.unwrap_or_default(), self.now());
        let until = parallel::map(&seen, |seen| seen.settled_until(&self.context, now));
        let settled = seen.iter().zip(until).filter_map(|(seen, until)| Some((seen.key(), until?)));
        let mut settled = settled.peekable();
        let (mut left_out, mut needed) = (Vec::new(), Vec::new());
        // Both are ordered by key, and all that were seen are due.
        for key in images {
            match settled.next_if(|(settled, _)| **settled == key) {
                Some((_, until)) => left_out.push((key, until)),
                None => needed.push(key),
            }
        }
        results.leave_out(left_out);
        needed
    }
}
