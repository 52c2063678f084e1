//! Decides what is wanted of an image, from the list, the user's pins and the time. Pure.

use jiff::Timestamp;

use super::check::{Checked, Pin};
use crate::cache::JobKey;
use crate::imagelist::{ImageList, ListVersion, ListedImage, Sha512Digest, SourceUrl};
use crate::reconcile::exchange::{Force, ListInForce};

/// What is wanted.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Want {
    /// A version that is endorsed by an accepted list.
    Image(Box<WantedVersion>),
    /// The existing versions stay although nothing endorses them now, because a user set `keepUntil`.
    Kept {
        /// Why it is not endorsed.
        reason: &'static str,
        /// The message.
        message: String,
        /// Until when they stay.
        until: Timestamp,
    },
    /// The existing versions stay, and nothing else happens: it is not known what is wanted.
    Unclear {
        /// The reason.
        reason: &'static str,
        /// The message.
        message: String,
        /// Whether a list is in force that has no usable entry of the image; false if there is no list.
        told: bool,
    },
    /// The image is taken out of circulation because of an explicit statement.
    Out {
        /// The reason.
        reason: &'static str,
        /// The message.
        message: String,
    },
}

/// The wanted version, and the list that endorses it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WantedVersion {
    /// The image as the list has it.
    pub image: ListedImage,
    /// The addresses of its bytes, the list's own first. The others are those of older lists, for a version that a user
    /// pinned.
    pub addresses: Vec<SourceUrl>,
    /// `hv:version` of the list.
    pub list_version: ListVersion,
    /// `dc:date:created` of the list.
    pub list_created: Timestamp,
    /// `ad:vo` of the list.
    pub vo: Option<String>,
    /// When the endorsement ends: the end of the list or of the image, whichever is first.
    pub expires: Timestamp,
}

impl WantedVersion {
    /// The download to look at: the one that an earlier pass started for it, or else the one that is next after this
    /// many failures. Each failure moves on to the next address.
    pub(super) fn job(&self, checked: &Checked, running: Option<&JobKey>, failures: u32) -> JobKey {
        let ours = running.filter(|key| self.image.has(&key.digest) && self.addresses.contains(&key.url));
        let next = || JobKey {
            namespace: checked.image.namespace.clone(),
            digest: self.image.content(),
            url: self.address(failures).clone(),
        };
        ours.cloned().unwrap_or_else(next)
    }

    /// The address that is tried after this many failures.
    pub(super) fn address(&self, failures: u32) -> &SourceUrl {
        let nth = failures as usize % self.addresses.len().max(1);
        self.addresses.get(nth).unwrap_or(&self.image.uri)
    }
}

/// Decides what is wanted. An image is taken out of circulation only by a statement: a revocation, an exclusion, an
/// accepted list without it, or the end of a list or an image. Missing information never does that.
pub(super) fn want(checked: &Checked, list: Option<&ListInForce>, now: Timestamp) -> Want {
    let Some(in_force) = list else {
        let message = format!("no list of the subscription {} is in force; what is there stays", checked.subscription);
        return Want::Unclear { reason: "ListNotReady", message, told: false };
    };
    if let Force::Withdrawn { reason, message } = &in_force.force {
        return Want::Out { reason, message: message.clone() };
    }
    let listed = endorsed(checked, in_force);
    if let Some(by) = excluded(checked, in_force, listed.as_ref().ok().map(|wanted| &wanted.image)) {
        return Want::Out { reason: "Excluded", message: format!("excluded by {by}") };
    }
    match listed.and_then(|wanted| in_time(wanted, in_force, now)) {
        Ok(_) if checked.generated && !is_selected(checked, in_force) => {
            let message = "the subscription no longer selects it".to_owned();
            keep_or_out(checked, now, "NotSelected", message)
        }
        Ok(wanted) => Want::Image(Box::new(wanted)),
        Err(Missing::Unclear { reason, message }) => Want::Unclear { reason, message, told: true },
        Err(Missing::Stated { reason, message }) => keep_or_out(checked, now, reason, message),
    }
}

/// Why a version in circulation must be removed although something else is wanted: only lists with revoked signers
/// endorsed it.
pub(super) fn disowned(checked: &Checked, list: Option<&ListInForce>, digests: &[Sha512Digest]) -> Option<Want> {
    let by = digests.iter().find_map(|digest| list?.disowned(&checked.image.identifier, digest))?;
    Some(Want::Out { reason: by.reason, message: by.message.clone() })
}

fn keep_or_out(checked: &Checked, now: Timestamp, reason: &'static str, message: String) -> Want {
    match checked.keep_until.filter(|until| *until > now) {
        Some(until) => Want::Kept { reason, message, until },
        None => Want::Out { reason, message },
    }
}

