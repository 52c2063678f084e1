//! An OpenNebula as the reconciler of `CloudTarget` uses it.

use std::fmt;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;

use super::carry_over::{self, Metadata, Publisher, Request, Settings};
use super::client::Client;
use super::transport::Connection;
use crate::cloud::{self, About, AnyOutcome, AnyRequest, CloudError, Keeper, LeadershipGuard, PlannedImage};
use crate::metrics::Metrics;

/// The connection to an OpenNebula, and the settings of the target.
#[derive(Debug, Clone)]
pub struct Target {
    /// The connection.
    pub connection: Connection,
    /// The settings.
    pub settings: Settings,
}

impl cloud::Connection for Target {
    fn digest(&self, add: &mut dyn FnMut(&[u8])) {
        let connection = &self.connection;
        add(connection.endpoint.as_str().as_bytes());
        add(connection.session.expose_secret().as_bytes());
        if let Some(pem) = &connection.authorities {
            add(pem);
        }
        if let Some((certificate, key)) = &connection.identity {
            add(certificate);
            add(key.expose_secret().as_bytes());
        }
        add(format!("{:?}", self.settings).as_bytes());
    }

    fn connect(&self, permit: LeadershipGuard, metrics: Metrics) -> Result<Arc<dyn cloud::Cloud>, CloudError> {
        let client = Client::new(self.connection.clone())?.with_permit(permit).with_metrics(metrics);
        Ok(Arc::new(Session(Arc::new(Publisher::new(client, self.settings.clone())))))
    }
}

#[derive(Debug)]
struct Session(Arc<Publisher>);

impl cloud::Cloud for Session {
    fn read<'a>(
        &'a self,
        requests: &'a [AnyRequest],
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Box<dyn cloud::Snapshot>, CloudError>> {
        async move {
            let publisher = self.0.clone();
            let requests: Vec<Request> = requests.iter().map(cloud::request::typed_or_new::<u32, Metadata>).collect();
            let (cloud, pool) = publisher.read(&requests, now).await?;
            Ok(Box::new(Snapshot { publisher, cloud, pool, requests }) as Box<dyn cloud::Snapshot>)
        }
        .boxed()
    }
}

#[derive(Debug)]
struct Snapshot {
    publisher: Arc<Publisher>,
    cloud: carry_over::Cloud,
    pool: carry_over::Snapshot,
    requests: Vec<Request>,
}

impl cloud::Snapshot for Snapshot {
    fn about(&self) -> About {
        let carry_over::Cloud { version, user, .. } = &self.cloud;
        About { version: version.text.clone(), text: format!("OpenNebula {} as {}", version.text, user.name) }
    }

    fn plan(&self, now: Timestamp) -> Box<dyn cloud::Plan> {
        let steps = carry_over::plan(&self.pool, &self.requests, self.publisher.settings(), &self.cloud, now);
        Box::new(Plan { publisher: self.publisher.clone(), cloud: self.cloud.clone(), steps })
    }
}

#[derive(Debug)]
struct Plan {
    publisher: Arc<Publisher>,
    cloud: carry_over::Cloud,
    steps: carry_over::Plan,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.fmt(f)
    }
}

impl cloud::Plan for Plan {
    fn images(&mut self) -> Vec<&mut dyn PlannedImage> {
        self.steps.images.iter_mut().map(|image| image as &mut dyn PlannedImage).collect()
    }

    fn apply(self: Box<Self>, keeper: &dyn Keeper, now: Timestamp) -> BoxFuture<'_, Vec<AnyOutcome>> {
        let Self { publisher, cloud, steps } = *self;
        async move {
            let outcomes = publisher.apply(steps, &cloud, keeper, now).await;
            outcomes.into_iter().map(carry_over::Outcome::any).collect()
        }
        .boxed()
    }
}
