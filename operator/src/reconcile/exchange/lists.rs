//! The lists in force: what the subscriptions' passes found, for the passes of their images.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;

use crate::api::ObjectKey;
use crate::cache::retention::Retention;
use crate::imagelist::{ImageId, LeftOut, Selection, SourceUrl};
use crate::reconcile::tls::CheckedTls;
use crate::trust::AcceptedList;

/// A subscription's list, as its last pass left it.
#[derive(Debug, Clone)]
pub struct ListInForce {
    /// The list.
    pub accepted: Arc<AcceptedList>,
    /// Lists that were accepted before it and still verify, the newest first: where pins look. Empty without a pin.
    pub older: Vec<Arc<AcceptedList>>,
    /// Lists that were accepted before it and whose signers were revoked since, as far as versions of them may still be
    /// published: those go out, unless a list that stands has them.
    pub withdrawn: Vec<WithdrawnList>,
    /// The identifiers of the subscription's objects when it was read: of all other images that are not selected it says
    /// nothing.
    pub known: BTreeSet<String>,
    /// When it expires: by its own word, or sooner by `maxListAge`.
    pub expires: Timestamp,
    /// Whether what it says still counts.
    pub force: Force,
    /// Whether it can no longer be verified as on its first day (a CRL is old, an endorser is gone): what is there
    /// stays, and nothing new of it is fetched or published.
    pub frozen: bool,
    /// Whether the clock is believed: while it is not, nothing expires.
    pub expiring: bool,
    /// When the server was last asked. A list or an image expires only after a fetch was tried since.
    pub last_fetch: Option<Timestamp>,
    /// Which of its images are wanted.
    pub selection: Selection,
    /// How long replaced versions stay.
    pub retention: Retention,
    /// The longest wait between two tries of a download.
    pub interval: Duration,
    /// No download and no new version.
    pub suspend: bool,
    /// Whether its images are archived when their objects are deleted.
    pub retire: bool,
    /// The annotation on the subscription by which a person asks for a pass now: it asks its images too.
    pub requested_at: Option<String>,
    /// The subscription is being deleted, and its images with it.
    pub deleting: bool,
    /// The targets of its images, unless an image names its own.
    pub targets: Vec<String>,
    /// Where the list was fetched: an image on the same server is fetched with the same credentials.
    pub source: ListOrigin,
}

impl ListInForce {
    /// Whether the list may have an image that was left out when it was read, for nobody had asked for it.
    pub fn leaves_open(&self, identifier: &ImageId) -> bool {
        let list = self.accepted.list();
        list.left_out != LeftOut::default() && !self.known.contains(identifier.as_str())
    }

    /// The objects that are there though they are not selected: they say which entries were kept besides.
    pub fn unselected(&self) -> BTreeSet<&str> {
        let images = self.accepted.list().images.iter().filter(|image| self.selection.includes(image));
        let selected: BTreeSet<&str> = images.map(|image| image.identifier.as_str()).collect();
        self.known.iter().map(String::as_str).filter(|known| !selected.contains(known)).collect()
    }
}

/// A list whose signers were revoked after another one had come into force.
#[derive(Debug, Clone)]
pub struct WithdrawnList {
    /// The list.
    pub accepted: Arc<AcceptedList>,
    /// `CertificateRevoked` or `EndorserRevoked`.
    pub reason: &'static str,
    /// Which, and by whom.
    pub message: String,
}

/// Where a list was fetched, and how.
#[derive(Debug, Clone)]
pub struct ListOrigin {
    /// The address.
    pub url: SourceUrl,
    /// The Secret with the credentials.
    pub secret: Option<String>,
    /// How the server is checked.
    pub tls: CheckedTls,
}

/// Whether what a list says still counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Force {
    /// It does.
    InForce,
    /// A signer was revoked: its images go out, whatever else is said.
    Withdrawn {
        /// `CertificateRevoked` or `EndorserRevoked`.
        reason: &'static str,
        /// Which, and by whom.
        message: String,
    },
    /// Its time is over, and a fetch since then has brought no newer one.
    Expired,
}

/// The lists in force of all subscriptions.
#[derive(Debug, Default)]
pub struct ListsInForce(RwLock<HashMap<ObjectKey, Arc<ListInForce>>>);

impl ListsInForce {
    /// A subscription's list; `None` while no pass has found one.
    pub fn get(&self, subscription: &ObjectKey) -> Option<Arc<ListInForce>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(subscription).cloned()
    }

    /// Forgets the lists of subscriptions that are gone.
    pub fn retain(&self, is_there: impl Fn(&ObjectKey) -> bool) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|key, _| is_there(key));
    }

    /// Sets what a pass found.
    pub fn set(&self, subscription: ObjectKey, list: Option<ListInForce>) {
        let mut lists = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match list {
            Some(list) => lists.insert(subscription, Arc::new(list)),
            None => lists.remove(&subscription),
        };
    }
}
