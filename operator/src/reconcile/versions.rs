//! The versions of an image that are known: on the volume, in the list in force, and in the older accepted lists. Pure.

use jiff::Timestamp;

use super::exchange::ListInForce;
use crate::api::WantedImage;
use crate::cache::Entry;
use crate::imagelist::{ContentDigest, ImageId, ImageList, ListVersion, ListedImage, SourceUrl};

/// A version that is known.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownVersion {
    /// `hv:version`.
    pub version: ListVersion,
    /// The digest of its bytes: SHA-512 if it is known.
    pub digest: ContentDigest,
    /// Where its bytes are.
    pub place: Place,
    /// What the newest list says that has it; `None` if no list that is kept has it.
    pub listed: Option<ListedVersion>,
}

/// Where the bytes of a version are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On the volume, in circulation.
    Endorsed(Entry),
    /// On the volume, in the archive.
    Archived(Entry),
    /// Not on the volume.
    Elsewhere,
}

/// What lists say about a version.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedVersion {
    /// `hv:version` of the image.
    pub version: ListVersion,
    /// The digest of its bytes: SHA-512 if it is known.
    pub digest: ContentDigest,
    /// `hv:size` in bytes; `None` if it was not recorded.
    pub size: Option<u64>,
    /// `hv:version` of the newest list that has it.
    pub list_version: ListVersion,
    /// `dc:date:created` of that list.
    pub list_created: Timestamp,
    /// Whether that list is an older one, and not the list in force.
    pub is_older: bool,
    /// The entry of that list; `None` if the list was not read now.
    pub entry: Option<ListedImage>,
    /// The addresses of its bytes in all lists that were read, that of the newest list first, each once.
    pub addresses: Vec<SourceUrl>,
}

/// The versions of an image in the list in force and in the older lists that were read, the newest list first. A
/// version with the same bytes in several lists is there once.
pub fn listed(list: &ListInForce, identifier: &ImageId) -> Vec<ListedVersion> {
    let mut found: Vec<ListedVersion> = Vec::new();
    let current = list.entry(identifier).map(|entry| (list.accepted.list(), entry, false));
    let older = list.older.iter().flat_map(|accepted| {
        let entries = accepted.list().images.iter().filter(|image| image.identifier == *identifier);
        entries.map(|entry| (accepted.list(), entry, true))
    });
    for (list, entry, is_older) in current.into_iter().chain(older) {
        let digest = entry.content();
        for known in found.iter_mut().filter(|known| known.digest == digest) {
            known.add_address(&entry.uri);
        }
        if !found.iter().any(|known| known.is(&entry.version, &digest)) {
            let mut new = ListedVersion::of(list, entry, is_older);
            let same = found.iter().filter(|known| known.digest == digest);
            same.flat_map(|known| &known.addresses).for_each(|address| new.add_address(address));
            found.push(new);
        }
    }
    found
}

/// Whether the entry of a list is the content that a status names, although one of them may have its sha256 only.
pub(super) fn is_content_of(entry: &ListedImage, status: &WantedImage) -> bool {
    let sha256 = entry.digest.sha256().map(|digest| digest.digits());
    match (entry.sha512(), &status.sha512) {
        (Some(sha512), Some(before)) => sha512.to_string() == *before,
        (_, _) => sha256.is_some() && sha256 == status.sha256,
    }
}

impl ListedVersion {
    fn of(list: &ImageList, entry: &ListedImage, is_older: bool) -> Self {
        Self {
            version: entry.version.clone(),
            digest: entry.content(),
            size: entry.size(),
            list_version: list.version.clone(),
            list_created: list.created,
            is_older,
            addresses: vec![entry.uri.clone()],
            entry: Some(entry.clone()),
        }
    }

    fn add_address(&mut self, address: &SourceUrl) {
        if !self.addresses.contains(address) {
            self.addresses.push(address.clone());
        }
    }

