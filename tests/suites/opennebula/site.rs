//! A site with one cloud: who is there, what is published, and passes over it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Mutex;

use harness::opennebula::{Cloud, Dialect, Image, State, World};
use jiff::Timestamp;
use secrecy::SecretString;
use vmcatcher_operator::cloud::{Claim, EventAttributes, Keeper, Reason, Source, StoredRecord, Wanted};
use vmcatcher_operator::convert::Form;
use vmcatcher_operator::imagelist::{ImageId, Sha512Digest};
use vmcatcher_operator::opennebula::carry_over::{
    Outcome, PassReport, Plan, Publisher, Record, Reference, Request, Settings, UpdateMode, Verdict, plan,
};
use vmcatcher_operator::opennebula::transport::Connection;
use vmcatcher_operator::opennebula::{Client, OneError};

use super::credential::{CATCHER, CREW, DORA, MANAGER};

pub(super) const IDENTIFIER: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";
pub(super) const ONEADMIN: u32 = 0;
pub(super) const ALICE: u32 = 2;
pub(super) const BOB: u32 = 3;
pub(super) const SERVICE: u32 = 4;
pub(super) const USERS: u32 = 1;
pub(super) const SITES: u32 = 100;

/// Records, kept as the volume would keep them.
#[derive(Debug, Default)]
pub(super) struct Kept(pub(super) Mutex<BTreeMap<ImageId, Record>>);

impl Keeper for Kept {
    fn keep(&self, identifier: &ImageId, record: &StoredRecord) -> Result<(), String> {
        self.0.lock().unwrap().insert(identifier.clone(), record.typed().unwrap());
        Ok(())
    }
}

/// What is wanted of one image: a version (its digest is that byte 64 times) or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Want<'a>(pub(super) &'a str, pub(super) Option<u8>);

pub(super) struct Site {
    pub(super) cloud: Cloud,
    pub(super) kept: Kept,
    pub(super) settings: Settings,
    pub(super) adopt: Option<u32>,
    /// What a list says of a version.
    pub(super) wanted: fn(u8) -> Wanted,
    client: Client,
    publisher: RefCell<Option<Publisher>>,
    runtime: tokio::runtime::Runtime,
}

/// The version of an image that has this byte in its digest.
pub(super) fn digest(version: u8) -> Sha512Digest {
    Sha512Digest::from_bytes([version; 64])
}

pub(super) fn id(text: &str) -> ImageId {
    text.parse().unwrap()
}

pub(super) fn client(cloud: &Cloud, session: &str) -> Client {
    let endpoint = cloud.endpoint().parse().unwrap();
    Client::new(Connection::new(endpoint, SecretString::from(session.to_owned()))).unwrap()
}

impl Site {
    pub(super) fn new() -> Self {
        Self::of(Dialect::V7_4, UpdateMode::Staged)
    }

    pub(super) fn of(dialect: Dialect, mode: UpdateMode) -> Self {
        let cloud = Cloud::start(dialect);
        cloud.world(|world| {
            world.add_group(SITES, "sites");
            world.add_user(ALICE, "alice", "alicepw", USERS);
            world.add_user(BOB, "bob", "bobpw", USERS);
            world.add_user(SERVICE, "service", "servicepw", ONEADMIN);
            world.users.get_mut(&ALICE).unwrap().groups.insert(SITES);
            world.add_group(CREW, "crew");
            world.add_user(MANAGER, "manager", "managerpw", CREW);
            world.add_user(DORA, "dora", "dorapw", CREW);
            world.add_user(CATCHER, "catcher", "catcherpw", USERS);
            world.users.get_mut(&CATCHER).unwrap().groups.insert(SITES);
            world.add_administrator(MANAGER, CREW);
        });
        let claim = Claim { instance: "site".to_owned(), namespace: "default".to_owned() };
        let mut settings = Settings::new(claim, Reference::Name("default".to_owned()));
        settings.mode = mode;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = client(&cloud, "oneadmin:opennebula-test");
        Self {
            cloud,
            kept: Kept::default(),
            settings,
            adopt: None,
            wanted,
            client,
            publisher: RefCell::default(),
            runtime,
        }
    }

