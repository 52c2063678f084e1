//! One pass over a target: reads the pool once, makes the plan, and applies its steps.

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

use super::{Cloud, Outcome, Plan, Request, Settings, Snapshot, apply, plan};
use crate::cloud::Keeper;
use crate::opennebula::client::Client;
use crate::opennebula::error::OneError;

/// The number of images that are processed at the same time.
const IN_FLIGHT: usize = 8;

/// How long the result of a probe is valid.
const PROBED_FOR: SignedDuration = SignedDuration::from_hours(1);

/// The result of a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassReport {
    /// One outcome for each request, in order.
    pub outcomes: Vec<Outcome>,
    /// The number of images in the pool.
    pub pool: usize,
}

/// One target: a session with its cloud, and its settings.
#[derive(Debug)]
pub struct Publisher {
    client: Client,
    settings: Settings,
    probed: Mutex<Option<(Timestamp, Cloud)>>,
}

impl Publisher {
    /// Makes a target. No call is made yet.
    pub fn new(client: Client, settings: Settings) -> Self {
        Self { client, settings, probed: Mutex::new(None) }
    }

    /// The settings of the target.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The client, for other calls.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Checks that the session is accepted and that the datastore exists, with three calls. The passes of the next hour
    /// use the result.
    pub async fn probe(&self, now: Timestamp) -> Result<Cloud, OneError> {
        let (version, user) = (self.client.version().await?, self.client.myself().await?);
        let datastores = self.client.datastores().await?;
        let wanted = &self.settings.datastore;
        let datastore = datastores.iter().find(|datastore| wanted.is(datastore.id, &datastore.name));
        let datastore =
            datastore.ok_or_else(|| OneError::UnknownName { what: "datastore", name: wanted.to_string() })?.id;
        let cloud = Cloud { version, user, datastore };
        *self.cell() = Some((now, cloud.clone()));
        Ok(cloud)
    }

    /// Reads what a plan is made from: the pool once, whatever the number of images, and the images that are missing
    /// from the pool one by one. Changes nothing.
    pub async fn read(&self, requests: &[Request], now: Timestamp) -> Result<(Cloud, Snapshot), OneError> {
        let cloud = self.cloud(now).await?;
        Ok((cloud, Snapshot::read(&self.client, requests, IN_FLIGHT).await?))
    }

    /// Makes the changes of a plan. In addition, it reads the images that are retired by it, one by one. Returns one
    /// outcome for each request, in order.
    pub async fn apply(&self, plan: Plan, cloud: &Cloud, keeper: &dyn Keeper, now: Timestamp) -> Vec<Outcome> {
        apply(plan, &self.client, keeper, cloud.datastore, IN_FLIGHT, now).await
    }

    /// One pass: reads, plans and applies.
    ///
    /// `Err` means that nothing was changed, because the cloud could not be read.
    pub async fn pass(
        &self,
        requests: &[Request],
        keeper: &dyn Keeper,
        now: Timestamp,
    ) -> Result<PassReport, OneError> {
        let (cloud, snapshot) = self.read(requests, now).await?;
        let plan = plan(&snapshot, requests, &self.settings, &cloud, now);
        let pool = snapshot.images.len();
        drop(snapshot);
        Ok(PassReport { outcomes: self.apply(plan, &cloud, keeper, now).await, pool })
    }

    /// The result of the last probe. Probes again if it is an hour old or there is none.
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
