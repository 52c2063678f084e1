//! Everything goes, and what is in a cloud cannot be taken out of circulation any more: its key is lost.

use std::sync::Arc;

use harness::control_plane::{ControlPlane, PATIENCE};
use harness::image_server::Resource;
use harness::opennebula::{Cloud, Dialect};
use jiff::SignedDuration;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use tokio::sync::oneshot;
use vmcatcher_operator::api::{CachedImage, CloudTarget};
use vmcatcher_operator::cache::{Scrub, ScrubSettings, Volume};
use vmcatcher_operator::cluster::kubernetes::{Driver, Kubernetes};
use vmcatcher_operator::reconcile::{Context, ObjectKey, image};

use super::operator::Tenant;

const ONE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";

/// The reconcilers of a tenant, within the test: they can be asked what they do later.
struct Reconcilers {
    context: Arc<Context<Kubernetes>>,
    stop: oneshot::Sender<()>,
    running: tokio::task::JoinHandle<()>,
}

impl Reconcilers {
    async fn start(tenant: &Tenant<'_>) -> Self {
        let volume = Volume::open_waiting(&tenant.site.path("volume"), |_| {}).await.unwrap();
        let (cluster, watches) = Kubernetes::new(tenant.client.clone(), std::slice::from_ref(&tenant.namespace));
        let context = Arc::new(tenant.site.context_over(volume.clone(), |_| cluster));
        let (stop, stopped) = oneshot::channel::<()>();
        let driver = Driver::new(context.clone(), watches);
        let running = tokio::spawn(async move {
            let scrub = Scrub::start(volume, ScrubSettings::default());
            driver.keep(&scrub, async { drop(stopped.await) }).await.unwrap();
            scrub.shutdown().await;
        });
        Self { context, stop, running }
    }

    async fn stop(self) {
        drop(self.stop);
        self.running.await.unwrap();
        self.context.jobs.shutdown().await;
    }
}

/// What is deleted: every object of ours, or the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Going {
    Objects,
    Namespace,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: tests/run makes one"]
async fn what_can_be_retired_no_more_holds_nothing_up() {
    for going in [Going::Objects, Going::Namespace] {
        abandon(going).await;
    }
}

async fn abandon(going: Going) {
    let tenant = Tenant::new(ControlPlane::shared().await, "abandoned").await;
    let cloud = Cloud::start(Dialect::V7_4);
    let volume = tenant.site.path("volume").display().to_string();
    cloud.world(|world| {
        world.any_file = None;
        world.datastores.get_mut(&1).unwrap().safe_dirs = vec![volume.clone()];
    });
    let disk = Resource::bytes(harness::disk_image::qcow2(1 << 30, b"one"));
    tenant.site.publish(&tenant.site.list("1.0", &[&tenant.site.serve_as(ONE, "1.0", disk)]));
    tenant.site.subscribe("deletionPolicy: Retire\n  targetRefs: [{name: one}]");
    tenant.publishes_to(&cloud);
    tenant.apply();
    let reconcilers = Reconcilers::start(&tenant).await;
    tenant.all_ready("1.0").await;

    tenant.kubectl(&["delete", "secret", "one-auth"]);
    tenant.kubectl(&["wait", "cloudtarget/one", "--for=condition=Ready=false", "--timeout=90s"]);
    match going {
        Going::Objects => drop(tenant.kubectl(&["delete", "vmcatcher", "--all", "--wait=false"])),
        Going::Namespace => drop(tenant.kubectl(&["delete", "namespace", &tenant.namespace, "--wait=false"])),
    }
    let marked = |image: Option<&CachedImage>| image.is_some_and(|image| image.metadata.deletion_timestamp.is_some());
    tenant.image_until(ONE, "an image that is being deleted", marked).await;
    let targets: Api<CloudTarget> = Api::namespaced(tenant.client.clone(), &tenant.namespace);
    until("the target is gone", async || targets.list(&ListParams::default()).await.unwrap().items.is_empty()).await;
    let (key, target) = (ObjectKey::new(&tenant.namespace, ONE), ObjectKey::new(&tenant.namespace, "one"));
    let context = &reconcilers.context;
    let seen = async || {
        let image = vmcatcher_operator::reconcile::Cluster::get::<CachedImage>(&*context.cluster, &key);
        let gone = vmcatcher_operator::reconcile::Cluster::get::<CloudTarget>(&*context.cluster, &target).is_none();
        gone && marked(image.as_deref())
    };
    until("the reconcilers have seen that", seen).await;

    image::reconcile(context, &key, tenant.site.now()).await.unwrap();
    let now = tenant.images().get(ONE).await.expect("it is held while the key may come back");
    assert!(marked(Some(&now)) && now.metadata.finalizers.is_some());
    let later = tenant.site.now() + SignedDuration::from_mins(10);
    image::reconcile(context, &key, later).await.unwrap();
    tenant.image_until(ONE, "it is let go", |image| image.is_none()).await;
    until("its subscription goes", async || tenant.subscriptions().get_opt("vo").await.unwrap().is_none()).await;
    assert_eq!(cloud.world(|world| world.images.len()), 1, "what is in the cloud stays");
    match going {
        Going::Objects => {
            let events: Api<Event> = Api::namespaced(tenant.client.clone(), &tenant.namespace);
            let told = events.list(&ListParams::default()).await.unwrap().items;
            let told = told.iter().filter(|event| event.reason.as_deref() == Some("RetireAbandoned")).count();
            assert_eq!(told, 1);
        }
        Going::Namespace => {
            let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(tenant.client.clone());
            until("the namespace goes", async || namespaces.get_opt(&tenant.namespace).await.unwrap().is_none()).await;
        }
    }
    reconcilers.stop().await;
}

async fn until(expected: &str, holds: impl AsyncFn() -> bool) {
    let waited = async {
        while !holds().await {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waited).await.is_ok(), "expected: {expected}");
}