/// Why no version is wanted.
enum Missing {
    /// There is no statement against the image: the list's entry is invalid, or the pin matches nothing.
    Unclear { reason: &'static str, message: String },
    /// The list does not have the image any more, or the list or the image has expired.
    Stated { reason: &'static str, message: String },
}

/// The version that the list in force endorses, or the older one that a user pinned.
fn endorsed(checked: &Checked, in_force: &ListInForce) -> Result<WantedVersion, Missing> {
    let list = in_force.accepted.list();
    let Some(current) = in_force.entry(&checked.image.identifier) else { return Err(missing(checked, in_force)) };
    if checked.pin == Pin::default() {
        return Ok(wanted(current, list, in_force.expires));
    }
    // The identifier is endorsed, so an older version from a list that was once accepted may be used.
    let all = std::iter::once(list).chain(in_force.older.iter().map(|accepted| accepted.list()));
    let mut pinned = all.filter_map(|list| Some((list, find(checked, list).filter(|image| checked.pin.takes(image))?)));
    match pinned.next().map(|(list, image)| wanted(image, list, in_force.expires)) {
        Some(mut wanted) => {
            let same = pinned.filter(|(_, image)| image.has(&wanted.image.content()));
            for address in same.map(|(_, image)| &image.uri) {
                if !wanted.addresses.contains(address) {
                    wanted.addresses.push(address.clone());
                }
            }
            Ok(wanted)
        }
        None => Err(Missing::Unclear {
            reason: "PinNotFound",
            message: format!(
                "{} is in no accepted list (the list in force has version {}); what is there stays",
                checked.pin, current.version
            ),
        }),
    }
}

fn find<'a>(checked: &Checked, list: &'a ImageList) -> Option<&'a ListedImage> {
    list.images.iter().find(|image| image.identifier == checked.image.identifier)
}

fn missing(checked: &Checked, in_force: &ListInForce) -> Missing {
    let list = in_force.accepted.list();
    let identifier = checked.image.identifier.as_str();
    match list.refused.iter().find(|refused| refused.identifier == identifier) {
        Some(refused) => Missing::Unclear {
            reason: refused.reason.as_str(),
            message: format!("the list's entry is refused: {}; what is there stays", refused.message),
        },
        None if in_force.leaves_open(&checked.image.identifier) => Missing::Unclear {
            reason: "ListNotReady",
            message: "the list was read before this image was asked for, and is read again".to_owned(),
        },
        None => Missing::Stated { reason: "NotInList", message: format!("list {} does not have it", list.version) },
    }
}

fn wanted(image: &ListedImage, list: &ImageList, list_expires: Timestamp) -> WantedVersion {
    WantedVersion {
        image: image.clone(),
        addresses: vec![image.uri.clone()],
        list_version: list.version.clone(),
        list_created: list.created,
        vo: list.vo.clone(),
        expires: image.expires.map_or(list_expires, |own| own.min(list_expires)),
    }
}

/// Whether the subscription selects the image, judged by the entry of the list in force, without pins.
pub(super) fn is_selected(checked: &Checked, in_force: &ListInForce) -> bool {
    in_force
        .entry(&checked.image.identifier)
        .is_some_and(|entry| in_force.selection.includes(entry) && in_force.selection.excludes(entry).is_none())
}

/// Refuses a version that has expired. The image's own end, like the list's, counts only after a fetch was tried since
/// then.
fn in_time(wanted: WantedVersion, in_force: &ListInForce, now: Timestamp) -> Result<WantedVersion, Missing> {
    if in_force.force == Force::Expired {
        let message = format!("list {} expired at {}", in_force.accepted.list().version, in_force.expires);
        return Err(Missing::Stated { reason: "ListExpired", message });
    }
    let own = wanted.image.expires.filter(|own| *own <= now);
    let tried_since = |own: &Timestamp| in_force.suspend || in_force.last_fetch.is_some_and(|last| last >= *own);
    match own.filter(|own| in_force.expiring && tried_since(own)) {
        Some(own) => Err(Missing::Stated { reason: "ImageExpired", message: format!("it expired at {own}") }),
        None => Ok(wanted),
    }
}

/// The exclusion that matches the image. It is judged by the wanted entry, or by the list's entry if there is none.
fn excluded(checked: &Checked, in_force: &ListInForce, wanted: Option<&ListedImage>) -> Option<String> {
    let entry = wanted.or_else(|| in_force.entry(&checked.image.identifier));
    match entry {
        Some(entry) => in_force.selection.excludes(entry).map(|by| by.to_string()),
        None => {
            in_force.selection.excludes_identifier(&checked.image.identifier).then(|| "exclude.identifiers".to_owned())
        }
    }
}
