//! One pass over a target: lists the images, makes the plan, and applies its steps.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use uuid::Uuid;

use super::properties::Role;
use super::read::{Known, read};
use super::{Glance as _, GlanceSession, Outcome, Plan, Progress, Request, Snapshot, apply, plan};
use crate::cloud::Keeper;
use crate::openstack::client::Client;
use crate::openstack::error::OpenStackError;
use crate::openstack::settings::Settings;

/// The number of images that are processed at the same time.
const IN_FLIGHT: usize = 8;

/// How often hidden images are listed.
const HIDDEN_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// The result of a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassReport {
    /// One outcome for each request, in order.
    pub outcomes: Vec<Outcome>,
    /// The number of images that were read.
    pub images: usize,
}

/// One target: a session with its cloud, its settings, and its uploads.
#[derive(Debug)]
pub struct Publisher {
    session: GlanceSession,
    settings: Settings,
    memory: Mutex<Memory>,
}

/// What a session knows of former passes. It only saves calls.
#[derive(Debug, Default)]
struct Memory {
    /// When hidden images were listed.
    listed_hidden: Option<Timestamp>,
    /// Images that a user named for adoption, and that were seen to be retired.
    adopted: BTreeSet<Uuid>,
}

impl Publisher {
    /// Makes a target. No call is made yet. `ended` is notified when an upload ends.
    pub fn new(client: Client, settings: Settings, ended: Option<Arc<Notify>>) -> Self {
        Self { session: GlanceSession::new(client, ended), settings, memory: Mutex::default() }
    }

    /// The settings of the target.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The client, for other calls.
    pub fn client(&self) -> &Client {
        self.session.client()
    }

    /// The number of uploads that are running, or wait for others.
    pub fn uploading(&self) -> usize {
        let running = |progress: &&Progress| matches!(progress, Progress::Running { .. });
        self.session.uploads().values().filter(running).count()
    }

    /// Reads what a plan is made from. Changes nothing.
    pub async fn read(&self, requests: &[Request], now: Timestamp) -> Result<Snapshot, OpenStackError> {
        let (list_hidden, adopted) = self.remembered(now);
        let known = Known { adopted: &adopted, list_hidden };
        let fresh = requests.iter().map(|_| Uuid::new_v4()).collect();
        let snapshot = read(&self.session, (requests, &self.settings), &known, fresh, now).await?;
        self.remember(&snapshot, requests, now);
        Ok(snapshot)
    }

    fn remembered(&self, now: Timestamp) -> (bool, BTreeSet<Uuid>) {
        let memory = self.memory();
        let fresh = memory.listed_hidden.is_some_and(|time| now.duration_since(time).abs() < HIDDEN_EVERY);
        (!fresh, memory.adopted.clone())
    }

    fn remember(&self, snapshot: &Snapshot, requests: &[Request], now: Timestamp) {
        let named: BTreeSet<Uuid> = requests.iter().filter_map(|request| request.adopt).collect();
        let retired = |id: &Uuid| {
            let image = snapshot.images.iter().find(|image| image.id == *id);
            image.is_some_and(|image| Role::read(image) == Some(Role::Retired))
        };
        let mut memory = self.memory();
        if snapshot.complete {
            memory.listed_hidden = Some(now);
            memory.adopted.clear();
        }
        memory.adopted.extend(named.into_iter().filter(retired));
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the changes of a plan. Returns one outcome for each request, in order.
    pub async fn apply(&self, plan: Plan, keeper: &dyn Keeper, now: Timestamp) -> Vec<Outcome> {
        apply(plan, &self.session, keeper, IN_FLIGHT, now).await
    }

    /// One pass: reads, plans and applies.
    ///
    /// `Err` means that nothing was changed, because the cloud could not be read.
    pub async fn pass(
        &self,
        requests: &[Request],
        keeper: &dyn Keeper,
        now: Timestamp,
    ) -> Result<PassReport, OpenStackError> {
        let snapshot = self.read(requests, now).await?;
        let plan = plan(&snapshot, requests, &self.settings, now);
        let images = snapshot.images.len();
        drop(snapshot);
        Ok(PassReport { outcomes: self.apply(plan, keeper, now).await, images })
    }
}
