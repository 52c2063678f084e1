//! Wakes images when their downloads start or end, and targets when their conversions start or end.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use super::shared::Shared;
use crate::api::{Kind, ObjectKey};
use crate::cache::{ConversionKey, JobKey, JobState, Part};
use crate::run::dependents::Dependent;

/// Wakes the images and targets whose downloads or conversions started or ended. Others are not woken: with many
/// images, each change of one download would otherwise cause a pass over all images that wait for a download.
pub(super) async fn follow_work(shared: Arc<Shared>) {
    let mut jobs = shared.context.jobs.changed();
    let (mut downloads, mut conversions) = (Stages::default(), Stages::default());
    while jobs.changed().await.is_ok() {
        let now = download_stages(&shared);
        // Ended downloads wake their image until it no longer wants the download.
        let ended: Vec<ObjectKey> =
            now.iter().filter(|(_, runs)| runs.is_none()).map(|((key, _), _)| key.clone()).collect();
        for key in downloads.moved(now).into_iter().chain(ended) {
            shared.wake_all(&[Dependent { kind: Kind::Image, key, together: false }]);
        }
        for key in conversions.moved(conversion_stages(&shared)) {
            shared.wake_all(&[Dependent { kind: Kind::Target, key, together: false }]);
        }
    }
}

/// Each download that an image waits for: `Some(true)` while it runs, `Some(false)` while it is queued, `None` after it
/// has ended.
fn download_stages(shared: &Shared) -> Vec<((ObjectKey, JobKey), Option<bool>)> {
    let wanted = shared.context.downloads.objects().into_iter();
    let wanted = wanted.filter_map(|key| Some((shared.context.downloads.get(&key)?, key)));
    let stage = |job: &JobKey| match shared.context.jobs.look(job) {
        Some(JobState::Queued) => Some(false),
        Some(JobState::Running { .. }) => Some(true),
        Some(JobState::Done(_) | JobState::Failed(_)) | None => None,
    };
    wanted.map(|(job, key)| (stage(&job), (key, job))).map(|(stage, work)| (work, stage)).collect()
}

/// A conversion that a target wants, and its stage.
type ConversionStage = ((ObjectKey, ConversionKey), (u64, Option<Option<Part>>));

/// Each conversion that a target wants: how often it was started, and its running part; `None` if it neither waits nor
/// runs.
fn conversion_stages(shared: &Shared) -> Vec<ConversionStage> {
    let conversions = shared.context.jobs.conversions();
    let each = shared.context.publications.conversions().into_iter();
    let each = each.flat_map(|(target, keys)| keys.into_iter().map(move |key| (target.clone(), key)));
    each.map(|(target, key)| ((target, key), conversions.stage(&key))).collect()
}

/// The stages of work at the last check.
struct Stages<W, S>(HashMap<(ObjectKey, W), S>);

impl<W, S> Default for Stages<W, S> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<W: Eq + Hash, S: PartialEq> Stages<W, S> {
    /// The objects whose work has changed its stage since the last check.
    fn moved(&mut self, now: Vec<((ObjectKey, W), S)>) -> Vec<ObjectKey> {
        let now: HashMap<(ObjectKey, W), S> = now.into_iter().collect();
        let moved = now.iter().filter(|(work, stage)| self.0.get(*work) != Some(stage));
        let moved = moved.map(|((key, _), _)| key.clone()).collect();
        self.0 = now;
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_and_an_end_are_told_once_to_whoever_waits() {
        let key = |name: &str| ObjectKey::new("n", name);
        let mut stages = Stages::<u8, Option<bool>>::default();
        let mut moved = |now: &[(&str, u8, Option<bool>)]| {
            let now = now.iter().map(|(name, work, stage)| ((key(name), *work), *stage)).collect();
            let mut moved: Vec<String> = stages.moved(now).into_iter().map(|key| key.name).collect();
            moved.sort();
            moved
        };
        assert_eq!(moved(&[("a", 1, Some(false)), ("b", 1, Some(false)), ("c", 2, None)]), ["a", "b", "c"]);
        assert_eq!(moved(&[("a", 1, Some(false)), ("b", 1, Some(false)), ("c", 2, None)]), [""; 0]);
        assert_eq!(moved(&[("a", 1, Some(true)), ("b", 1, Some(true)), ("c", 2, None)]), ["a", "b"]);
        assert_eq!(moved(&[("a", 1, None), ("b", 1, None), ("c", 3, Some(false))]), ["a", "b", "c"]);
        assert_eq!(moved(&[("a", 1, None)]), [""; 0]);
    }
}
