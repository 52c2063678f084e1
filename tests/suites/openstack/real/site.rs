//! A site whose cloud is real: what is published, passes over it, and how an independent client reads it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use harness::openstack::RealOpenStack;
use harness::patience::until;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};
use uuid::Uuid;
use vmcatcher_operator::cloud::{Claim, EventAttributes, Keeper, Source, StoredRecord, Wanted};
use vmcatcher_operator::convert::Form;
use vmcatcher_operator::imagelist::{ImageId, Sha512Digest};
use vmcatcher_operator::openstack::carry_over::{Outcome, PassReport, Publisher, Record, Request, Verdict, plan};
use vmcatcher_operator::openstack::credentials::{Domain, Project, User};
use vmcatcher_operator::openstack::settings::Transfer;
use vmcatcher_operator::openstack::{Client, Connection, Credentials, OpenStackError, Settings};

/// Records, kept as the volume would keep them.
#[derive(Debug, Default)]
struct Kept(Mutex<BTreeMap<ImageId, Record>>);

impl Keeper for Kept {
    fn keep(&self, identifier: &ImageId, record: &StoredRecord) -> Result<(), String> {
        self.0.lock().unwrap().insert(identifier.clone(), record.typed().unwrap());
        Ok(())
    }
}

/// What is wanted of one image: a version, or nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want<'a>(pub(super) &'a str, pub(super) Option<u8>);

pub(super) struct Site {
    pub(super) client: Client,
    pub(super) settings: Settings,
    /// What the list says of all images.
    pub(super) comment: String,
    /// An image that a user named for adoption.
    pub(super) adopt: Option<Uuid>,
    /// The bytes of each version: their size is that of the first file.
    pub(super) size: usize,
    /// Where Glance downloads the bytes, if it does.
    pub(super) location: Option<String>,
    /// The steps that were done in all passes.
    pub(super) done: Vec<String>,
    /// The notes of all passes.
    pub(super) notes: Vec<String>,
    publisher: Option<Publisher>,
    kept: Kept,
    files: tempfile::TempDir,
    later: SignedDuration,
}

/// The operator's credential, `vmcatcher`, or one that may only read, `readonly`.
pub(super) fn application_credential(servers: &RealOpenStack, name: &str) -> Credentials {
    let id = servers.credentials[name].clone();
    Credentials::ApplicationCredentialId { id, secret: servers.password.clone().into() }
}

/// A user of a project of the same domain.
pub(super) fn person(servers: &RealOpenStack, user: &str, project: &str, domain: &str) -> Credentials {
    let domain = || Domain::Name(domain.to_owned());
    Credentials::Password {
        user: User::Name { name: user.to_owned(), domain: domain() },
        password: servers.password.clone().into(),
        project: Project::Name { name: project.to_owned(), domain: domain() },
    }
}

pub(super) fn administrator(servers: &RealOpenStack) -> Credentials {
    person(servers, "admin", "admin", "Default")
}

/// A client of the servers.
pub(super) fn client(auth_url: &str, credentials: Credentials) -> Client {
    Client::new(Connection::new(auth_url.parse().unwrap(), credentials)).unwrap()
}

impl Site {
    /// The site of an operator whose images have this claim.
    pub(super) fn new(servers: &RealOpenStack, instance: &str) -> Self {
        Self::of(client(&servers.auth_url, application_credential(servers, "vmcatcher")), instance)
    }

    pub(super) fn of(client: Client, instance: &str) -> Self {
        let claim = Claim { instance: instance.to_owned(), namespace: "default".to_owned() };
        Self {
            client,
            settings: Settings::new(claim),
            comment: "first".to_owned(),
            adopt: None,
            size: 3000,
            location: None,
            done: Vec::new(),
            notes: Vec::new(),
            publisher: None,
            kept: Kept::default(),
            files: tempfile::tempdir().unwrap(),
            later: SignedDuration::ZERO,
        }
    }

    pub(super) fn pass_time(&mut self, time: SignedDuration) {
        self.later += time;
    }

    fn now(&self) -> Timestamp {
        Timestamp::now() + self.later
    }

    /// The bytes of a version.
    pub(super) fn bytes(&self, version: u8) -> Vec<u8> {
        vec![version; self.size]
    }

    pub(super) fn digest(&self, version: u8) -> Sha512Digest {
        Sha512Digest::from_bytes(Sha512::digest(self.bytes(version)).into())
    }

    fn wanted(&self, identifier: &str, version: u8) -> Wanted {
        let path = self.files.path().join(version.to_string());
        if !path.exists() {
            std::fs::write(&path, self.bytes(version)).unwrap();
        }
        let location = self.location.clone().unwrap_or_else(|| path.display().to_string());
        let event = EventAttributes {
            title: Some(format!("Image {identifier}")),
            version: Some(format!("4.{version}")),
            comments: Some(self.comment.clone()),
            os: Some("Ubuntu".to_owned()),
            os_version: Some("22.04".to_owned()),
            arch: Some("x86_64".to_owned()),
            ..EventAttributes::default()
        };
        let (sha512, size) = (self.digest(version), u64::try_from(self.size).unwrap());
        Wanted { sha512, event, source: Some(Source { location, format: Form::Raw, sha1: None, sha512, size }) }
    }

