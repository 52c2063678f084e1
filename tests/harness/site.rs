//! A site: a folder of manifests, a trust directory, a volume, a server with lists and images, and a clock of its own.
//!
//! Each run makes everything anew from what is on disk, as a cron job would.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a harness that cannot do its part ends the test"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use vmcatcher_operator::anchors::TrustDirectory;
use vmcatcher_operator::api::{
    CachedImage, CachedImageStatus, HasConditions, ImageListSubscription, ImageListSubscriptionStatus, ObjectKey,
    REQUESTED_AT,
};
use vmcatcher_operator::cache::{ConversionLimits, JobLimits, Volume};
use vmcatcher_operator::events::{self, EventSettings, RunKind};
use vmcatcher_operator::fetch::{Client, ClientSettings, LIST_LIMIT};
use vmcatcher_operator::fs::Steps;
use vmcatcher_operator::reconcile::{Context, Settings};
use vmcatcher_operator::run::directory::{Driver, Settled};
use vmcatcher_operator::store::ResourceStore;
use vmcatcher_operator::store::directory::Directory;
use vmcatcher_operator::trust::AlgorithmPolicy;

use crate::image_server::{ImageServer, Resource};
use crate::list::ListBuilder;
use crate::pki::{Identity, Pki};
use crate::signer::{Form, sign};

/// `dc:identifier` of the site's list.
pub const LIST: &str = "11111111-1111-4111-8111-111111111111";

/// Keys take their time to make: all sites of a process have the same.
static PKI: LazyLock<Pki> = LazyLock::new(Pki::new);

/// The whole site.
pub struct Site {
    folder: tempfile::TempDir,
    /// Who signs.
    pub pki: Pki,
    /// Where lists and images are.
    pub server: ImageServer,
    /// The most bytes of a list.
    pub list_limit: u64,
    /// How images are converted.
    pub conversion: ConversionLimits,
    /// Bytes that images leave free on its volume.
    pub min_free: Option<u64>,
    offset: Arc<AtomicI64>,
    /// Whether its operator lets subscriptions believe the first signer that they see.
    pub allow_auto_endorse: bool,
    /// The sinks of events of a run in this process.
    pub events: EventSettings,
}

/// An image on the server.
#[derive(Debug, Clone)]
pub struct Served {
    /// `dc:identifier`.
    pub identifier: String,
    /// `hv:version`.
    pub version: String,
    /// Its address.
    pub uri: String,
    /// In bytes.
    pub size: u64,
    /// Of its bytes.
    pub sha512: String,
}

/// What a run left behind.
pub struct Run {
    /// What the driver says.
    pub settled: Settled,
    /// The resources.
    pub directory: Arc<Directory>,
}

