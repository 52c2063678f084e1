//! The lists in force: the results of the subscriptions' passes, for the passes of their images.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;

use crate::api::ObjectKey;
use crate::cache::retention::Retention;
use crate::digest::Sha256Digest;
use crate::imagelist::oci::Repository;
use crate::imagelist::{ImageId, LeftOut, ListVersion, ListedImage, Selection, Sha512Digest, SourceUrl};
use crate::reconcile::tls::CheckedTls;
use crate::trust::AcceptedList;

/// The list of a subscription after its last pass.
#[derive(Debug, Clone)]
pub struct ListInForce {
    /// The generation of the subscription's spec that it was made for.
    pub generation: Option<i64>,
    /// The list.
    pub accepted: Arc<AcceptedList>,
    /// Older accepted lists that still verify, the newest first. Pins look for versions in them. Empty if no image
    /// needs an older list.
    pub older: Vec<Arc<AcceptedList>>,
    /// Whether all older lists were read for this. If not, [`Self::older`] is empty.
    pub looked_back: bool,
    /// The older lists that are kept on the volume, whether they were read or not, without those of revoked signers.
    pub kept: Vec<KeptList>,
    /// Older accepted lists whose signers were revoked since, if versions of them may still be published. Those
    /// versions are removed, unless a valid list has them.
    pub withdrawn: Vec<WithdrawnList>,
    /// The identifiers of the subscription's image objects when the list was read. The entries of other images that are
    /// not selected were not kept.
    pub known: BTreeSet<String>,
    /// When it expires: at its own end, or earlier because of `maxListAge`.
    pub expires: Timestamp,
    /// Whether the list is valid.
    pub force: Force,
    /// Whether it can no longer be verified (a CRL has expired, an endorser is gone). The existing versions stay, and
    /// nothing new of it is downloaded or published.
    pub frozen: bool,
    /// Whether the clock is trusted. While it is not, nothing expires.
    pub expiring: bool,
    /// When the list was last fetched. A list or an image expires only after a fetch was tried since its end.
    pub last_fetch: Option<Timestamp>,
    /// The selected images.
    pub selection: Selection,
    /// How many replaced versions are kept, and how long.
    pub retention: Retention,
    /// The longest wait between two tries of a download.
    pub interval: Duration,
    /// Suspended: no download and no new version.
    pub suspend: bool,
    /// Whether its images are archived when their objects are deleted.
    pub retire: bool,
    /// The request of a user for a pass of the subscription now. It applies to its images too.
    pub requested_at: Option<String>,
    /// The subscription is being deleted, and its images with it.
    pub deleting: bool,
    /// The targets of its images, unless an image names its own.
    pub targets: Vec<String>,
    /// The origin of the list. An image on the same server is downloaded with the same credentials.
    pub source: ListOrigin,
    /// The places of the images in the list, by identifier. Made when the first image is looked up.
    pub places: OnceLock<HashMap<ImageId, usize>>,
    /// See [`Self::digest`].
    pub digest: OnceLock<Sha256Digest>,
}

impl ListInForce {
    /// The entry of an image in the list in force.
    pub fn entry(&self, identifier: &ImageId) -> Option<&ListedImage> {
        let images = &self.accepted.list().images;
        let places = self.places.get_or_init(|| {
            // If there were two entries of an image, the first would count.
            images.iter().enumerate().rev().map(|(place, image)| (image.identifier.clone(), place)).collect()
        });
        images.get(*places.get(identifier)?)
    }

    /// Whether the list may have an entry of an image that was left out when the list was read, because nothing wanted
    /// it.
    pub fn leaves_open(&self, identifier: &ImageId) -> bool {
        let list = self.accepted.list();
        list.left_out != LeftOut::default() && !self.known.contains(identifier.as_str())
    }