    fn request(&self, Want(identifier, version): Want<'_>) -> Request {
        let wanted = version.map(|version| self.wanted(identifier, version));
        Request { identifier: identifier.parse().unwrap(), wanted, record: self.record(identifier), adopt: self.adopt }
    }

    pub(super) fn record(&self, identifier: &str) -> Record {
        self.kept.0.lock().unwrap().get(&identifier.parse::<ImageId>().unwrap()).cloned().unwrap_or_default()
    }

    /// The operator is started anew: it knows nothing but its records, and its uploads end.
    pub(super) fn restart(&mut self) {
        self.publisher = None;
    }

    /// The same, without its records.
    pub(super) fn lose_records(&mut self) {
        self.kept.0.lock().unwrap().clear();
        self.restart();
    }

    fn publisher(&mut self) -> &Publisher {
        let new = || Publisher::new(self.client.clone(), self.settings.clone());
        self.publisher.get_or_insert_with(new)
    }

    pub(super) async fn pass(&mut self, wants: &[Want<'_>]) -> Result<PassReport, OpenStackError> {
        let requests: Vec<_> = wants.iter().map(|want| self.request(*want)).collect();
        let now = self.now();
        self.publisher();
        let report = self.publisher.as_ref().unwrap().pass(&requests, &self.kept, now).await?;
        self.done.extend(report.outcomes.iter().flat_map(|outcome| outcome.done.iter().cloned()));
        self.notes.extend(report.outcomes.iter().flat_map(|outcome| outcome.notes.iter().cloned()));
        Ok(report)
    }

    /// Waits until no upload is running.
    pub(super) async fn uploaded(&mut self) {
        let publisher = self.publisher();
        until("no upload is running", async || publisher.uploading() == 0).await;
    }

    /// Passes until nothing is left to do.
    pub(super) async fn converge(&mut self, wants: &[Want<'_>]) -> Vec<Outcome> {
        for _ in 0..20 {
            self.pass(wants).await.unwrap();
            self.uploaded().await;
            let outcomes = self.pass(wants).await.unwrap().outcomes;
            let is_open = |outcome: &Outcome| outcome.copying || matches!(outcome.verdict, Verdict::Waiting { .. });
            if !outcomes.iter().any(is_open) && self.is_idle(wants).await {
                return outcomes;
            }
            self.pass_time(SignedDuration::from_secs(61));
        }
        let outcomes = self.pass(wants).await.unwrap().outcomes;
        let waiting: Vec<_> = outcomes.iter().map(waiting).filter(|(reason, _)| *reason != "none").collect();
        panic!("it does not converge: {waiting:#?}");
    }

    async fn is_idle(&mut self, wants: &[Want<'_>]) -> bool {
        let requests: Vec<_> = wants.iter().map(|want| self.request(*want)).collect();
        let now = self.now();
        let snapshot = self.publisher().read(&requests, now).await.unwrap();
        let plan = plan(&snapshot, &requests, &self.settings, now);
        plan.images.iter().all(|image| image.is_idle() && !image.record_changed())
    }

    /// The id of the image in circulation.
    pub(super) async fn published(&mut self, want: Want<'_>) -> Uuid {
        let outcomes = self.converge(&[want]).await;
        match &outcomes[0].verdict {
            Verdict::Published { id } => *id,
            Verdict::Retired | Verdict::Waiting { .. } => panic!("expected it to be published, found {outcomes:#?}"),
        }
    }

    /// The steps of all passes whose text starts so, since this was called last.
    pub(super) fn take_done(&mut self, start: &str) -> usize {
        std::mem::take(&mut self.done).iter().filter(|step| step.starts_with(start)).count()
    }

    /// Lets Glance download the bytes from there.
    pub(super) fn import_from(&mut self, location: &str) {
        (self.settings.transfer, self.location) = (Transfer::Import, Some(location.to_owned()));
        self.restart();
    }
}

/// The reason and the message of an image that waits.
pub(super) fn waiting(outcome: &Outcome) -> (&'static str, &str) {
    match &outcome.verdict {
        Verdict::Waiting { reason, message, .. } => (reason.as_str(), message),
        Verdict::Published { .. } | Verdict::Retired => ("none", "it does not wait"),
    }
}

/// All images of the project of this cloud, hidden ones too, by their ids, as openstacksdk reads them.
pub(super) fn overview(servers: &RealOpenStack, cloud: &str) -> BTreeMap<String, Value> {
    let images = servers.client(cloud, "overview", &json!({}));
    let images = images.as_array().unwrap_or_else(|| panic!("expected images, found {images}"));
    images.iter().map(|image| (image["id"].as_str().unwrap().to_owned(), image.clone())).collect()
}

/// A property, as openstacksdk reads it.
pub(super) fn property<'a>(image: &'a Value, name: &str) -> &'a str {
    image["properties"][name].as_str().or_else(|| image[name].as_str()).unwrap_or_default()
}

/// The images of an identifier, by their roles.
pub(super) fn of_role<'a>(images: &'a BTreeMap<String, Value>, identifier: &str, role: &str) -> Vec<&'a Value> {
    let of = |image: &&Value| {
        property(image, "vmcatcher_event_dc_identifier") == identifier && property(image, "vmcatcher_role") == role
    };
    images.values().filter(of).collect()
}
