//! What every reconcile stands on.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::exchange::{Downloads, ListsInForce, PendingEvents, PendingMessages, Publications, Told, TriedAnew};
use crate::anchors::TrustDirectory;
use crate::cache::{JobLimits, Jobs, Volume};
use crate::fetch::Client;
use crate::imagelist::Sha512Digest;
use crate::metrics::Metrics;
use crate::opennebula::LeadershipGuard;
use crate::store::ResourceStore;
use crate::trust::AlgorithmPolicy;

/// What every reconcile stands on: shared, and safe to use from several at once.
pub struct Context<S: ResourceStore> {
    /// Where the resources live.
    pub store: Arc<S>,
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
    pub pending_events: PendingEvents,
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
    pub permit: LeadershipGuard,
    /// So long after its deletion an image that cannot be taken out of circulation any more is let go, where all of its
    /// namespace goes.
    pub abandon_after: SignedDuration,
    /// Where passes and calls are counted: where the client counts.
    pub metrics: Metrics,
}

/// Where the image server has an image: the path, below its address, of bytes with this digest, with this extension.
/// Good for some hours from that time on, and the same for hours, so that a cloud is not told another at every pass.
pub type ImagePaths = Arc<dyn Fn(&Sha512Digest, &str, Timestamp) -> Result<String, String> + Send + Sync>;

impl<S: ResourceStore> Context<S> {
    /// A context in which nothing has happened yet.
    pub fn new(
        store: S,
        volume: Volume,
        client: Client,
        limits: JobLimits,
        anchors: TrustDirectory,
        settings: Settings,
    ) -> Self {
        Self {
            store: Arc::new(store),
            jobs: Jobs::new(volume.clone(), client.clone(), limits),
            metrics: client.settings().metrics.clone(),
            volume,
            client,
            anchors,
            lists: ListsInForce::default(),
            pending: PendingMessages::default(),
            pending_events: PendingEvents::default(),
            told: Told::default(),
            downloads: Downloads::default(),
            tried_anew: TriedAnew::default(),
            publications: Publications::default(),
            image_paths: None,
            settings,
            permit: LeadershipGuard::default(),
            abandon_after: SignedDuration::from_mins(10),
        }
    }

    /// The same, with clouds changed only while the permit is valid.
    #[must_use]
    pub fn with_permit(self, permit: LeadershipGuard) -> Self {
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