    /// From now on the operator is this user there.
    pub(super) fn act_as(&mut self, session: &str) {
        self.client = client(&self.cloud, session);
        self.restart();
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.cloud.world(|world| world.clock)).unwrap()
    }

    pub(super) fn record(&self, identifier: &str) -> Record {
        self.kept.0.lock().unwrap().get(&id(identifier)).cloned().unwrap_or_default()
    }

    pub(super) fn request(&self, Want(identifier, version): Want<'_>) -> Request {
        Request {
            identifier: id(identifier),
            wanted: version.map(|version| (self.wanted)(version)),
            record: self.record(identifier),
            adopt: self.adopt,
        }
    }

    /// The operator is started anew: it knows nothing but its records.
    pub(super) fn restart(&self) {
        self.publisher.take();
    }

    fn with_publisher<T>(&self, act: impl AsyncFnOnce(&Publisher) -> T) -> T {
        let mut cell = self.publisher.borrow_mut();
        let running = cell.take().filter(|publisher| *publisher.settings() == self.settings);
        let new = || Publisher::new(self.client.clone(), self.settings.clone());
        let publisher = cell.insert(running.unwrap_or_else(new));
        self.runtime.block_on(act(publisher))
    }

    /// One pass.
    pub(super) fn pass(&self, wants: &[Want<'_>]) -> Result<PassReport, OneError> {
        let requests: Vec<_> = wants.iter().map(|want| self.request(*want)).collect();
        let now = self.now();
        self.with_publisher(async |publisher| publisher.pass(&requests, &self.kept, now).await)
    }

    fn planned(&self, wants: &[Want<'_>]) -> Result<Plan, OneError> {
        let requests: Vec<_> = wants.iter().map(|want| self.request(*want)).collect();
        let now = self.now();
        self.with_publisher(async |publisher| {
            let (cloud, snapshot) = publisher.read(&requests, now).await?;
            Ok(plan(&snapshot, &requests, publisher.settings(), &cloud, now))
        })
    }

    /// What such a pass would do, as text.
    pub(super) fn plan(&self, wants: &[Want<'_>]) -> String {
        self.planned(wants).unwrap().to_string()
    }

    /// Passes, a second apart, until nothing is left to do. Gives the last outcome of each.
    pub(super) fn converge(&self, wants: &[Want<'_>]) -> Vec<Outcome> {
        for _ in 0..12 {
            let report = self.pass(wants);
            let seconds = report.as_ref().map_or(1, |report| self.seconds_to_wait(report));
            self.cloud.world(|world| world.advance(seconds));
            let settled = |verdict: &Verdict| matches!(verdict, Verdict::Published { .. } | Verdict::Retired);
            if let (Ok(report), Ok(plan)) = (report, self.planned(wants))
                && report.outcomes.iter().all(|outcome| settled(&outcome.verdict) && outcome.unfinished.is_empty())
                && plan
                    .images
                    .iter()
                    .all(|image| image.is_idle() && settled(&image.verdict) && image.unfinished.is_empty())
            {
                return report.outcomes;
            }
        }
        panic!("not settled after 12 passes:\n{}", self.plan(wants));
    }

    /// A registration that was not answered is waited for as long as the pass says; else a second.
    fn seconds_to_wait(&self, report: &PassReport) -> i64 {
        let until = report.outcomes.iter().filter_map(|outcome| match outcome.verdict {
            Verdict::Waiting { reason: Reason::Importing, until, .. } => until,
            Verdict::Waiting { .. } | Verdict::Published { .. } | Verdict::Retired => None,
        });
        until.map(|until| until.duration_since(self.now()).as_secs()).max().unwrap_or(0).max(1)
    }

    /// One version of the usual image, published.
    pub(super) fn publish(&self, version: u8) -> u32 {
        match self.converge(&[Want(IDENTIFIER, Some(version))])[0].verdict {
            Verdict::Published { id } => id,
            ref other => panic!("{other}"),
        }
    }

    /// The condition of the only image after one pass: reason and message.
    pub(super) fn condition(&self, version: Option<u8>) -> (Reason, String) {
        condition(&self.pass(&[Want(IDENTIFIER, version)]).unwrap().outcomes[0].verdict)
    }

    pub(super) fn image(&self, image: u32) -> Image {
        self.cloud.world(|world| world.image(image).clone())
    }

    pub(super) fn images(&self) -> Vec<Image> {
        self.cloud.world(|world| world.images.values().cloned().collect())
    }
}

pub(super) fn condition(verdict: &Verdict) -> (Reason, String) {
    match verdict {
        Verdict::Published { id } => (Reason::Published, id.to_string()),
        Verdict::Retired => (Reason::Retired, String::new()),
        Verdict::Waiting { reason, message, .. } => (*reason, message.clone()),
    }
}

pub(super) fn wanted(version: u8) -> Wanted {
    let event = EventAttributes {
        title: Some("CernVM 4".to_owned()),
        description: Some("A machine for \"physics\" & more".to_owned()),
        hypervisor: Some("kvm".to_owned()),
        size: Some("10485760".to_owned()),
        uri: Some("https://images.example.org/cernvm.qcow2".to_owned()),
        format: Some("qcow2".to_owned()),
        version: Some(format!("4.{version}")),
        arch: Some("x86_64".to_owned()),
        os: Some("Linux".to_owned()),
        os_version: Some("8".to_owned()),
        list_identifier: Some("63175437-7d59-4851-b333-c96cb6545a86".to_owned()),
        filename: Some(IDENTIFIER.to_owned()),
        vo: Some("atlas".to_owned()),
        ..EventAttributes::default()
    };
    let location = format!("/var/lib/vmcatcher/endorsed/{version}.qcow2");
    let (format, sha512, size) = (Form::Qcow2, digest(version), 10_485_760);
    let source = Source { location, format, sha1: Some("ab".repeat(20)), sha512, size };
    Wanted { sha512: digest(version), event, source: Some(source) }
}

/// Whether a VM could be started from an image of this name and owner.
pub(super) fn resolves(world: &World, name: &str, uid: u32) -> bool {
    let usable = |image: &Image| matches!(image.state, State::Ready | State::Used) && !image.source.is_empty();
    world.find(name, uid).is_some_and(usable)
}

/// `staged` and the like: the role an image has.
pub(super) fn role(image: &Image) -> &str {
    image.attributes.get("VMCATCHER_ROLE").map_or("", String::as_str)
}
