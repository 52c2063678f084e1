//! One pass over a target: one read of the pool, the plan, its steps.

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

use super::{Outcome, Plan, Record, Reference, Request, Settings, Snapshot, apply, plan};
use crate::imagelist::ImageId;
use crate::opennebula::client::{Client, ServerVersion};
use crate::opennebula::document::User;
use crate::opennebula::error::OneError;

/// How many images are worked on at the same time, unless said otherwise.
const IN_FLIGHT: usize = 8;

/// How long what a probe found is believed.
const PROBED_FOR: SignedDuration = SignedDuration::from_hours(1);

/// What a plan needs to know of a cloud besides its images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cloud {
    /// Its version.
    pub version: ServerVersion,
    /// Who we are there.
    pub user: User,
    /// The datastore of the settings.
    pub datastore: u32,
}

/// Keeps records where a crash cannot lose them. Called before the first change of an image, and again as soon as one
/// was registered; an error keeps the image from being touched.
pub trait Keeper: Send + Sync {
    /// Replaces the record of this identifier.
    fn keep(&self, identifier: &ImageId, record: &Record) -> Result<(), String>;
}

/// What a pass did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassReport {
    /// One for each request, in their order.
    pub outcomes: Vec<Outcome>,
    /// How many images the pool has in all.
    pub pool: usize,
}

/// One target: a session with its cloud, and how it is handled.
#[derive(Debug)]
pub struct Publisher {
    client: Client,
    settings: Settings,
    in_flight: usize,
    probed: Mutex<Option<(Timestamp, Cloud)>>,
}

impl Publisher {
    /// A target. Nothing is called yet.
    pub fn new(client: Client, settings: Settings) -> Self {
        Self { client, settings, in_flight: IN_FLIGHT, probed: Mutex::new(None) }
    }

    /// How many images are worked on at the same time; 8 unless set.
    #[must_use]
    pub fn with_in_flight(self, in_flight: usize) -> Self {
        Self { in_flight, ..self }
    }

    /// How the target is handled.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The session, for whoever wants to look closer.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Looks whether the session is accepted and the datastore there: three calls. Its result serves the passes of the
    /// next hour.
    pub async fn probe(&self, now: Timestamp) -> Result<Cloud, OneError> {
        let (version, user) = (self.client.version().await?, self.client.myself().await?);
        let datastores = self.client.datastores().await?;
        let wanted = &self.settings.datastore;
        let datastore = datastores.iter().find(|datastore| wanted.is(datastore.id, &datastore.name));
        let datastore = datastore.ok_or_else(|| unknown_datastore(wanted))?.id;
        let cloud = Cloud { version, user, datastore };
        *self.cell() = Some((now, cloud.clone()));
        Ok(cloud)
    }

    /// What a pass would do now; changes nothing.
    pub async fn plan(&self, requests: &[Request], now: Timestamp) -> Result<Plan, OneError> {
        let cloud = self.cloud(now).await?;
        let snapshot = Snapshot::read(&self.client, requests, self.in_flight).await?;
        Ok(plan(&snapshot, requests, &self.settings, &cloud, now))
    }

    /// One pass: one read of the pool, whatever the number of images, then the changes that are due. Besides, images are
    /// looked at one by one that are missing from the pool, and that were put out of circulation in this pass.
    ///
    /// `Err` means that nothing was changed: the cloud could not be read at all.
    pub async fn pass(
        &self,
        requests: &[Request],
        keeper: &dyn Keeper,
        now: Timestamp,
    ) -> Result<PassReport, OneError> {
        let cloud = self.cloud(now).await?;
        let snapshot = Snapshot::read(&self.client, requests, self.in_flight).await?;
        let plan = plan(&snapshot, requests, &self.settings, &cloud, now);
        let images = snapshot.images.len();
        drop(snapshot);
        let outcomes = apply(plan, &self.client, keeper, cloud.datastore, self.in_flight, now).await;
        Ok(PassReport { outcomes, pool: images })
    }

    /// What the last probe found; probes where that is an hour ago or there was none.
    pub async fn cloud(&self, now: Timestamp) -> Result<Cloud, OneError> {
        let known = self.cell().clone();
        match known {
            Some((at, cloud)) if now.duration_since(at).abs() < PROBED_FOR => Ok(cloud),
            Some(_) | None => self.probe(now).await,
        }
    }

    fn cell(&self) -> std::sync::MutexGuard<'_, Option<(Timestamp, Cloud)>> {
        self.probed.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn unknown_datastore(reference: &Reference) -> OneError {
    OneError::UnknownName { what: "datastore", name: reference.to_string() }
}
