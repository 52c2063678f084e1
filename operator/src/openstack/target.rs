//! An OpenStack as the reconciler of `CloudTarget` uses it.

use std::fmt;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::carry_over::{self, Metadata, Publisher, Request};
use super::client::Client;
use super::connection::Connection;
use super::settings::Settings;
use crate::cloud::{self, About, AnyOutcome, AnyRequest, CloudError, Keeper, LeadershipGuard, PlannedImage};
use crate::metrics::Metrics;

/// The connection to an OpenStack, and the settings of the target.
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
        // It shows all but the secrets.
        add(format!("{connection:?}").as_bytes());
        add(connection.credentials.secret().expose_secret().as_bytes());
        if let Some((_, key)) = &connection.identity {
            add(key.expose_secret().as_bytes());
        }
        add(format!("{:?}", self.settings).as_bytes());
    }

    fn connect(&self, permit: LeadershipGuard, metrics: Metrics) -> Result<Arc<dyn cloud::Cloud>, CloudError> {
        let client = Client::new(self.connection.clone())?.with_permit(permit).with_metrics(metrics);
        let publisher = Publisher::new(client, self.settings.clone());
        Ok(Arc::new(Session(Arc::new(publisher))))
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
            let requests: Vec<Request> = requests.iter().map(cloud::request::typed_or_new::<Uuid, Metadata>).collect();
            let images = publisher.read(&requests, now).await?;
            Ok(Box::new(Snapshot { publisher, images, requests }) as Box<dyn cloud::Snapshot>)
        }
        .boxed()
    }
}

#[derive(Debug)]
struct Snapshot {
    publisher: Arc<Publisher>,
    images: carry_over::Snapshot,
    requests: Vec<Request>,
}

impl cloud::Snapshot for Snapshot {
    fn about(&self) -> About {
        let account = &self.images.account;
        let text = format!("OpenStack as {} in the project {}", account.user, account.project_name);
        About { version: "Image API v2".to_owned(), text: crate::text::printable(&text).into_owned() }
    }

    fn plan(&self, now: Timestamp) -> Box<dyn cloud::Plan> {
        let steps = carry_over::plan(&self.images, &self.requests, self.publisher.settings(), now);
        Box::new(Plan { publisher: self.publisher.clone(), steps })
    }
}

#[derive(Debug)]
struct Plan {
    publisher: Arc<Publisher>,
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
        let Self { publisher, steps } = *self;
        async move {
            let outcomes = publisher.apply(steps, keeper, now).await;
            outcomes.into_iter().map(carry_over::Outcome::any).collect()
        }
        .boxed()
    }
}
