//! Everything of a namespace is deleted, one thing after the other and then the namespace: nothing stays enabled in the
//! cloud. Orders of every length, in which each of the five comes before each other one; `reconcile::deletion_orders`
//! goes through all 326 on a folder of manifests.

use harness::control_plane::ControlPlane;
use harness::image_server::Resource;
use harness::list::ListBuilder;
use harness::opennebula::{Cloud, Dialect, State};
use harness::patience::until;
use harness::signer::{Form, sign};
use harness::site::Site;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use serde_json::{Value, json};
use vmcatcher_operator::api::{CachedImage, CloudTarget, HasConditions, ImageListSubscription};

use super::reconcilers::Reconcilers;

const ORDERS: [&str; 12] = [
    "",
    "secret",
    "ctgt",
    "ils",
    "cimg",
    "secret ctgt",
    "ctgt secret",
    "secret cimg ctgt",
    "ctgt cimg secret end",
    "end secret ctgt cimg ils",
    "ils cimg ctgt secret end",
    "cimg ils end ctgt secret",
];

/// A namespace with an image of its own in the cloud of all.
struct Scene<'a> {
    plane: &'a ControlPlane,
    client: Client,
    namespace: String,
    image: String,
}

impl<'a> Scene<'a> {
    /// Everything that a namespace has, by a person's manifests.
    async fn new(plane: &'a ControlPlane, site: &Site, cloud: &Cloud, number: usize) -> Self {
        let client = plane.client().await;
        let namespace = plane.namespace(&client, "order").await;
        let image = format!("aaaaaaaa-0000-4000-8000-{number:012}");
        let scene = Self { plane, client, namespace, image };
        let disk = harness::disk_image::qcow2(1 << 30, scene.image.as_bytes());
        let served = site.serve_as(&scene.image, "1", Resource::bytes(disk));
        let list = format!("11111111-0000-4000-8000-{number:012}");
        let list = ListBuilder::new(&list, site.now()).version("1.0").created(site.now()).endorser(&site.pki.endorser);
        let list = list.image(&served.identifier, &served.version, &served.uri, served.size, &served.sha512);
        let path = format!("/{number}.list");
        site.server.put(&path, Resource::bytes(sign(&list.json(), &site.pki.endorser, Form::Detached)));
        let file = site.path(&format!("order-{number}.json"));
        std::fs::write(&file, manifests(site, cloud, &site.server.url(&path)).to_string()).unwrap();
        scene.kubectl(&["apply", "-f", file.to_str().unwrap()]);
        scene
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        self.plane.kubectl_says(&self.namespace, arguments)
    }

    fn api<K: vmcatcher_operator::reconcile::Resource>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn published(&self) {
        until(&format!("{} is published", self.namespace), async || {
            let image = self.api::<CachedImage>().get_opt(&self.image).await.unwrap();
            image.and_then(|image| image.status).is_some_and(|status| status.is_true("Published"))
        })
        .await;
    }

    /// Deletes one thing, and waits until the operator has looked at that.
    async fn delete(&self, what: &str) {
        let name = match what {
            "secret" => "one-auth",
            "ctgt" => "one",
            "ils" => "vo",
            "cimg" => &self.image,
            "end" => "endorser",
            other => panic!("{other}"),
        };
        self.kubectl(&["delete", what, name, "--wait=false", "--ignore-not-found"]);
        until(&format!("{what} of {} goes", self.namespace), async || match what {
            "ctgt" => goes(self.api::<CloudTarget>().get_opt(name).await.unwrap()),
            "ils" => goes(self.api::<ImageListSubscription>().get_opt(name).await.unwrap()),
            "cimg" => goes(self.api::<CachedImage>().get_opt(name).await.unwrap()),
            _ => true,
        })
        .await;
    }

    async fn ends(&self) {
        self.kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]);
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        // The namespace controller has much to do here.
        for _ in 0..4 {
            let gone = async || namespaces.get_opt(&self.namespace).await.unwrap().is_none().then_some(());
            if harness::patience::found(gone).await.is_some() {
                return;
            }
        }
        panic!("{} stays: {}", self.namespace, self.kubectl(&["get", "vmcatcher", "-o", "yaml"]));
    }

    fn enabled(&self, cloud: &Cloud) -> usize {
        let claim = format!("site/{}", self.namespace);
        cloud.world(|world| {
            let own = world.images.values().filter(|image| image.attributes.get("VMCATCHER_OPERATOR") == Some(&claim));
            own.filter(|image| image.state != State::Disabled).count()
        })
    }
}

/// Whether an object is gone, or says that it goes; one that was made again has said so.
fn goes<K>(object: Option<K>) -> bool
where
    K: vmcatcher_operator::reconcile::Resource,
{
    let Some(object) = object else { return true };
    let status = kube::core::object::HasStatus::status(&object);
    let told = status
        .and_then(|status| status.condition("Ready"))
        .is_some_and(|ready| ready.reason == "Deleting" || ready.message.contains("being deleted"));
    object.meta().deletion_timestamp.is_none() || told
}

fn manifests(site: &Site, cloud: &Cloud, list: &str) -> Value {
    let object = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "vmcatcher.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let names = json!({"subject": site.pki.endorser.subject(), "issuer": site.pki.endorser.issuer()});
    let open_nebula = json!({
        "endpoint": cloud.endpoint(), "secretRef": {"name": "one-auth"}, "datastore": "default",
        "handOver": {"type": "Path", "path": {"prefix": site.path("volume")}},
    });
    let items = json!([
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "one-auth"},
         "stringData": {"username": "oneadmin", "password": "opennebula-test"}},
        object("Endorser", "endorser", json!({"credentials": [{"name": "first", "x509": names}]})),
        object("CloudTarget", "one", json!({"type": "OpenNebula", "openNebula": open_nebula})),
        object("ImageListSubscription", "vo", json!({
            "source": {"url": list}, "verify": {"endorserRefs": [{"name": "endorser"}]},
            "images": {"include": {"match": [{"name": "all"}]}},
            "targetRefs": [{"name": "one"}], "deletionPolicy": "Retire",
        })),
    ]);
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: tests/run makes one"]
async fn in_every_order_nothing_is_left_enabled() {
    let plane = ControlPlane::start().await;
    let (site, cloud) = (Site::new(), Cloud::start(Dialect::V7_4));
    cloud.world(|world| {
        world.clock = site.now().as_second();
        world.reads(&site.path("volume"));
    });
    let client = plane.client().await;
    let reconcilers = Reconcilers::start(&site, &client, &[], SignedDuration::from_mins(10)).await;
    let mut scenes = Vec::new();
    for number in 0..ORDERS.len() {
        scenes.push(Scene::new(&plane, &site, &cloud, number).await);
    }
    let each = scenes.iter().zip(ORDERS).map(async |(scene, order)| {
        scene.published().await;
        assert_eq!(scene.enabled(&cloud), 1);
        for what in order.split_whitespace() {
            scene.delete(what).await;
        }
        scene.ends().await;
        (scene.enabled(&cloud) > 0).then(|| format!("{order:?}, then the namespace"))
    });
    let wrong: Vec<String> = futures::future::join_all(each).await.into_iter().flatten().collect();
    reconcilers.stop().await;
    assert!(wrong.is_empty(), "an image is enabled after {wrong:#?}");
}
