//! The tasks that have to stay easy, each by its folder under examples/: its own manifests applied, the commands of its
//! README run as they stand there, and what becomes of it seen from outside.

mod clouds;
mod endorsers;
mod example;
mod front;
mod images;
mod lists;
mod maintenance;
mod publisher;

use std::path::Path;

use harness::control_plane::ControlPlane;
use harness::image_server::Resource as Answer;
use harness::list::ListBuilder;
use harness::patience::PATIENCE;
use harness::pki::Identity;
use harness::signer::{Form, sign};
use harness::site::{LIST, told};
use kube::core::object::HasStatus;
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use vmcatcher_operator::api::{CachedImage, HasConditions, Resource};

use self::example::Example;
use self::publisher::{HOST_2026, write_trust_directory};
use super::operator::{Operator, Tenant};

/// The image that most examples speak of.
const ONE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";
/// The other one.
const TWO: &str = "c0482bc2-bf41-5d49-a85f-a750174a186b";
/// Where the examples have their lists.
const ADDRESSES: [&str; 2] =
    ["https://images.example.org/image.list", "https://vmcaster.appdb.egi.eu/store/vo/atlas/image.list"];

/// A site that believes the publisher of the examples, and its operator.
struct Task {
    // Ends before the folder of its site does.
    operator: Operator,
    tenant: Tenant<'static>,
}

impl Task {
    /// A namespace with the examples' Endorser, and an operator that works for it.
    async fn new() -> Self {
        let tenant = Tenant::new(ControlPlane::shared().await, "task").await;
        write_trust_directory(&tenant.site.path("trust"));
        let operator = tenant.start();
        let task = Self { operator, tenant };
        task.example("endorser").apply();
        task
    }

    /// An example's manifests; its list is the one of this site.
    fn example(&self, name: &str) -> Example<'_> {
        let list = self.tenant.site.server.url("/image.list");
        let example = Example::new(&self.tenant, name);
        let addresses: Vec<&str> = ADDRESSES.into_iter().filter(|address| example.says(address)).collect();
        let example = addresses.into_iter().fold(example, |example, address| example.with(address, &list));
        let allowed = "vmcatcher.io/allowed-hosts: vmcaster.appdb.egi.eu";
        if !example.says(allowed) {
            return example;
        }
        let here = self.tenant.site.server.address();
        example
            .with(allowed, &format!("vmcatcher.io/allow-plain-http: \"true\"\n    vmcatcher.io/allowed-hosts: {here}"))
    }

    /// A list that the endorser of the examples signs.
    fn list(&self, version: &str) -> ListBuilder {
        self.list_of(version, &HOST_2026)
    }

    /// A list that names another endorser.
    fn list_of(&self, version: &str, endorser: &Identity) -> ListBuilder {
        let now = self.tenant.site.now();
        // Each is newer than the one before, however quickly they follow: lists have whole seconds.
        let number: i64 = version.split('.').next().unwrap().parse().unwrap();
        let created = now - jiff::SignedDuration::from_hours(1) + jiff::SignedDuration::from_mins(number);
        ListBuilder::new(LIST, now).version(version).created(created).endorser(endorser)
    }

    fn publish(&self, list: &ListBuilder) {
        self.publish_as(list, &HOST_2026);
    }

    fn publish_as(&self, list: &ListBuilder, signer: &Identity) {
        self.tenant.site.publish_message(&sign(&list.json(), signer, Form::Detached));
    }

    /// Publishes the list for those who log in.
    fn publish_behind_log_in(&self, list: &ListBuilder, username: &str, password: &str) {
        let message = sign(&list.json(), &HOST_2026, Form::Detached);
        self.tenant.site.server.put("/image.list", Answer::bytes(message).basic(username, password));
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        self.tenant.kubectl(arguments)
    }

    /// Asks a subscription for a pass now.
    fn request(&self, subscription: &str, value: &str) {
        let annotation = format!("vmcatcher.io/requestedAt={value}");
        self.kubectl(&["annotate", "--overwrite", "ils", subscription, &annotation]);
    }

    /// Waits until an object is as it should be; `None` is one that is not there.
    async fn until<K: Resource>(&self, name: &str, expected: &str, holds: impl Fn(Option<&K>) -> bool) -> Option<K> {
        let api: Api<K> = Api::namespaced(self.tenant.client.clone(), &self.tenant.namespace);
        let waited = await_condition(api, name, holds);
        let Ok(found) = tokio::time::timeout(PATIENCE, waited).await else {
            panic!("expected {name} {expected}, found {}", self.kubectl(&["get", "vmcatcher", "-o", "yaml"]));
        };
        found.unwrap()
    }

    /// Waits until a condition of an object says `Status Reason` of its newest spec.
    async fn says<K: Resource>(&self, name: &str, condition: &str, expected: &str) -> K
    where
        <K as HasStatus>::Status: HasConditions,
    {
        let holds = |object: Option<&K>| {
            object.is_some_and(|object| {
                let status = object.status();
                let seen = status.and_then(HasConditions::observed_generation) == object.meta().generation;
                seen && told(status.and_then(|status| status.condition(condition))) == expected
            })
        };
        self.until(name, &format!("{condition}={expected}"), holds).await.unwrap()
    }

    /// Waits until an image is there in a version, and nothing of it is missing.
    async fn has(&self, name: &str, version: &str) -> CachedImage {
        let holds = |image: Option<&CachedImage>| super::operator::ready(image, version);
        self.until(name, &format!("ready in version {version}"), holds).await.unwrap()
    }

    /// Waits until the object of an image is gone.
    async fn has_no(&self, name: &str) {
        self.until::<CachedImage>(name, "gone", |image| image.is_none()).await;
    }

    fn shelf(&self, name: &str) -> Vec<String> {
        self.tenant.shelf(name)
    }

    /// How often an image's file was asked for.
    fn fetched(&self, identifier: &str, version: &str) -> usize {
        self.tenant.site.server.requests(&format!("/{identifier}-{version}.img")).len()
    }

    /// How often the list was asked for.
    fn asked(&self) -> usize {
        self.tenant.site.server.requests("/image.list").len()
    }

    /// The names of the images' objects.
    async fn names(&self) -> Vec<String> {
        let images = self.tenant.images().list(&kube::api::ListParams::default()).await.unwrap();
        images.items.iter().map(ResourceExt::name_any).collect()
    }
}

/// Where the examples are.
fn examples() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples")
}
