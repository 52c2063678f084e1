//! The page `/progress`: the work that runs now, as JSON.

use serde::{Deserialize, Serialize};

use crate::api::{CachedImage, ObjectKey};
use crate::cache::JobState;
use crate::events::EventType;
use crate::reconcile::Context;
use crate::reconcile::progress::{State, Work, running};
use crate::store::ResourceStore;

/// The most rows of a page.
const MOST: usize = 1000;

/// The work that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgressPage {
    /// Downloads that wait for their turn.
    pub queued: usize,
    /// Rows that are left out, because a page has at most 1000.
    pub left_out: usize,
    /// The work, sorted by image and target.
    pub running: Vec<RunningWork>,
}

/// Work for one image, and at most one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningWork {
    /// `Download`, `Convert` or `Publish`.
    pub event: EventType,
    /// The namespace of the `CachedImage`.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The name of the `CloudTarget`; `None` for a download.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The title of the image that is wanted now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The part of a conversion, or `Importing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// One sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The bytes that are done; `None` if the cloud does not report them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<u64>,
    /// The bytes in all, if they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The rate over the last seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
}

/// The page of now.
pub(super) fn page<S: ResourceStore>(context: &Context<S>) -> ProgressPage {
    let mut all = running(context);
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    let left_out = all.len().saturating_sub(MOST);
    all.truncate(MOST);
    let queued = context.downloads.all();
    let queued = queued.iter().filter(|job| matches!(context.jobs.look(job), Some(JobState::Queued))).count();
    ProgressPage { queued, left_out, running: all.into_iter().map(|(work, state)| row(context, work, state)).collect() }
}

fn row<S: ResourceStore>(context: &Context<S>, work: Work, state: State) -> RunningWork {
    let object = context.store.get::<CachedImage>(&work.image);
    let wanted = object.as_ref().and_then(|object| object.status.as_ref()?.image.as_ref());
    let figures = state.figures;
    let event = work.event();
    let ObjectKey { namespace, name } = work.image;
    RunningWork {
        event,
        namespace,
        name,
        target: work.target,
        title: wanted.map(|wanted| wanted.title.clone()),
        version: wanted.map(|wanted| wanted.version.clone()),
        reason: state.reason.map(str::to_owned),
        message: state.message,
        done: figures.map(|figures| figures.bytes),
        total: figures.map(|figures| figures.total).filter(|total| *total > 0),
        bytes_per_second: figures.map(|figures| figures.bytes_per_second),
    }
}
