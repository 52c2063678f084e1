//! Which older lists a pass reads, and their messages on the volume. Decides nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::check::Checked;
use super::memory::{ListMemory, MOST_OLDER, OlderList};
use crate::api::{CachedImage, HasConditions};
use crate::cache::{Entries, Volume};
use crate::fetch::Document;
use crate::imagelist::{ImageId, Sha512Digest};
use crate::trust::{LastAccepted, Sha256Digest};

/// The older lists that are read, and why.
#[derive(Default)]
pub(super) struct LookBack {
    /// Whether all older lists are read.
    pub all: bool,
    /// The versions of images on the volume, if lists may leave the record; `None` if not, or if they cannot be read.
    pub on_volume: Option<BTreeSet<(ImageId, Sha512Digest)>>,
    /// The messages, the newest first, each with its digest.
    pub older: Vec<(Sha256Digest, Document)>,
}

/// Reads the older lists. All of them if they are `asked_for`, if an image may need one, or if a message that `is_new`
/// may move lists out of the record.
pub(super) fn look_back(
    volume: &Volume,
    checked: &Checked,
    memory: Option<&ListMemory>,
    images: &[Arc<CachedImage>],
    asked_for: bool,
    is_new: bool,
) -> LookBack {
    let Some(memory) = memory else { return LookBack { all: true, ..LookBack::default() } };
    let may_leave = is_new && memory.older.len() >= MOST_OLDER;
    let on_volume = if may_leave { on_volume(volume, checked) } else { None };
    let all = may_leave || asked_for || images.iter().any(|image| may_be_older(checked, image));
    LookBack { all, on_volume, older: older(volume, checked, memory, all) }
}

/// Whether a user pinned the version of an image.
pub(super) fn is_pinned(image: &CachedImage) -> bool {
    image.spec.version.is_some() || image.spec.sha512.is_some()
}

/// Whether an image of the subscription has a pin, a version may be in circulation that the list in force does not
/// endorse, or its status does not name the lists of its versions: it is new, or an older program wrote it.
fn may_be_older(checked: &Checked, image: &CachedImage) -> bool {
    let ours = image.spec.subscription_ref.name == checked.key.name;
    if !ours || is_pinned(image) {
        return ours;
    }
    let Some(status) = &image.status else { return true };
    if status.image.is_some() && status.versions.iter().all(|version| version.list_version.is_none()) {
        return true;
    }
    let endorsed =
        status.image.as_ref().filter(|_| status.is_true("Endorsed")).and_then(|wanted| wanted.sha512.as_deref());
    let published = status.artifact.iter().map(|artifact| artifact.sha512.as_str());
    let at_targets = status.targets.iter().filter(|target| target.id.is_some()).filter_map(|at| at.sha512.as_deref());
    published.chain(at_targets).any(|digest| endorsed != Some(digest))
}

/// The versions of images of the namespace on the volume; `None` if they cannot be read.
fn on_volume(volume: &Volume, checked: &Checked) -> Option<BTreeSet<(ImageId, Sha512Digest)>> {
    let index = volume.index(&checked.namespace);
    let index = index.inspect_err(|error| tracing::warn!(%error, "the versions on the volume are not known")).ok()?;
    let of_image = |(identifier, entries): (ImageId, Entries)| {
        let entries = entries.endorsed.into_iter().chain(entries.expired);
        entries.map(move |entry| (identifier.clone(), entry.digest)).collect::<Vec<_>>()
    };
    Some(index.into_iter().flat_map(of_image).collect())
}

/// The older messages that still exist. A message that cannot be read is skipped.
fn older(volume: &Volume, checked: &Checked, memory: &ListMemory, all: bool) -> Vec<(Sha256Digest, Document)> {
    let read = |older: &OlderList| {
        let digest = older.message.digits();
        let message = volume.read_list(&checked.namespace, &checked.name, &older.last.version, &digest).ok()??;
        Some((older.message, message))
    };
    let mut seen = memory.last.certificates.clone();
    let mut is_new = |older: &&OlderList| {
        let LastAccepted { certificates, revoked, .. } = &older.last;
        let known = |one: &Sha256Digest| seen.contains(one) || revoked.iter().any(|known| known.certificate == *one);
        let new = !certificates.iter().all(known);
        seen.extend(certificates);
        all || new
    };
    memory.older.iter().filter(|older| is_new(older)).filter_map(read).collect()
}
