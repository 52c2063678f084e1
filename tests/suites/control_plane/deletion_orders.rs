//! Everything of a namespace is deleted, in every order, and then the namespace: nothing stays enabled in the cloud.

use std::fmt::Debug;

use futures::StreamExt as _;
use harness::control_plane::ControlPlane;
use harness::image_server::Resource;
use harness::list::ListBuilder;
use harness::opennebula::{Cloud, Dialect, State};
use harness::orders::partial_orders;
use harness::signer::{Form, sign};
use harness::site::Site;
use jiff::SignedDuration;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vmcatcher_operator::api::{CachedImage, CloudTarget, Endorser, HasConditions, ImageListSubscription};

use super::reconcilers::Reconcilers;

/// What a person deletes, by the names of its kinds; the namespace takes with it whatever is left.
const OBJECTS: [&str; 5] = ["secret", "ctgt", "ils", "cimg", "end"];
/// So many namespaces are there at once.
const AT_ONCE: usize = 24;
/// They share so many clouds.
const CLOUDS: usize = 12;

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
        let [secret, endorser, target, subscription] = manifests(site, cloud, &site.server.url(&path));
        scene.create::<Secret>(secret).await;
        scene.create::<Endorser>(endorser).await;
        scene.create::<CloudTarget>(target).await;
        scene.create::<ImageListSubscription>(subscription).await;
        scene
    }

    async fn create<K>(&self, manifest: Value)
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize + DeserializeOwned,
        K: Clone + Debug,
    {
        let object: K = serde_json::from_value(manifest).unwrap();
        let api = Api::<K>::namespaced(self.client.clone(), &self.namespace);
        api.create(&PostParams::default(), &object).await.unwrap();
    }

    fn api<K: vmcatcher_operator::api::Resource>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn published(&self) {
        let published = async || {
            let image = self.api::<CachedImage>().get_opt(&self.image).await.unwrap();
            image.and_then(|image| image.status).filter(|status| status.is_true("Published")).map(|_| ())
        };
        assert!(patient(published).await, "{} is not published: {}", self.namespace, self.all());
    }

    /// What there is in the namespace, for people.
    fn all(&self) -> String {
        self.plane.kubectl_says(&self.namespace, &["get", "vmcatcher", "-o", "yaml"])
    }

    /// Deletes one thing, and waits until the operator has looked at that.
    async fn delete(&self, what: &str) {
        match what {
            "secret" => {
                let secrets = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
                secrets.delete("one-auth", &DeleteParams::default()).await.unwrap();
            }
            "ctgt" => self.delete_one::<CloudTarget>("one").await,
            "ils" => self.delete_one::<ImageListSubscription>("vo").await,
            "cimg" => self.delete_one::<CachedImage>(&self.image).await,
            "end" => self.delete_one::<Endorser>("endorser").await,
            other => panic!("{other}"),
        }
    }

    async fn delete_one<K: vmcatcher_operator::api::Resource>(&self, name: &str) {
        let api = self.api::<K>();
        match api.delete(name, &DeleteParams::default()).await {
            // The image went with its subscription.
            Err(kube::Error::Api(refused)) if refused.code == 404 => return,
            deleted => deleted.map(|_| ()).unwrap(),
        }
        let goes = async || goes(api.get_opt(name).await.unwrap()).then_some(());
        assert!(patient(goes).await, "{} {name} of {} does not go: {}", K::KIND, self.namespace, self.all());
    }

    async fn ends(&self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.delete(&self.namespace, &DeleteParams::background()).await.unwrap();
        let gone = async || namespaces.get_opt(&self.namespace).await.unwrap().is_none().then_some(());
        assert!(patient(gone).await, "{} stays: {}", self.namespace, self.all());
    }

    fn enabled(&self, cloud: &Cloud) -> usize {
        let claim = format!("site/{}", self.namespace);
        cloud.world(|world| {
            let own = world.images.values().filter(|image| image.attributes.get("VMCATCHER_OPERATOR") == Some(&claim));
            own.filter(|image| image.state != State::Disabled).count()
        })
    }
}

/// Waits four times as long as elsewhere: the control plane has much to do with so many namespaces at once.
async fn patient(mut look: impl AsyncFnMut() -> Option<()>) -> bool {
    for _ in 0..4 {
        if harness::patience::found(&mut look).await.is_some() {
            return true;
        }
    }
    false
}

/// Whether an object is gone, or says that it goes; one that was made again has said so.
fn goes<K>(object: Option<K>) -> bool
where
    K: vmcatcher_operator::api::Resource,
{
    let Some(object) = object else { return true };
    let status = kube::core::object::HasStatus::status(&object);
    let told = status
        .and_then(|status| status.condition("Ready"))
        .is_some_and(|ready| ready.reason == "Deleting" || ready.message.contains("being deleted"));
    object.meta().deletion_timestamp.is_none() || told
}

fn manifests(site: &Site, cloud: &Cloud, list: &str) -> [Value; 4] {
    let object = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "vmcatcher.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let names = json!({"subject": site.pki.endorser.subject(), "issuer": site.pki.endorser.issuer()});
    let open_nebula = json!({
        "endpoint": cloud.endpoint(), "secretRef": {"name": "one-auth"}, "datastore": "default",
        "handOver": {"type": "Path", "path": {"prefix": site.path("volume")}},
    });
    [
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "one-auth"},
         "stringData": {"username": "oneadmin", "password": "opennebula-test"}}),
        object("Endorser", "endorser", json!({"credentials": [{"name": "first", "x509": names}]})),
        object("CloudTarget", "one", json!({"type": "OpenNebula", "openNebula": open_nebula})),
        object(
            "ImageListSubscription",
            "vo",
            json!({
                "source": {"url": list}, "verify": {"endorserRefs": [{"name": "endorser"}]},
                "images": {"include": {"match": [{"name": "all"}]}},
                "targetRefs": [{"name": "one"}], "deletionPolicy": "Retire",
            }),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: tests/run makes one"]
async fn in_every_order_nothing_is_left_enabled() {
    let plane = ControlPlane::start().await;
    let site = Site::new();
    let clouds: Vec<Cloud> = (0..CLOUDS).map(|_| Cloud::start(Dialect::V7_4)).collect();
    for cloud in &clouds {
        cloud.world(|world| {
            world.clock = site.now().as_second();
            world.reads(&site.path("volume"));
        });
    }
    let client = plane.client().await;
    let reconcilers = Reconcilers::start(&site, &client, &[], SignedDuration::from_mins(10)).await;
    let (plane, site, clouds) = (&plane, &site, &clouds);
    let orders = partial_orders(&OBJECTS);
    assert_eq!(orders.len(), 326);
    let each = orders.into_iter().enumerate().map(async |(number, order)| {
        let cloud = &clouds[number % CLOUDS];
        let scene = Scene::new(plane, site, cloud, number).await;
        scene.published().await;
        assert_eq!(scene.enabled(cloud), 1);
        for what in &order {
            scene.delete(what).await;
        }
        scene.ends().await;
        (scene.enabled(cloud) > 0).then(|| format!("{order:?}, then the namespace"))
    });
    let ends: Vec<Option<String>> = futures::stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
    let wrong: Vec<String> = ends.into_iter().flatten().collect();
    reconcilers.stop().await;
    assert!(wrong.is_empty(), "an image is enabled after {wrong:#?}");
}
