//! A site with one cloud: what is published, and passes over it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Mutex;

use harness::openstack::{ADMIN, Image, OpenStack, PASSWORD, PUBLISHER, VMCATCHER, ids};
use harness::patience::until;
use jiff::Timestamp;
use sha2::{Digest as _, Sha512};
use vmcatcher_operator::cloud::{Claim, EventAttributes, Keeper, Source, StoredRecord, Wanted};
use vmcatcher_operator::convert::Form;
use vmcatcher_operator::imagelist::{ImageId, Sha512Digest};
use vmcatcher_operator::openstack::carry_over::{Outcome, PassReport, Publisher, Record, Request, Verdict, plan};
use vmcatcher_operator::openstack::credentials::{Project, User};
use vmcatcher_operator::openstack::{Client, Connection, Credentials, OpenStackError, Settings};

pub(super) const IDENTIFIER: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";

/// Records, kept as the volume would keep them.
#[derive(Debug, Default)]
pub(super) struct Kept(pub(super) Mutex<BTreeMap<ImageId, Record>>);

impl Keeper for Kept {
    fn keep(&self, identifier: &ImageId, record: &StoredRecord) -> Result<(), String> {
        self.0.lock().unwrap().insert(identifier.clone(), record.typed().unwrap());
        Ok(())
    }
}

/// What is wanted of one image: a version or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Want<'a>(pub(super) &'a str, pub(super) Option<u8>);

pub(super) struct Site {
    pub(super) cloud: OpenStack,
    pub(super) kept: Kept,
    pub(super) settings: Settings,
    /// Where Glance reads the bytes, if it does itself.
    pub(super) location: Option<String>,
    client: Client,
    publisher: RefCell<Option<Publisher>>,
    files: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

/// The bytes of a version.
pub(super) fn bytes(version: u8) -> Vec<u8> {
    vec![version; 5000]
}

fn digest(version: u8) -> Sha512Digest {
    Sha512Digest::from_bytes(Sha512::digest(bytes(version)).into())
}

impl Site {
    pub(super) fn new() -> Self {
        let credentials =
            Credentials::ApplicationCredentialId { id: VMCATCHER.to_owned(), secret: PASSWORD.to_owned().into() };
        Self::of(credentials)
    }

    /// The operator is an administrator, with images in a project of its own.
    pub(super) fn of_administrator() -> Self {
        Self::of(Credentials::Password {
            user: User::Id(ids::ADMIN_USER.to_owned()),
            password: PASSWORD.to_owned().into(),
            project: Project::Id(ADMIN.to_owned()),
        })
    }

    fn of(credentials: Credentials) -> Self {
        let cloud = OpenStack::start();
        let claim = Claim { instance: "site".to_owned(), namespace: "default".to_owned() };
        let client = Client::new(Connection::new(cloud.auth_url().parse().unwrap(), credentials)).unwrap();
        let files = tempfile::tempdir().unwrap();
        for version in 1..=3 {
            std::fs::write(files.path().join(version.to_string()), bytes(version)).unwrap();
        }
        Self {
            cloud,
            kept: Kept::default(),
            settings: Settings::new(claim),
            location: None,
            client,
            publisher: RefCell::default(),
            files,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.cloud.world(|world| world.clock)).unwrap()
    }

    fn wanted(&self, version: u8) -> Wanted {
        let file = || self.files.path().join(version.to_string()).display().to_string();
        let location = self.location.clone().unwrap_or_else(file);
        let event = EventAttributes {
            title: Some("EGI Ubuntu".to_owned()),
            version: Some(format!("4.{version}")),
            ..EventAttributes::default()
        };
        let (sha512, size) = (digest(version), bytes(version).len() as u64);
        let source = Source { location, format: Form::Raw, sha1: None, sha512, size };
        Wanted { sha512, event, source: Some(source) }
    }

    fn request(&self, Want(identifier, version): Want<'_>) -> Request {
        let identifier: ImageId = identifier.parse().unwrap();
        let record = self.kept.0.lock().unwrap().get(&identifier).cloned().unwrap_or_default();
        Request { identifier, wanted: version.map(|version| self.wanted(version)), record, adopt: None }
    }

    /// The operator is started anew: it knows nothing but its records, and its uploads end.
    pub(super) fn restart(&self) {
        self.publisher.take();
        self.runtime.block_on(async { tokio::task::yield_now().await });
    }

    fn with_publisher<T>(&self, act: impl AsyncFnOnce(&Publisher) -> T) -> T {
        let mut cell = self.publisher.borrow_mut();
        let new = || Publisher::new(self.client.clone(), self.settings.clone());
        let publisher = cell.get_or_insert_with(new);
        self.runtime.block_on(act(publisher))
    }

    pub(super) fn pass(&self, wants: &[Want<'_>]) -> Result<PassReport, OpenStackError> {
        let requests: Vec<_> = wants.iter().map(|want| self.request(*want)).collect();
        let now = self.now();
        self.with_publisher(async |publisher| publisher.pass(&requests, &self.kept, now).await)
    }

    /// Waits until no upload is running.
    pub(super) fn uploaded(&self) {
        self.with_publisher(async |publisher| {
            until("no upload is running", async || publisher.uploading() == 0).await;
        });
    }

    /// Waits until the only image has this status.
    pub(super) fn cloud_has(&self, status: &str) {
        self.until(status, || self.images().iter().all(|image| image.status == status));
    }

    /// Waits until the last import ended like this.
    pub(super) fn cloud_imports(&self, status: &str) {
        self.until(status, || self.cloud.world(|world| world.tasks.last().is_some_and(|task| task.status == status)));
    }

    fn until(&self, expected: &str, holds: impl Fn() -> bool) {
        self.runtime.block_on(harness::patience::until(expected, async || holds()));
    }

    /// Passes until nothing is left to do.
    pub(super) fn converge(&self, wants: &[Want<'_>]) -> Vec<Outcome> {
        for _ in 0..40 {
            let outcomes = self.pass(wants).unwrap().outcomes;
            self.uploaded();
            let is_waiting = |outcome: &Outcome| outcome.copying || matches!(outcome.verdict, Verdict::Waiting { .. });
            if !outcomes.iter().any(is_waiting) && self.is_idle(wants) {
                return outcomes;
            }
            self.cloud.world(|world| world.advance(61));
        }
        panic!("it does not converge: {:#?}", self.pass(wants));
    }

    fn is_idle(&self, wants: &[Want<'_>]) -> bool {
        let requests: Vec<_> = wants.iter().map(|want| self.request(*want)).collect();
        let now = self.now();
        let snapshot = self.with_publisher(async |publisher| publisher.read(&requests, now).await.unwrap());
        let plan = plan(&snapshot, &requests, &self.settings, now);
        plan.images.iter().all(|image| image.is_idle() && !image.record_changed())
    }

    pub(super) fn images(&self) -> Vec<Image> {
        self.cloud.world(|world| world.images.values().cloned().collect())
    }
}

/// The project of the operator of [`Site::new`].
pub(super) const PROJECT: &str = PUBLISHER;

pub(super) fn property<'a>(image: &'a Image, name: &str) -> &'a str {
    image.properties.get(name).map_or("", String::as_str)
}
