//! The work that runs for images, with its figures: downloads, conversions and imports by clouds.

use jiff::Timestamp;
use uuid::Uuid;

use super::announced::{object, of_list_entry};
use super::context::Context;
use super::exchange::{Desired, DesiredState, Offer, PublicationStatus};
use crate::api::{CachedImage, Kind, ObjectKey};
use crate::cache::{ConversionKey, ConversionState, Figures, JobKey, JobState, Part, VerifiedBlob};
use crate::events::{Event, EventType, ImageMetadata, Phase, Progress};
use crate::imagelist::{ContentDigest, Sha512Digest};
use crate::store::ResourceStore;

/// The reason of a target that copies an image.
const IMPORTING: &str = "Importing";

/// Work for one image, and at most one target. It stays the same while its figures change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Work {
    /// The `CachedImage`.
    pub image: ObjectKey,
    /// The name of the `CloudTarget`; `None` for a download.
    pub target: Option<String>,
    /// What is done.
    pub task: Task,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// A download.
    Download(JobKey),
    /// A conversion for a target.
    Convert(ConversionKey),
    /// A cloud copies the image with this digest. It does not report how far it is.
    Import(Sha512Digest),
}

/// How far work is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The bytes, and the rate; `None` if they are not known.
    pub figures: Option<Figures>,
    /// One word: the part of a conversion, or the reason of an end.
    pub reason: Option<&'static str>,
    /// One sentence for people.
    pub message: Option<String>,
}

impl Work {
    /// The event type of its progress.
    pub fn event(&self) -> EventType {
        match self.task {
            Task::Download(_) => EventType::Download,
            Task::Convert(_) => EventType::Convert,
            Task::Import(_) => EventType::Publish,
        }
    }

    fn content(&self) -> ContentDigest {
        match &self.task {
            Task::Download(job) => job.digest,
            Task::Convert(key) => key.source.into(),
            Task::Import(digest) => (*digest).into(),
        }
    }
}

impl State {
    /// An event of the phase [`Phase::Progress`].
    pub fn event(&self, work: &Work, image: Box<ImageMetadata>, session: Uuid, now: Timestamp) -> Event {
        let of_total =
            |figures: Figures| Progress { done: figures.bytes, total: (figures.total > 0).then_some(figures.total) };
        Event {
            id: Uuid::new_v4(),
            session,
            time: now,
            event: work.event(),
            phase: Phase::Progress,
            object: Some(object(Kind::Image, &work.image)),
            target: work.target.clone(),
            image: Some(image),
            reason: self.reason.map(str::to_owned),
            message: self.message.clone(),
            progress: self.figures.map(of_total),
        }
    }

    fn ended(reason: &'static str, message: Option<String>, figures: Option<Figures>) -> Self {
        Self { figures, reason: Some(reason), message }
    }
}

/// All work that runs now.
pub fn running<S: ResourceStore>(context: &Context<S>) -> Vec<(Work, State)> {
    let mut found = downloads(context);
    for (target, keys) in context.publications.conversions() {
        let wanted = context.publications.wanted_of(&target);
        for key in keys {
            let Ok(Some(ConversionState::Running { part, figures })) = context.jobs.conversions().look(&key) else {
                continue;
            };
            let state = State { figures: Some(figures), reason: Some(name(part)), message: None };
            let of = wanted.iter().filter(|(_, desired)| has_source(desired, &target, &key.source));
            found.extend(of.map(|(image, _)| {
                let work = Work { image: image.clone(), target: Some(target.name.clone()), task: Task::Convert(key) };
                (work, state.clone())
            }));
        }
    }
    found.extend(imports(context));
    found
}

fn downloads<S: ResourceStore>(context: &Context<S>) -> Vec<(Work, State)> {
    let each = context.downloads.wanted().into_iter().filter_map(|(image, job)| {
        let Some(JobState::Running { bytes, total, bytes_per_second }) = context.jobs.look(&job) else { return None };
        let figures = Some(Figures { bytes, total, bytes_per_second });
        let work = Work { image, target: None, task: Task::Download(job) };
        Some((work, State { figures, reason: None, message: None }))
    });
    each.collect()
}

fn imports<S: ResourceStore>(context: &Context<S>) -> Vec<(Work, State)> {
    let mut found = Vec::new();
    for target in context.publications.importing() {
        let is_importing = |status: &PublicationStatus| status.reason == IMPORTING;
        let statuses = context.publications.statuses(&target).into_iter();
        for (image, status) in statuses.filter(|(_, status)| is_importing(status)) {
            let Some(digest) = context.publications.desired(&image).and_then(|desired| {
                let offer = offer(&desired, &target)?;
                offer.blob.is_some().then_some(offer.sha512)
            }) else {
                continue;
            };
            let work = Work { image, target: Some(target.name.clone()), task: Task::Import(digest) };
            found.push((work, State::ended(IMPORTING, Some(status.message), None)));
        }
    }
    found
}

fn offer<'d>(desired: &'d Desired, target: &ObjectKey) -> Option<&'d Offer> {
    match desired.at.get(&target.name)? {
        DesiredState::Publish(offer) => Some(offer),
        DesiredState::Withdraw | DesiredState::Leave | DesiredState::Release => None,
    }
}