    /// Whether it is this version with these bytes.
    pub(super) fn is(&self, version: &ListVersion, digest: &ContentDigest) -> bool {
        self.version == *version && self.digest == *digest
    }
}

/// All versions: those in circulation, those in the archive with the last archived first, then the others in the order
/// of `listed`. A version is there once.
pub fn known(endorsed: &[Entry], archived: &[Entry], listed: &[ListedVersion]) -> Vec<KnownVersion> {
    let of_entry = |entry: &Entry, place: fn(Entry) -> Place| KnownVersion {
        version: entry.version.clone(),
        digest: entry.digest.into(),
        place: place(entry.clone()),
        listed: listed.iter().find(|listed| listed.is(&entry.version, &entry.digest.into())).cloned(),
    };
    let is_endorsed = |entry: &&Entry| endorsed.iter().any(|other| other.is_version_of(entry));
    let mut found: Vec<KnownVersion> = endorsed.iter().rev().map(|entry| of_entry(entry, Place::Endorsed)).collect();
    let archived = archived.iter().rev().filter(|entry| !is_endorsed(entry));
    found.extend(archived.map(|entry| of_entry(entry, Place::Archived)));
    let elsewhere = listed.iter().filter(|listed| !found.iter().any(|known| listed.is(&known.version, &known.digest)));
    let elsewhere: Vec<KnownVersion> = elsewhere
        .map(|listed| KnownVersion {
            version: listed.version.clone(),
            digest: listed.digest,
            place: Place::Elsewhere,
            listed: Some(listed.clone()),
        })
        .collect();
    found.extend(elsewhere);
    found
}

impl KnownVersion {
    /// Where it is, as the status says it: `Endorsed` or `Archived`; if it is not on the volume, `Listed` or
    /// `OlderList`.
    pub fn state(&self) -> &'static str {
        match &self.place {
            Place::Endorsed(_) => "Endorsed",
            Place::Archived(_) => "Archived",
            Place::Elsewhere if self.listed.as_ref().is_some_and(|listed| listed.is_older) => "OlderList",
            Place::Elsewhere => "Listed",
        }
    }

    /// Its entry on the volume.
    pub fn on_volume(&self) -> Option<&Entry> {
        match &self.place {
            Place::Endorsed(entry) | Place::Archived(entry) => Some(entry),
            Place::Elsewhere => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::reconcile::fixtures::{IMAGE, digest, in_force, list, listed as image, now, path};
    use crate::trust::AcceptedList;

    fn entry(version: u8) -> Entry {
        let (text, path) = (version.to_string(), path(&version.to_string()));
        Entry { version: text.parse().unwrap(), digest: digest(version), path, archived_time: None }
    }

    #[test]
    fn each_version_is_there_once_with_where_it_is() {
        let mut in_force = in_force(list(9, vec![image(IMAGE, 4)]));
        let moved = ListedImage { uri: "https://old.example.org/4.img".parse().unwrap(), ..image(IMAGE, 4) };
        let older = [(8, moved), (7, image(IMAGE, 3)), (6, image(IMAGE, 2)), (5, image(IMAGE, 3))];
        in_force.older = older
            .into_iter()
            .map(|(version, image)| Arc::new(AcceptedList::for_tests(list(version, vec![image]), now())))
            .collect();
        let listed = listed(&in_force, &IMAGE.parse().unwrap());
        let known = known(&[entry(3)], &[entry(1), entry(2), entry(3)], &listed);
        let told = |one: &KnownVersion| {
            let list = one.listed.as_ref().map_or("-", |listed| listed.list_version.as_str());
            format!("{} {} {list}", one.version, one.state())
        };
        let told: Vec<String> = known.iter().map(told).collect();
        assert_eq!(told, ["3 Endorsed 7", "2 Archived 6", "1 Archived -", "4 Listed 9"]);
        let addresses: Vec<String> = listed[0].addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["https://example.org/4.img", "https://old.example.org/4.img"]);
    }
}
