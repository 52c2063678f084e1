//! What every reconcile stands on.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::lists::ListsInForce;
use super::publications::Publications;
use super::subscription::SignatureBeside;
use super::told::Told;
use super::untold::Untold;
use crate::anchors::TrustDirectory;
use crate::api::ObjectKey;
use crate::cache::{JobKey, JobLimits, Jobs, Volume};
use crate::fetch::{Client, Document, Validator};
use crate::imagelist::Sha512Digest;
use crate::metrics::Metrics;
use crate::opennebula::Permit;
use crate::store::Cluster;
use crate::trust::AlgorithmPolicy;

/// What every reconcile stands on: shared, and safe to use from several at once.
pub struct Context<C: Cluster> {
    /// Where the resources live.
    pub cluster: Arc<C>,
    /// Where the bytes live.
    pub volume: Volume,
    /// How bytes are fetched.
    pub client: Client,
    /// The downloads that run.
    pub jobs: Jobs,
    /// The trust anchors.
    pub anchors: TrustDirectory,
    /// The lists in force.
    pub lists: ListsInForce,
    /// The newest messages, where they are not in force.
    pub pending: PendingMessages,
    /// What happened, where the status that says so could not be written.
    pub untold: Untold,
    /// What the log has said of specs that cannot work.
    pub told: Told,
    /// Which object wants which download.
    pub downloads: Downloads,
    /// What was tried though its time had not come, where a person runs a pass.
    pub tried_anew: TriedAnew,
    /// What images want of targets, and how they stand there.
    pub publications: Publications,
    /// Where clouds pull images from; none where no image server runs.
    pub image_paths: Option<ImagePaths>,
    /// What the operator was started with.
    pub settings: Settings,
    /// Whether clouds may be changed.
    pub permit: Permit,
    /// So long after its deletion an image that cannot be taken out of circulation any more is let go, where all of its
    /// namespace goes.
    pub abandon_after: SignedDuration,
    /// Where passes and calls are counted: where the client counts.
    pub metrics: Metrics,
}

/// Where the image server has an image: the path, below its address, of bytes with this digest, with this extension.
/// Good for some hours from that time on, and the same for hours, so that a cloud is not told another at every pass.
pub type ImagePaths = Arc<dyn Fn(&Sha512Digest, &str, Timestamp) -> Result<String, String> + Send + Sync>;

impl<C: Cluster> Context<C> {
    /// A context in which nothing has happened yet.
    pub fn new(
        cluster: C,
        volume: Volume,
        client: Client,
        limits: JobLimits,
        anchors: TrustDirectory,
        settings: Settings,
    ) -> Self {
        Self {
            cluster: Arc::new(cluster),
            jobs: Jobs::new(volume.clone(), client.clone(), limits),
            metrics: client.settings().metrics.clone(),
            volume,
            client,
            anchors,
            lists: ListsInForce::default(),
            pending: PendingMessages::default(),
            untold: Untold::default(),
            told: Told::default(),
            downloads: Downloads::default(),
            tried_anew: TriedAnew::default(),
            publications: Publications::default(),
            image_paths: None,
            settings,
            permit: Permit::default(),
            abandon_after: SignedDuration::from_mins(10),
        }
    }

    /// The same, with clouds changed only while the permit is valid.
    #[must_use]
    pub fn with_permit(self, permit: Permit) -> Self {
        Self { permit, ..self }
    }

    /// The same beside an image server.
    #[must_use]
    pub fn with_image_server(self, paths: ImagePaths) -> Self {
        Self { image_paths: Some(paths), ..self }
    }
}

/// What the operator was started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The trust directory, for servers that are checked by it.
    pub trust_directory: PathBuf,
    /// The name of this installation: whose images in a cloud are its own.
    pub instance: String,
    /// Which digests and keys a signature may use.
    pub algorithms: AlgorithmPolicy,
    /// Whether a subscription may believe the first signer that it sees.
    pub allow_auto_endorse: bool,
}

/// A message that was fetched.
#[derive(Debug, Clone)]
pub struct Message {
    /// The message as it came, or as it was put together or opened.
    pub document: Document,
    /// How the server names them.
    pub validator: Option<Validator>,
    /// The signatures beside the list that are part of it.
    pub beside: Vec<SignatureBeside>,
    /// What the answer says of itself: the end of a message that says that this is no signed list.
    pub came: String,
}

/// The newest message of each subscription while it is not in force: judged anew in each pass, for what was missing
/// (an endorser, a CRL, space on the volume) may have come.
#[derive(Debug, Default)]
pub struct PendingMessages(Mutex<HashMap<ObjectKey, Message>>);

impl PendingMessages {
    /// The message of a subscription.
    pub fn get(&self, subscription: &ObjectKey) -> Option<Message> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(subscription).cloned()
    }

    /// Holds a message, or lets go of the one that was held.
    pub fn set(&self, subscription: &ObjectKey, message: Option<Message>) {
        let mut messages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match message {
            Some(message) => messages.insert(subscription.clone(), message),
            None => messages.remove(subscription),
        };
    }
}

/// What failed for want of space is tried anew by a run that a person began, once each; never by one that goes on.
#[derive(Debug, Default)]
pub struct TriedAnew(Mutex<Option<HashSet<ObjectKey>>>);

impl TriedAnew {
    /// A person began this run.
    pub fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(HashSet::new());
    }

    /// Whether an object may be tried anew: the first time that it is asked of such a run.
    pub fn take(&self, object: &ObjectKey) -> bool {
        let mut tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tried.as_mut().is_some_and(|tried| tried.insert(object.clone()))
    }
}

/// Which object wants which download. Objects may share one; it is stopped when the last of them lets go.
#[derive(Debug, Default)]
pub struct Downloads(Mutex<HashMap<ObjectKey, JobKey>>);

impl Downloads {
    /// The download of an object.
    pub fn get(&self, object: &ObjectKey) -> Option<JobKey> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(object).cloned()
    }

    /// All downloads that are wanted, each once.
    pub fn all(&self) -> Vec<JobKey> {
        let downloads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<JobKey> = downloads.values().cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// The objects that want a download.
    pub fn objects(&self) -> Vec<ObjectKey> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Notes that an object wants a download.
    pub fn want(&self, object: &ObjectKey, job: JobKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(object.clone(), job);
    }

    /// Notes that an object wants its download no more; says whether nobody else does either.
    pub fn let_go(&self, object: &ObjectKey) -> bool {
        let mut downloads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(job) = downloads.remove(object) else { return false };
        !downloads.values().any(|other| *other == job)
    }
}
