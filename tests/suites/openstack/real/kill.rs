//! The whole process is killed with -9 at moments of its calls to real Keystone and Glance. The next run ends the same.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};

use harness::openstack::{Detour, Moment, RealOpenStack};
use harness::patience::found;
use harness::site::{Served, Site as Lists};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use vmcatcher_operator::openstack::glance::ImageFilter;
use vmcatcher_operator::openstack::{Client, Image, ImageStatus, Visibility};

use super::life::{lists, qcow2};
use super::site::{application_credential, client, of_role, overview};
use crate::reconcile::process::operator;

const IMAGES: [&str; 2] = ["aaaaaaaa-0000-4000-8000-000000000011", "aaaaaaaa-0000-4000-8000-000000000012"];
const MOMENTS: usize = 20;
/// More than one block of an upload.
const SIZE: usize = 1 << 20;

/// One run, and when it is killed.
#[derive(Default)]
struct Round {
    process: Option<Pid>,
    seen: Vec<String>,
    kill_at: Option<usize>,
    killed: bool,
}

impl Round {
    /// A moment has come. Returns whether it goes on.
    fn meet(&mut self, line: &str, moment: Moment) -> bool {
        if self.kill_at == Some(self.seen.len()) {
            kill_process(self.process.expect("it runs"), Signal::KILL).unwrap();
            self.killed = true;
        }
        self.seen.push(format!("{moment:?} {line}"));
        !self.killed
    }
}

/// A site whose operator reaches the cloud on a way that can be cut.
struct Cut {
    site: Lists,
    round: Arc<Mutex<Round>>,
    detour: Detour,
    client: Client,
    served: Vec<Served>,
}

impl Cut {
    fn new(servers: &RealOpenStack) -> Self {
        let site = lists(servers, &json!({}));
        // Lists and images come without the proxy.
        let list = site.server.url_at("localhost", "/image.list");
        site.subscribe_to("vo", &list, "images: {include: {match: [{name: all}]}}\n  targetRefs: [{name: stack}]");
        let round = Arc::<Mutex<Round>>::default();
        let seen = round.clone();
        let detour = Detour::start(None, move |line, moment| seen.lock().unwrap().meet(line, moment));
        let client = client(&servers.auth_url, application_credential(servers, "vmcatcher"));
        Self { site, round, detour, client, served: Vec::new() }
    }

    fn round(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap()
    }

    /// A new version of all images.
    fn publish(&mut self, version: usize) {
        let version = version.to_string();
        let serve = |identifier: &&str| {
            let mut served = qcow2(&self.site, identifier, &version, SIZE);
            served.uri = served.uri.replace("127.0.0.1", "localhost");
            served
        };
        self.served = IMAGES.iter().map(serve).collect();
        let images: Vec<&Served> = self.served.iter().collect();
        self.site.publish(&self.site.list(&format!("1.{version}"), &images));
    }

    fn process(&self, proxy: Option<&str>) -> Command {
        let mut command = operator(&self.site, &["--once", "--instance", "kill"]);
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command.env_remove(name).env_remove(name.to_ascii_uppercase());
        }
        if let Some(proxy) = proxy {
            command.env("http_proxy", proxy).env("no_proxy", "localhost");
        }
        command
    }

    /// A run by way of the proxy. Its moments, or `None` where it came to its end.
    fn run_until(&self, kill_at: Option<usize>) -> Vec<String> {
        let mut child = {
            let mut round = self.round();
            let child =
                self.process(Some(&self.detour.url())).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            *round = Round { process: Some(Pid::from_child(&child)), kill_at, ..Round::default() };
            child
        };
        child.wait().unwrap();
        std::mem::take(&mut self.round().seen)
    }

    /// Runs undisturbed until the cloud has all versions. Glance may still be at work on what was cut.
    async fn run_to_the_end(&self) {
        let ended = found(async || {
            let output = self.process(None).output().unwrap();
            output.status.success().then_some(())
        });
        assert!(ended.await.is_some(), "{:?}", self.process(None).output().unwrap());
    }

    /// The images of an identifier.
    async fn images(&self, identifier: &str) -> Vec<Image> {
        let mut found = Vec::new();
        for hidden in [false, true] {
            let properties = BTreeMap::from([("vmcatcher_event_dc_identifier".to_owned(), identifier.to_owned())]);
            let filter = ImageFilter { os_hidden: Some(hidden), properties, ..ImageFilter::default() };
            found.extend(self.client.images(&filter).await.unwrap().images);
        }
        found
    }

    /// A usable image is there after each cut.
    async fn assert_usable(&self, told: &str) {
        for identifier in IMAGES {
            let images = self.images(identifier).await;
            let usable = images.iter().filter(|image| role(image) == "current" && image.status == ImageStatus::Active);
            assert!(usable.count() >= 1, "{told}: {images:#?}");
        }
    }

    /// One usable image of the version, and retired ones.
    async fn assert_ended(&self, told: &str) {
        for served in &self.served {
            let images = self.images(&served.identifier).await;
            let (current, others): (Vec<_>, Vec<_>) = images.into_iter().partition(|image| role(image) == "current");
            assert_eq!(current.len(), 1, "{told}: {current:#?}");
            let new = &current[0];
            assert_eq!((&new.status, new.os_hidden), (&ImageStatus::Active, false), "{told}");
            assert_eq!(new.os_hash_value.as_deref(), Some(served.sha512.as_str()), "{told}");
            for old in others {
                assert_eq!(role(&old), "retired", "{told}: {old:#?}");
                assert_eq!((&old.status, &old.visibility), (&ImageStatus::Deactivated, &Visibility::Private), "{told}");
                assert!(old.os_hidden && old.os_hash_value != new.os_hash_value, "{told}: {old:#?}");
            }
        }
    }
}

fn role(image: &Image) -> &str {
    image.properties.get("vmcatcher_role").map_or("", String::as_str)
}

#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn killed_at_twenty_moments_it_ends_with_one_image_of_each_version() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let servers = RealOpenStack::shared().await;
    let mut cut = Cut::new(servers);
    cut.publish(0);
    cut.run_to_the_end().await;
    cut.publish(1);
    let moments = cut.run_until(None).len();
    cut.assert_ended("undisturbed").await;
    eprintln!("an update of {} images has {moments} moments", IMAGES.len());
    let mut kinds = BTreeMap::<String, usize>::new();
    for number in 0..MOMENTS {
        cut.publish(2 + number);
        // One in each twentieth of a run.
        let (first, next) = (number * moments / MOMENTS, (number + 1) * moments / MOMENTS);
        let met = cut.run_until(Some(random.usize(first..next.max(first + 1))));
        let last = met.last().cloned().unwrap_or_default();
        let told = format!("{number}, SEED={seed}: {last}");
        *kinds.entry(last.split(' ').take(2).collect::<Vec<_>>().join(" ")).or_default() += 1;
        cut.assert_usable(&told).await;
        cut.run_to_the_end().await;
        cut.assert_ended(&told).await;
    }
    eprintln!("killed at {kinds:?}");
    let images = overview(servers, "vmcatcher");
    for served in &cut.served {
        let current: Vec<&Value> = of_role(&images, &served.identifier, "current");
        assert_eq!((current.len(), &current[0]["hash_value"]), (1, &json!(served.sha512)));
        assert!(of_role(&images, &served.identifier, "staged").is_empty());
        assert_eq!(of_role(&images, &served.identifier, "retired").len(), MOMENTS + 1, "one of each version");
    }
}