    /// A digest of everything that a pass over an image of the list reads of it, except what the spec of the subscription
    /// says, of which the generation is part of the digest. The time of the last fetch is not: it matters only once the
    /// list or the image has expired. Two runs of one version of this program make the same digest.
    pub fn digest(&self) -> Sha256Digest {
        *self.digest.get_or_init(|| {
            let withdrawn = self.withdrawn.iter().map(|withdrawn| &withdrawn.accepted);
            let lists = [&self.accepted].into_iter().chain(&self.older).chain(withdrawn);
            // As JSON, which has all digits of the payloads' digests.
            let lists: Vec<_> = lists.map(|list| serde_json::json!(list.last_accepted()).to_string()).collect();
            let withdrawn: Vec<_> = self.withdrawn.iter().map(|one| (one.reason, &one.message)).collect();
            let state = (self.looked_back, self.expires, &self.force, self.frozen, self.expiring, self.suspend);
            let wishes = (self.generation, self.retire, &self.requested_at, self.deleting, &self.targets);
            let kept = &self.kept;
            Sha256Digest::of(format!("{lists:?} {withdrawn:?} {kept:?} {state:?} {wishes:?}").as_bytes())
        })
    }

    /// The withdrawn list that has these bytes of an image, if no list that still counts has them.
    pub fn disowned(&self, identifier: &ImageId, digest: &Sha512Digest) -> Option<&WithdrawnList> {
        let has = |list: &AcceptedList| {
            list.list().images.iter().any(|one| one.identifier == *identifier && one.sha512() == Some(*digest))
        };
        // Nearly always there is none, and no list is searched.
        let by = self.withdrawn.iter().find(|withdrawn| has(&withdrawn.accepted))?;
        let is_endorsed = std::iter::once(&self.accepted).chain(&self.older).any(|list| has(list));
        (!is_endorsed).then_some(by)
    }

    /// The existing objects that are not selected. The entries of these images were kept too.
    pub fn unselected(&self) -> BTreeSet<&str> {
        let images = self.accepted.list().images.iter().filter(|image| self.selection.includes(image));
        let selected: BTreeSet<&str> = images.map(|image| image.identifier.as_str()).collect();
        self.known.iter().map(String::as_str).filter(|known| !selected.contains(known)).collect()
    }
}

/// An older list that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptList {
    /// `hv:version` of the list.
    pub version: ListVersion,
    /// `dc:date:created` of the list.
    pub created: Timestamp,
}

/// A list whose signers were revoked after another one had come into force.
#[derive(Debug, Clone)]
pub struct WithdrawnList {
    /// The list.
    pub accepted: Arc<AcceptedList>,
    /// `CertificateRevoked` or `EndorserRevoked`.
    pub reason: &'static str,
    /// What was revoked, and by whom.
    pub message: String,
}

/// The origin of a list: its address, credentials and TLS settings.
#[derive(Debug, Clone)]
pub struct ListOrigin {
    /// The address.
    pub url: SourceUrl,
    /// The name of the Secret with the credentials.
    pub secret: Option<String>,
    /// The authorities for the server's certificate.
    pub tls: CheckedTls,
    /// The repository, if the server is a registry of OCI artefacts.
    pub registry: Option<Repository>,
}

/// Whether a list is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Force {
    /// The list is valid.
    InForce,
    /// A signer was revoked. Its images are taken out of circulation in any case.
    Withdrawn {
        /// `CertificateRevoked` or `EndorserRevoked`.
        reason: &'static str,
        /// What was revoked, and by whom.
        message: String,
    },
    /// It has expired, and a fetch since then has returned no newer list.
    Expired,
}

/// The lists in force of all subscriptions.
#[derive(Debug, Default)]
pub struct ListsInForce(RwLock<HashMap<ObjectKey, Arc<ListInForce>>>);

impl ListsInForce {
    /// The list of a subscription; `None` if no pass has found one yet.
    pub fn get(&self, subscription: &ObjectKey) -> Option<Arc<ListInForce>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(subscription).cloned()
    }

    /// Removes the lists of subscriptions that no longer exist.
    pub fn retain(&self, is_there: impl Fn(&ObjectKey) -> bool) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|key, _| is_there(key));
    }

    /// Sets the result of a pass.
    pub fn set(&self, subscription: ObjectKey, list: Option<ListInForce>) {
        let mut lists = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match list {
            Some(list) => lists.insert(subscription, Arc::new(list)),
            None => lists.remove(&subscription),
        };
    }
}
