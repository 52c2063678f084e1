//! Which images and targets wait for work that has started or ended.

use std::collections::HashMap;
use std::hash::Hash;

use super::dependents::Dependent;
use crate::api::{Kind, ObjectKey};
use crate::cache::{ConversionKey, JobKey, JobState, Part};
use crate::reconcile::Context;
use crate::store::ResourceStore;

/// The stages of all downloads and conversions that objects wait for, at the last check.
#[derive(Default)]
pub(super) struct WorkStages {
    downloads: Stages<JobKey, Option<bool>>,
    conversions: Stages<ConversionKey, ConversionStage>,
}

/// How often a conversion was started, and its running part; `None` if it neither waits nor runs.
type ConversionStage = (u64, Option<Option<Part>>);

impl WorkStages {
    /// The images and targets whose downloads or conversions started or ended since the last check. Others need no pass:
    /// with many images, each change of one download would otherwise cause a pass over all images that wait for a download.
    pub(super) fn moved<S: ResourceStore>(&mut self, context: &Context<S>) -> Vec<Dependent> {
        let now = download_stages(context);
        // Ended downloads wake their image until it no longer wants the download.
        let ended: Vec<ObjectKey> =
            now.iter().filter(|(_, runs)| runs.is_none()).map(|((key, _), _)| key.clone()).collect();
        // The pass that starts a download sees it queued.
        let images = self.downloads.moved(now, Some(&Some(false)));
        let images = images.into_iter().chain(ended).map(|key| (Kind::Image, key));
        let targets = self.conversions.moved(conversion_stages(context), None);
        let targets = targets.into_iter().map(|key| (Kind::Target, key));
        images.chain(targets).map(|(kind, key)| Dependent { kind, key, together: false }).collect()
    }
}

/// Each download that an image waits for: `Some(true)` while it runs, `Some(false)` while it is queued, `None` after it
/// has ended.
fn download_stages<S: ResourceStore>(context: &Context<S>) -> Vec<((ObjectKey, JobKey), Option<bool>)> {
    let stage = |job: &JobKey| match context.jobs.look(job) {
        Some(JobState::Queued) => Some(false),
        Some(JobState::Running { .. }) => Some(true),
        Some(JobState::Done(_) | JobState::Failed(_)) | None => None,
    };
    let wanted = context.downloads.wanted().into_iter();
    wanted.map(|(key, job)| (stage(&job), (key, job))).map(|(stage, work)| (work, stage)).collect()
}

/// Each conversion that a target wants.
fn conversion_stages<S: ResourceStore>(context: &Context<S>) -> Vec<((ObjectKey, ConversionKey), ConversionStage)> {
    let conversions = context.jobs.conversions();
    let each = context.publications.conversions().into_iter();
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
    /// The objects whose work has changed its stage since the last check. `first` is the stage that new work had before.
    fn moved(&mut self, now: Vec<((ObjectKey, W), S)>, first: Option<&S>) -> Vec<ObjectKey> {
        let now: HashMap<(ObjectKey, W), S> = now.into_iter().collect();
        let moved = now.iter().filter(|(work, stage)| self.0.get(*work).or(first) != Some(stage));
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
            let moved = stages.moved(now, Some(&Some(false)));
            let mut moved: Vec<String> = moved.into_iter().map(|key| key.name).collect();
            moved.sort();
            moved
        };
        assert_eq!(moved(&[("a", 1, Some(false)), ("b", 1, Some(false)), ("c", 2, None)]), ["c"]);
        assert_eq!(moved(&[("a", 1, Some(false)), ("b", 1, Some(false)), ("c", 2, None)]), [""; 0]);
        assert_eq!(moved(&[("a", 1, Some(true)), ("b", 1, Some(true)), ("c", 2, None)]), ["a", "b"]);
        assert_eq!(moved(&[("a", 1, None), ("b", 1, None), ("c", 3, Some(false))]), ["a", "b"]);
        assert_eq!(moved(&[("a", 1, None)]), [""; 0]);
        // Started again, and running before anybody looked.
        assert_eq!(moved(&[("a", 1, Some(false)), ("d", 1, Some(true))]), ["a", "d"]);
    }
}
