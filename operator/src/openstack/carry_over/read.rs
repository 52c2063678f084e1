//! Reads what a plan is made from.
//!
//! One listing has the project's images with the operator's tag that are not hidden. Hidden ones, which are uploads and
//! retired images, are listed in the first pass of a session and then hourly, or if the records have many that were not
//! listed. All others that the records have are read one by one.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use uuid::Uuid;

use super::glance::Glance;
use super::image::plan;
use super::properties::TAG;
use super::snapshot::{Progress, Snapshot};
use super::{Request, metadata};
use crate::openstack::error::OpenStackError;
use crate::openstack::glance::ImageFilter;
use crate::openstack::image::{Image, Unreadable};
use crate::openstack::settings::Settings;

/// The most images that are read one by one instead of in a listing of the hidden ones.
const ONE_BY_ONE: usize = 16;

/// The most calls at the same time.
const IN_FLIGHT: usize = 8;

/// What is known before a pass.
pub(super) struct Known<'a> {
    /// Images that were retired and need not be read because a user named them for adoption.
    pub(super) adopted: &'a BTreeSet<Uuid>,
    /// Whether hidden images are listed in any case.
    pub(super) list_hidden: bool,
}

/// Reads what a plan is made from. The number of calls does not depend on the number of images that are as they should be.
/// `fresh` has an id for each request.
pub(super) async fn read(
    glance: &impl Glance,
    (requests, settings): (&[Request], &Settings),
    known: &Known<'_>,
    fresh: Vec<Uuid>,
    now: Timestamp,
) -> Result<Snapshot, OpenStackError> {
    let account = glance.account().await?;
    // Before the images: an upload that ends meanwhile is then seen in its image.
    let uploads = glance.uploads();
    let mut snapshot = Snapshot { account, uploads, fresh, ..Snapshot::default() };
    read_images(glance, &mut snapshot, requests, known).await?;
    let plan = plan(&snapshot, requests, settings, now);
    let needs = || plan.images.iter().map(|image| &image.needs);
    let members = needs().flat_map(|needs| needs.members.iter().copied()).collect();
    let tasks = needs().flat_map(|needs| needs.tasks.iter().copied()).collect();
    read_needs(glance, &mut snapshot, members, tasks).await?;
    let existing = listed(&snapshot);
    let gone = |(id, progress): &(&Uuid, &Progress)| matches!(progress, Progress::Failed(_)) && !existing.contains(id);
    snapshot.uploads.iter().filter(gone).for_each(|(id, _)| glance.forget_failure(*id));
    Ok(snapshot)
}

/// Lists the images, and reads those that are missing.
async fn read_images(
    glance: &impl Glance,
    snapshot: &mut Snapshot,
    requests: &[Request],
    known: &Known<'_>,
) -> Result<(), OpenStackError> {
    list(glance, snapshot, false).await?;
    let mut ids = missing(snapshot, requests, known.adopted);
    if known.list_hidden || ids.len() > ONE_BY_ONE {
        list(glance, snapshot, true).await?;
        snapshot.complete = true;
        ids = recorded(snapshot, requests, known.adopted);
    }
    let looks = stream::iter(ids).map(async |id| look(glance, id).await).buffered(IN_FLIGHT);
    for found in looks.try_collect::<Vec<Found>>().await? {
        match found {
            Found::Image(image) => snapshot.images.push(*image),
            Found::Unreadable(unreadable) => snapshot.unreadable.push(unreadable),
            Found::Nothing => {}
        }
    }
    Ok(())
}