impl Site {
    /// A site that trusts the PKI's endorser and takes every image of the list at `/image.list`.
    #[expect(clippy::new_without_default, reason = "it makes keys, which is no default")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = PKI.clone();
        pki.write_trust_dir(&folder.path().join("trust"));
        std::fs::create_dir(folder.path().join("manifests")).unwrap();
        let site = Self {
            folder,
            pki,
            server: ImageServer::start(),
            list_limit: LIST_LIMIT,
            conversion: ConversionLimits::default(),
            min_free: Some(0),
            offset: Arc::default(),
            allow_auto_endorse: false,
            events: EventSettings::default(),
        };
        site.trust("endorser", &site.pki.endorser, "");
        site.subscribe("");
        site
    }

    /// A path below the site's folder.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Writes a manifest.
    pub fn manifest(&self, name: &str, text: &str) {
        std::fs::write(self.path("manifests").join(format!("{name}.yaml")), text).unwrap();
    }

    /// Removes a manifest.
    pub fn forget(&self, name: &str) {
        std::fs::remove_file(self.path("manifests").join(format!("{name}.yaml"))).unwrap();
    }

    /// Writes the Endorser of an identity; `more` are lines of its spec.
    pub fn trust(&self, name: &str, identity: &Identity, more: &str) {
        self.manifest(
            &format!("endorser-{name}"),
            &format!(
                "apiVersion: vmcatcher.io/v1alpha1\nkind: Endorser\nmetadata: {{name: {name}}}\nspec:\n  {more}\n  \
                 credentials:\n  - {{name: first, x509: {{subject: {:?}, issuer: {:?}}}}}\n",
                identity.subject(),
                identity.issuer()
            ),
        );
    }

    /// Writes the subscription `vo` of the site's list with everything selected; `more` are lines of its spec.
    pub fn subscribe(&self, more: &str) {
        self.subscribe_to(
            "vo",
            &self.server.url("/image.list"),
            &format!("images: {{include: {{match: [{{name: all}}]}}}}\n  {more}"),
        );
    }

    /// Writes a subscription of a list; `more` are lines of its spec.
    pub fn subscribe_to(&self, name: &str, url: &str, more: &str) {
        self.subscribe_with(name, "", url, more);
    }

    /// The same, with a value of the annotation that asks for a pass now.
    pub fn subscribe_with(&self, name: &str, requested_at: &str, url: &str, more: &str) {
        self.manifest(
            &format!("subscription-{name}"),
            &format!(
                "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata:\n  name: {name}\n  \
                 annotations: {{{REQUESTED_AT}: {requested_at:?}}}\nspec:\n  source: {{url: {url:?}}}\n  verify: \
                 {{endorserRefs: [{{name: endorser}}]}}\n  {more}\n"
            ),
        );
    }

    /// Puts an image on the server: bytes that follow from the seed.
    pub fn serve(&self, identifier: &str, version: &str, seed: u64, size: u64) -> Served {
        self.serve_as(identifier, version, Resource::pattern(seed, size).etag(&format!("\"{seed}-{size}\"")))
    }

    /// Puts an image on the server, however it behaves.
    pub fn serve_as(&self, identifier: &str, version: &str, resource: Resource) -> Served {
        let path = format!("/{identifier}-{version}.img");
        let served = Served {
            identifier: identifier.to_owned(),
            version: version.to_owned(),
            uri: self.server.url(&path),
            size: resource.size(),
            sha512: resource.sha512(),
        };
        self.server.put(&path, resource);
        served
    }

    /// A list of images that the endorser is named in, created now by the site's clock.
    pub fn list(&self, version: &str, images: &[&Served]) -> ListBuilder {
        let list = ListBuilder::new(LIST, self.now()).version(version).created(self.now()).endorser(&self.pki.endorser);
        images.iter().fold(list, |list, image| {
            list.image(&image.identifier, &image.version, &image.uri, image.size, &image.sha512)
        })
    }

    /// Signs a list by the endorser and puts it on the server.
    pub fn publish(&self, list: &ListBuilder) {
        self.publish_message(&sign(&list.json(), &self.pki.endorser, Form::Detached));
    }

    /// Puts a message on the server as the list.
    pub fn publish_message(&self, message: &[u8]) {
        let etag = format!(
            "\"{}\"",
            message.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
        );
        self.server.put("/image.list", Resource::bytes(message).etag(&etag));
    }

    /// The site's clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.offset.load(Ordering::Relaxed))
    }

    /// Puts the clocks of the site and of its server forward.
    pub fn pass_time(&self, time: SignedDuration) {
        self.server.pass_time(time.as_secs());
        self.disturb_clock(time);
    }

    /// Puts the site's clock forward, or back; the server's stays as it is.
    pub fn disturb_clock(&self, time: SignedDuration) {
        self.offset.fetch_add(time.as_secs(), Ordering::Relaxed);
    }

    /// One run, until nothing changes any more.
    pub async fn run(&self) -> Run {
        self.run_with_steps(None).await
    }

    /// One run whose volume tells its steps, so that it can be cut off.
    pub async fn run_with_steps(&self, steps: Option<Arc<dyn Steps>>) -> Run {
        // A run that was cut off lets go of the volume when its last thread has ended.
        let volume = Volume::open_waiting(&self.path("volume"), |_| {}).await.unwrap();
        let volume = match steps {
            Some(steps) => volume.with_steps(steps),
            None => volume,
        };
        let (events, deliveries) = events::start(&self.events, volume.root(), "/site", RunKind::Once).unwrap();
        let context = Arc::new(self.context(volume).with_events(events));
        let offset = self.offset.clone();
        let clock = move || Timestamp::now() + SignedDuration::from_secs(offset.load(Ordering::Relaxed));
        let settled = Driver::new(context.clone()).with_clock(Arc::new(clock)).once().await.unwrap();
        context.jobs.shutdown().await;
        deliveries.end().await;
        Run { settled, directory: context.store.clone() }
    }

    fn context(&self, volume: Volume) -> Context<Directory> {
        self.context_over(volume, |directory| directory)
    }

    /// What reconciles stand on, over the site's resources as a test wants them seen.
    pub fn context_over<S: ResourceStore>(&self, volume: Volume, seen: impl FnOnce(Directory) -> S) -> Context<S> {
        let state = volume.root().join("state");
        let (store, problems) = Directory::open(&self.path("manifests"), &state);
        for problem in problems {
            tracing::warn!("{problem}");
        }
        let (anchors, _) = TrustDirectory::open(&self.path("trust"));
        let documents = Some(volume.scratch());
        let list_limit = self.list_limit;
        let settings = ClientSettings { allow_files: true, documents, list_limit, ..ClientSettings::default() };
        let client = Client::new(&settings).unwrap();
        let limits = JobLimits {
            first_wait: Duration::from_millis(5),
            min_free: self.min_free,
            conversion: self.conversion.clone(),
            ..JobLimits::default()
        };
        let settings = Settings {
            instance: "site".to_owned(),
            trust_directory: self.path("trust"),
            algorithms: AlgorithmPolicy::default(),
            allow_auto_endorse: self.allow_auto_endorse,
            events: self.events.clone(),
        };
        Context::new(seen(store), volume, client, limits, anchors, settings)
    }

    /// The images that people and clouds see: `<shelf>/<identifier>/<version>` with the first 12 digits of the digest.
    pub fn shelf(&self, name: &str) -> Vec<String> {
        self.shelf_of("default", name)
    }

    /// The same of a namespace.
    pub fn shelf_of(&self, namespace: &str, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        for identifier in entries(&self.path("volume").join(name).join(namespace)) {
            for path in entries(&identifier) {
                let hidden = path.file_name().unwrap().as_encoded_bytes().starts_with(b".");
                if !hidden && path.extension().is_some_and(|end| end != "json") {
                    let stem = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
                    let folder = identifier.file_name().unwrap().to_string_lossy().into_owned();
                    found.push(format!("{folder}/{}", stem(&path)));
                }
            }
        }
        found.sort();
        found
    }

    /// Every file of the volume with its content's length: what two runs are compared by. The state of resources and the
    /// time of the last collection of garbage are not among them.
    pub fn volume_files(&self) -> BTreeMap<String, u64> {
        let root = self.path("volume");
        let mut found = BTreeMap::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for path in entries(&folder) {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(&root).unwrap().display().to_string();
                    found.insert(name, path.metadata().unwrap().len());
                }
            }
        }
        let is_compared =
            |name: &str| !["lock", "state/collected.json"].contains(&name) && !name.starts_with("state/resources");
        found.retain(|name, _| is_compared(name));
        found
    }
}

