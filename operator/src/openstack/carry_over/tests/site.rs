//! A site with one cloud in memory: what is wanted, what is recorded, and passes over it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use futures::executor::block_on;
use uuid::Uuid;

use super::world::Model;
use crate::cloud::{Claim, EventAttributes, Keeper, Source, StoredRecord, Wanted};
use crate::convert::Form;
use crate::imagelist::{ImageId, Sha512Digest};
use crate::openstack::carry_over::properties::{Role, property, site_properties, site_tags};
use crate::openstack::carry_over::read::{Known, read};
use crate::openstack::carry_over::{Outcome, Plan, Record, Request, apply, plan};
use crate::openstack::error::OpenStackError;
use crate::openstack::image::{Image, MemberStatus};
use crate::openstack::settings::Settings;

pub(super) const IDENTIFIER: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";

#[derive(Default)]
pub(super) struct Kept(pub(super) Mutex<BTreeMap<ImageId, Record>>);

impl Keeper for Kept {
    fn keep(&self, identifier: &ImageId, record: &StoredRecord) -> Result<(), String> {
        self.0.lock().unwrap().insert(identifier.clone(), record.typed().unwrap());
        Ok(())
    }
}

/// One version, by a byte; `None` for nothing.
pub(super) type Want = Option<u8>;

pub(super) struct Site {
    pub(super) model: Model,
    pub(super) kept: Kept,
    pub(super) settings: Settings,
    pub(super) adopt: Option<Uuid>,
    /// Whether versions are sent in another form.
    pub(super) converts: bool,
    pub(super) wanted: fn(&Site, u8) -> Wanted,
    /// Whether this process listed hidden images.
    listed_hidden: RefCell<bool>,
}

pub(super) fn digest(byte: u8) -> Sha512Digest {
    Sha512Digest::from_bytes([byte; 64])
}

pub(super) fn identifier() -> ImageId {
    IDENTIFIER.parse().unwrap()
}

pub(super) fn claim() -> Claim {
    Claim { instance: "site".to_owned(), namespace: "default".to_owned() }
}

/// What a list says of a version.
pub(super) fn wanted(site: &Site, version: u8) -> Wanted {
    let text = |text: &str| Some(text.to_owned());
    let event = EventAttributes {
        title: text("EGI Ubuntu"),
        version: Some(format!("4.{version}")),
        os: text("Ubuntu"),
        os_version: text("22.04"),
        arch: text("x86_64"),
        mpuri: text("https://apps.example.org/1"),
        vo: text("ops"),
        ..EventAttributes::default()
    };
    let sent = digest(if site.converts { version + 100 } else { version });
    let form = Form::Qcow2;
    let source = Source { location: sent.to_string(), format: form, sha1: None, sha512: sent, size: 4096 };
    Wanted { sha512: digest(version), event, source: Some(source) }
}

impl Site {
    pub(super) fn new() -> Self {
        Self {
            model: Model::default(),
            kept: Kept::default(),
            settings: Settings::new(claim()),
            adopt: None,
            converts: false,
            wanted,
            listed_hidden: RefCell::new(false),
        }
    }

    pub(super) fn record(&self) -> Record {
        self.kept.0.lock().unwrap().get(&identifier()).cloned().unwrap_or_default()
    }

    pub(super) fn request(&self, want: Want) -> Request {
        Request {
            identifier: identifier(),
            wanted: want.map(|version| (self.wanted)(self, version)),
            record: self.record(),
            adopt: self.adopt,
        }
    }

    /// A new process, which knows nothing but the records.
    pub(super) fn restart(&self) {
        self.model.world().restart();
        *self.listed_hidden.borrow_mut() = false;
    }

    pub(super) fn plan(&self, want: Want) -> Result<Plan, OpenStackError> {
        let requests = [self.request(want)];
        let (now, fresh) = {
            let mut world = self.model.world();
            (world.now, vec![world.fresh()])
        };
        let adopted = BTreeSet::new();
        let list_hidden = !*self.listed_hidden.borrow();
        let known = Known { adopted: &adopted, list_hidden };
        let snapshot = block_on(read(&self.model, (&requests, &self.settings), &known, fresh, now))?;
        *self.listed_hidden.borrow_mut() = true;
        let made = plan(&snapshot, &requests, &self.settings, now);
        assert_eq!(made, plan(&snapshot, &requests, &self.settings, now), "the same input gives the same plan");
        Ok(made)
    }

    /// A pass.
    pub(super) fn pass(&self, want: Want) -> Result<Outcome, OpenStackError> {
        let plan = self.plan(want)?;
        let now = self.model.world().now;
        let mut outcomes = block_on(apply(plan, &self.model, &self.kept, 8, now));
        let outcome = outcomes.remove(0);
        // What was not kept is lost.
        assert_eq!(self.kept.0.lock().unwrap().get(&identifier()).cloned().unwrap_or_default(), outcome.record);
        Ok(outcome)
    }

    /// Passes, with the ends of uploads and some time between them, until nothing is left to do.
    pub(super) fn converge(&self, want: Want) -> Outcome {
        for _ in 0..60 {
            let outcome = self.pass(want).unwrap();
            let idle = self.model.world().uploads.is_empty() && self.plan(want).unwrap().images[0].is_idle();
            self.model.world().finish_uploads();
            if idle && !self.is_paused(&outcome) {
                return outcome;
            }
            self.model.world().advance(61);
        }
        panic!("it does not converge: {}", self.plan(want).unwrap());
    }

    fn is_paused(&self, outcome: &Outcome) -> bool {
        let now = self.model.world().now;
        matches!(&outcome.verdict, crate::openstack::carry_over::Verdict::Waiting { until: Some(until), .. } if *until > now)
    }

    pub(super) fn images(&self) -> Vec<Image> {
        self.model.world().images.values().cloned().collect()
    }

    /// The only image with a role.
    pub(super) fn only(&self, role: &str) -> Image {
        let mut images = self.images();
        images.retain(|image| property(image, "vmcatcher_role") == role);
        assert_eq!(images.len(), 1, "{images:#?}");
        images.remove(0)
    }

    pub(super) fn current(&self) -> Image {
        self.only("current")
    }

    pub(super) fn members_of(&self, image: &Image) -> BTreeMap<String, MemberStatus> {
        self.model.world().members.get(&image.id).cloned().unwrap_or_default()
    }

    /// What a person does to the image in circulation.
    pub(super) fn change(&self, change: impl FnOnce(&mut Image)) {
        let id = self.current().id;
        change(self.model.world().images.get_mut(&id).unwrap());
    }

    /// What is seen of all images once all is done: ids and times left out. What one refusal can prevent of a retirement is
    /// left out too, unless it is `whole`.
    pub(super) fn summary(&self, whole: bool) -> Vec<String> {
        let shown = |image: &Image| {
            let role = Role::read(image);
            let name = image.name.clone().unwrap_or_default();
            let name = name.split("_2026-").next().unwrap_or_default().to_owned();
            let whole = whole || role != Some(Role::Retired);
            let status = if whole { image.status.as_str() } else { "" };
            let members = if whole { self.members_of(image) } else { BTreeMap::new() };
            format!(
                "{role:?} {name} {} hidden {} protected {} {status} {:?} {:?} {:?} {} {}",
                image.visibility,
                image.os_hidden,
                image.protected,
                site_tags(image),
                site_properties(image),
                members,
                property(image, "vmcatcher_event_hv_version"),
                image.os_hash_value.as_deref().unwrap_or_default(),
            )
        };
        let mut all: Vec<String> = self.images().iter().map(shown).collect();
        all.sort();
        all
    }
}