/// Whether the bytes that an image has for a target have this digest.
fn has_source(desired: &Desired, target: &ObjectKey, source: &Sha512Digest) -> bool {
    let blob = offer(desired, target).and_then(|offer| offer.blob.as_ref());
    blob.is_some_and(|blob| blob.digest() == source)
}

fn name(part: Part) -> &'static str {
    match part {
        Part::Unpack => "Unpack",
        Part::Convert => "Convert",
    }
}

/// How work that ran, and was `last` seen so, has ended; `None` if it goes on or waits.
pub fn end<S: ResourceStore>(context: &Context<S>, work: &Work, last: &State) -> Option<State> {
    match &work.task {
        Task::Download(job) => end_of_download(context, job, last),
        Task::Convert(key) => end_of_conversion(context, key, last),
        Task::Import(digest) => end_of_import(context, work, digest),
    }
}

fn end_of_download<S: ResourceStore>(context: &Context<S>, job: &JobKey, last: &State) -> Option<State> {
    let done = |size| State::ended("Downloaded", None, Some(whole(size)));
    match context.jobs.look(job) {
        Some(JobState::Queued | JobState::Running { .. }) => None,
        Some(JobState::Done(blob)) => Some(done(blob.size())),
        Some(JobState::Failed(error)) => Some(State::ended(error.reason(), Some(error.to_string()), last.figures)),
        // It was forgotten after its end.
        None => Some(match blob_of(context, job) {
            Some(blob) => done(blob.size()),
            None => State::ended("Cancelled", None, last.figures),
        }),
    }
}

fn blob_of<S: ResourceStore>(context: &Context<S>, job: &JobKey) -> Option<VerifiedBlob> {
    let digest = context.volume.sha512_of(&job.digest).ok()??;
    context.volume.blob(&digest).ok()?
}

fn end_of_conversion<S: ResourceStore>(context: &Context<S>, key: &ConversionKey, last: &State) -> Option<State> {
    match context.jobs.conversions().look(key) {
        Ok(Some(ConversionState::Queued | ConversionState::Running { .. })) => None,
        Ok(Some(ConversionState::Done { blob, .. })) => {
            let total = last.figures.map(|figures| figures.total).filter(|total| *total > 0);
            Some(State::ended("Converted", None, Some(whole(total.unwrap_or(blob.size())))))
        }
        Ok(Some(ConversionState::Failed { message, .. })) => {
            Some(State::ended("ConversionFailed", Some(message), last.figures))
        }
        Ok(None) => Some(State::ended("Cancelled", None, last.figures)),
        Err(error) => Some(State::ended(error.reason(), Some(error.to_string()), last.figures)),
    }
}

fn end_of_import<S: ResourceStore>(context: &Context<S>, work: &Work, digest: &Sha512Digest) -> Option<State> {
    let target = work.image.sibling(work.target.as_deref()?);
    let status = context.publications.status(&target, &work.image);
    let is_wanted = context.publications.desired(&work.image).is_some_and(|desired| {
        offer(&desired, &target).is_some_and(|offer| offer.blob.is_some() && offer.sha512 == *digest)
    });
    match status {
        Some(status) if is_wanted && status.reason == IMPORTING => None,
        Some(status) if is_wanted => Some(State::ended(status.reason, Some(status.message), None)),
        Some(_) | None => Some(State::ended("Cancelled", None, None)),
    }
}

fn whole(size: u64) -> Figures {
    Figures { bytes: size, total: size, bytes_per_second: 0 }
}

/// The metadata of the image that work is for: as the lists in force have it, else only what identifies it.
pub fn metadata<S: ResourceStore>(context: &Context<S>, work: &Work) -> ImageMetadata {
    let object = context.store.get::<CachedImage>(&work.image);
    let identifier = object.as_ref().map(|object| object.spec.identifier.clone()).unwrap_or_default();
    let subscription = object.as_ref().map(|object| work.image.sibling(&object.spec.subscription_ref.name));
    let in_force = subscription.and_then(|subscription| context.lists.get(&subscription));
    let lists = in_force.iter().flat_map(|list| {
        let withdrawn = list.withdrawn.iter().map(|withdrawn| &withdrawn.accepted);
        std::iter::once(&list.accepted).chain(&list.older).chain(withdrawn)
    });
    let digest = work.content();
    let sha512 = digest.sha512().map(|sha512| sha512.to_string()).unwrap_or_default();
    let listed = lists.map(|accepted| accepted.list()).find_map(|list| {
        let mut images = list.images.iter();
        let image = images.find(|image| image.identifier.as_str() == identifier && image.has(&digest))?;
        Some(of_list_entry(image, &list.identifier, list.vo.as_deref()))
    });
    let version = || {
        let wanted = object.as_ref().and_then(|object| object.status.as_ref()?.image.as_ref());
        let wanted = wanted.filter(|wanted| wanted.sha512.as_ref() == Some(&sha512));
        wanted.map(|wanted| wanted.version.clone()).unwrap_or_default()
    };
    listed.unwrap_or_else(|| ImageMetadata {
        identifier: identifier.clone(),
        version: version(),
        sha512: sha512.clone(),
        ..ImageMetadata::default()
    })
}