/// The entries of a folder, hidden ones too; none where it is not there.
fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

impl Served {
    /// How its entry on a shelf is called.
    pub fn entry(&self) -> String {
        format!("{}/{}-{}", self.identifier, self.version, &self.sha512[..12])
    }
}

impl Run {
    /// The status of the subscription of that name.
    pub fn subscription(&self, name: &str) -> ImageListSubscriptionStatus {
        let object = self.directory.get::<ImageListSubscription>(&ObjectKey::new("default", name));
        object.expect("the subscription is there").status.clone().expect("it has a status")
    }

    /// The status of an image; `None` where the object is gone.
    pub fn image(&self, identifier: &str) -> Option<CachedImageStatus> {
        let object = self.directory.get::<CachedImage>(&ObjectKey::new("default", identifier))?;
        Some(object.status.clone().expect("it has a status"))
    }

    /// `Type=Status Reason` of the subscription's condition.
    pub fn list_condition(&self, name: &str) -> String {
        told(self.subscription("vo").condition(name))
    }

    /// `Type=Status Reason` of an image's condition.
    pub fn image_condition(&self, identifier: &str, name: &str) -> String {
        self.image(identifier).map_or_else(|| "gone".to_owned(), |status| told(status.condition(name)))
    }

    /// The version of the list in force.
    pub fn list_version(&self) -> Option<String> {
        self.subscription("vo").list.map(|list| list.version)
    }
}

/// `Status Reason`, or `absent`.
pub fn told(condition: Option<&Condition>) -> String {
    condition.map_or_else(|| "absent".to_owned(), |condition| format!("{} {}", condition.status, condition.reason))
}
