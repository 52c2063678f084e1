//! Wakes whoever waits for a download or a conversion when it begins and when it ends.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use super::shared::Shared;
use crate::api::ObjectKey;
use crate::cache::{ConversionKey, JobKey, JobState, Part};

/// Wakes the images whose downloads, and the targets whose conversions, began or ended. Those that wait or run as
/// before are left alone: with many images, each change of one download would be a pass over all that wait for theirs.
pub(super) async fn follow_work(shared: Arc<Shared>) {
    let mut jobs = shared.context.jobs.changed();
    let (mut downloads, mut conversions) = (Stages::default(), Stages::default());
    while jobs.changed().await.is_ok() {
        let now = download_stages(&shared);
        // What has ended is told until its image has let go of it.
        let ended: Vec<ObjectKey> =
            now.iter().filter(|(_, runs)| runs.is_none()).map(|((key, _), _)| key.clone()).collect();
        for key in downloads.moved(now).into_iter().chain(ended) {
            shared.wakes(&key.namespace).iter().for_each(|wakes| wakes.image(&key));
        }
        for key in conversions.moved(conversion_stages(&shared)) {
            shared.wakes(&key.namespace).iter().for_each(|wakes| wakes.target(&key));
        }
    }
}

/// Each download that an image waits for, and whether it runs; `None` where it has ended.
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

/// A conversion that a target wants, and where it is.
type ConversionStage = ((ObjectKey, ConversionKey), (u64, Option<Option<Part>>));

/// Each conversion that a target wants, how often it was started, and its part where it runs; `None` where it has ended.
fn conversion_stages(shared: &Shared) -> Vec<ConversionStage> {
    let conversions = shared.context.jobs.conversions();
    let each = shared.context.publications.conversions().into_iter();
    let each = each.flat_map(|(target, keys)| keys.into_iter().map(move |key| (target.clone(), key)));
    each.map(|(target, key)| ((target, key), conversions.stage(&key))).collect()
}

/// How far work was when it was last looked at.
struct Stages<W, S>(HashMap<(ObjectKey, W), S>);

impl<W, S> Default for Stages<W, S> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<W: Eq + Hash, S: PartialEq> Stages<W, S> {
    /// Who waits for work that is not as it was.
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
