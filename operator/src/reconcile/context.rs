//! What every reconcile uses.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::dry_run::{DryRun, Planned};
use super::exchange::{
    Downloads, ListsInForce, PendingEvents, PendingMessages, Publications, ReportedProblems, SettledImages, TriedAnew,
};
use crate::anchors::TrustDirectory;
use crate::api::{Kind, ObjectKey};
use crate::cache::{JobLimits, Jobs, Volume};
use crate::cloud::LeadershipGuard;
use crate::events::EventSettings;
use crate::events::Events;
use crate::fetch::Client;
use crate::imagelist::Sha512Digest;
use crate::metrics::Metrics;
use crate::store::ResourceStore;
use crate::trust::AlgorithmPolicy;

/// What every reconcile uses. It is shared, and safe to use from several tasks at once.
pub struct Context<S: ResourceStore> {
    /// The store of the resources.
    pub store: Arc<S>,
    /// The volume with the cached images and the state.
    pub volume: Volume,
    /// The client that fetches lists and images.
    pub client: Client,
    /// The downloads and conversions.
    pub jobs: Jobs,
    /// The trust anchors.
    pub anchors: TrustDirectory,
    /// The lists in force.
    pub lists: ListsInForce,
    /// The newest message of each subscription, if it is not in force.
    pub pending: PendingMessages,
    /// Events that wait because the status of their object could not be written.
    pub pending_events: PendingEvents,
    /// The errors of specs that were already logged.
    pub reported_problems: ReportedProblems,
    /// The download of each object.
    pub downloads: Downloads,
    /// The objects that a run started by a user has already tried again before their time.
    pub tried_anew: TriedAnew,
    /// The images whose passes are left out while nothing changes.
    pub settled: SettledImages,
    /// The desired state of images at targets, and their current state there.
    pub publications: Publications,
    /// Makes the paths of images on the image server; `None` if no image server runs.
    pub image_paths: Option<ImagePaths>,
    /// The settings that the operator was started with.
    pub settings: Settings,
    /// The guard that permits changes in clouds.
    pub permit: LeadershipGuard,
    /// If a whole namespace is being deleted, an image that can no longer be taken out of circulation loses its
    /// finalizer this long after its deletion.
    pub abandon_after: SignedDuration,
    /// The metrics of passes and calls: the client's metrics.
    pub metrics: Metrics,
    /// Takes the events for programs outside.
    pub events: Events,
    /// Takes the plans if they are only made, and not applied.
    pub dry_run: Option<DryRun>,
}

/// Makes the path of an image on the image server, relative to the server's address, from the digest, the file
/// extension and the current time. The path is valid for some hours. It stays the same for hours, so that a cloud does
/// not get a new one at every pass.
pub type ImagePaths = Arc<dyn Fn(&Sha512Digest, &str, Timestamp) -> Result<String, String> + Send + Sync>;

impl<S: ResourceStore> Context<S> {
    /// A context without any state of earlier passes.
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
            reported_problems: ReportedProblems::default(),
            downloads: Downloads::default(),
            tried_anew: TriedAnew::default(),
            settled: SettledImages::default(),
            publications: Publications::default(),
            image_paths: None,
            settings,
            permit: LeadershipGuard::default(),
            abandon_after: SignedDuration::from_mins(10),
            events: Events::default(),
            dry_run: None,
        }
    }

    /// The same context, where clouds are changed only while the permit is valid.
    #[must_use]
    pub fn with_permit(self, permit: LeadershipGuard) -> Self {
        Self { permit, ..self }
    }

    /// The same context with sinks of events.
    #[must_use]
    pub fn with_events(self, events: Events) -> Self {
        Self { events, ..self }
    }

    /// The same context, where plans are only made. Passes read list servers and clouds, and change nothing.
    #[must_use]
    pub fn dry_run(self) -> Self {
        Self { dry_run: Some(DryRun::default()), ..self }
    }

    /// Logs a plan. Whether it is only made, and not applied.
    pub(super) fn only_plans(&self, kind: Kind, key: &ObjectKey, plan: &dyn Display) -> bool {
        tracing::debug!(%kind, object = %key, "the plan: {plan}");
        let Some(dry_run) = &self.dry_run else { return false };
        dry_run.record(Planned { kind, key: key.clone(), plan: plan.to_string() });
        true
    }

    /// The same context with an image server.
    #[must_use]
    pub fn with_image_server(self, paths: ImagePaths) -> Self {
        Self { image_paths: Some(paths), ..self }
    }
}

/// The settings that the operator was started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The trust directory, for servers whose certificates are checked against it.
    pub trust_directory: PathBuf,
    /// The name of this installation. It marks the images in a cloud that belong to it.
    pub instance: String,
    /// The digests and keys that a signature may use.
    pub algorithms: AlgorithmPolicy,
    /// Whether a subscription may use `AutoEndorse`, which trusts the first signer of its list.
    pub allow_auto_endorse: bool,
    /// The spool and the sinks of events.
    pub events: EventSettings,
}