/// Reads the members and tasks that a plan needs.
async fn read_needs(
    glance: &impl Glance,
    snapshot: &mut Snapshot,
    members: BTreeSet<Uuid>,
    tasks: BTreeSet<Uuid>,
) -> Result<(), OpenStackError> {
    let reads = stream::iter(members).map(async |id| Ok((id, still_there(glance.members(id).await)?)));
    for (id, list) in reads.buffered(IN_FLIGHT).try_collect::<Vec<_>>().await? {
        snapshot.members.extend(list.map(|list| (id, metadata::members(&list))));
    }
    let reads = stream::iter(tasks).map(async |id| Ok((id, still_there(glance.tasks(id).await)?)));
    for (id, list) in reads.buffered(IN_FLIGHT).try_collect::<Vec<_>>().await? {
        snapshot.tasks.extend(list.map(|list| (id, list)));
    }
    Ok(())
}

/// An answer about an image that may have been changed or deleted meanwhile.
fn still_there<T>(answer: Result<T, OpenStackError>) -> Result<Option<T>, OpenStackError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(OpenStackError::NotFound(_) | OpenStackError::Forbidden(_) | OpenStackError::Conflict(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn list(glance: &impl Glance, snapshot: &mut Snapshot, hidden: bool) -> Result<(), OpenStackError> {
    let filter = ImageFilter {
        owner: Some(snapshot.account.project.clone()),
        tags: [TAG.to_owned()].into(),
        os_hidden: Some(hidden),
        ..ImageFilter::default()
    };
    let listing = glance.list(&filter).await?;
    let seen: BTreeSet<Uuid> = snapshot.images.iter().map(|image| image.id).collect();
    snapshot.images.extend(listing.images.into_iter().filter(|image| !seen.contains(&image.id)));
    snapshot.unreadable.extend(listing.unreadable);
    Ok(())
}

fn listed(snapshot: &Snapshot) -> BTreeSet<Uuid> {
    let unreadable = snapshot.unreadable.iter().filter_map(|image| image.id);
    snapshot.images.iter().map(|image| image.id).chain(unreadable).collect()
}

/// The images of the records that were not listed, without retired ones; but with retired ones of a wanted version that is
/// not listed, because they can be used again.
fn missing(snapshot: &Snapshot, requests: &[Request], adopted: &BTreeSet<Uuid>) -> BTreeSet<Uuid> {
    let seen = listed(snapshot);
    let of_request = |request: &Request| {
        let wanted = request.wanted.as_ref().map(|wanted| wanted.sha512);
        let images = &request.record.images;
        let served =
            images.iter().any(|entry| Some(entry.sha512) == wanted && !entry.retired && seen.contains(&entry.id));
        let needed = images.iter().filter(|entry| !entry.retired || !served && Some(entry.sha512) == wanted);
        let mut ids: Vec<Uuid> = needed.map(|entry| entry.id).collect();
        ids.extend(others(request, adopted));
        ids
    };
    requests.iter().flat_map(of_request).filter(|id| !seen.contains(id)).collect()
}

/// All images of the records that were not listed.
fn recorded(snapshot: &Snapshot, requests: &[Request], adopted: &BTreeSet<Uuid>) -> BTreeSet<Uuid> {
    let seen = listed(snapshot);
    let images = requests.iter().flat_map(|request| &request.record.images).map(|entry| entry.id);
    let others = requests.iter().flat_map(|request| others(request, adopted));
    images.chain(others).filter(|id| !seen.contains(id)).collect()
}

fn others(request: &Request, adopted: &BTreeSet<Uuid>) -> Vec<Uuid> {
    let registered = request.record.registration.iter().filter_map(|registration| registration.id);
    registered.chain(request.adopt.filter(|id| !adopted.contains(id))).collect()
}

enum Found {
    Image(Box<Image>),
    Unreadable(Unreadable),
    Nothing,
}

async fn look(glance: &impl Glance, id: Uuid) -> Result<Found, OpenStackError> {
    match glance.image(id).await {
        Ok(image) => Ok(Found::Image(Box::new(image))),
        Err(OpenStackError::NotFound(_)) => Ok(Found::Nothing),
        Err(OpenStackError::Forbidden(refusal)) => {
            Ok(Found::Unreadable(Unreadable { id: Some(id), problem: refusal.to_string() }))
        }
        Err(error) => Err(error),
    }
}
