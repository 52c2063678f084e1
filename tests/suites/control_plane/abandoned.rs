//! Everything goes, and what is in a cloud cannot be taken out of circulation any more: its key is lost.

use harness::control_plane::ControlPlane;
use harness::image_server;
use harness::opennebula::{Cloud, Dialect};
use harness::patience::until;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::ListParams;
use vmcatcher_operator::api::{
    CachedImage, CloudTarget, Endorser, HasConditions as _, ImageListSubscription, ObjectKey, Resource,
};
use vmcatcher_operator::reconcile::Context;
use vmcatcher_operator::store::ResourceStore as _;
use vmcatcher_operator::store::kubernetes::Kubernetes;

use super::operator::Tenant;
use super::reconcilers::Reconcilers;

const ONE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";

/// What cannot be retired is abandoned so long after its deletion.
const ABANDONED_AFTER: SignedDuration = SignedDuration::from_mins(10);

async fn start(tenant: &Tenant<'_>, abandoned_after: SignedDuration) -> Reconcilers {
    let namespaces = std::slice::from_ref(&tenant.namespace);
    Reconcilers::start(&tenant.site, &tenant.client, namespaces, abandoned_after).await
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

/// An image in a cloud that is to be retired with its subscription.
async fn published(tenant: &Tenant<'_>) -> (Cloud, Reconcilers) {
    let cloud = Cloud::start(Dialect::V7_4);
    cloud.world(|world| world.reads(&tenant.site.path("volume")));
    let disk = image_server::Resource::bytes(harness::disk_image::qcow2(1 << 30, b"one"));
    tenant.site.publish(&tenant.site.list("1.0", &[&tenant.site.serve_as(ONE, "1.0", disk)]));
    tenant.site.subscribe("deletionPolicy: Retire\n  targetRefs: [{name: one}]");
    tenant.publishes_to(&cloud);
    tenant.apply();
    let reconcilers = start(tenant, ABANDONED_AFTER).await;
    tenant.all_ready("1.0").await;
    (cloud, reconcilers)
}

fn marked(image: Option<&CachedImage>) -> bool {
    image.is_some_and(|image| image.metadata.deletion_timestamp.is_some())
}

/// Which object of a deletion is marked first is chance.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: tests/run makes one"]
async fn an_image_that_is_marked_before_its_subscription_is_retired_with_it() {
    let tenant = Tenant::new(ControlPlane::shared().await, "together").await;
    let (cloud, reconcilers) = published(&tenant).await;
    let key = ObjectKey::new(&tenant.namespace, ONE);
    let context = &reconcilers.context;
    tenant.kubectl(&["delete", &format!("cimg/{ONE}"), "ils/vo", "--wait=false"]);
    until("both go", async || context.store.get::<CachedImage>(&key).is_none()).await;
    until("its subscription goes", async || tenant.subscriptions().get_opt("vo").await.unwrap().is_none()).await;
    assert_eq!((tenant.shelf("endorsed").len(), tenant.shelf("expired").len()), (0, 1));
    reconcilers.stop().await;
    let retired = cloud.world(|world| {
        world.images.values().filter(|image| image.attributes.contains_key("VMCATCHER_RETIRED_TIME")).count()
    });
    assert_eq!(retired, 1);
}

async fn abandon(going: Going) {
    let tenant = Tenant::new(ControlPlane::shared().await, "abandoned").await;
    let (cloud, reconcilers) = published(&tenant).await;
    tenant.kubectl(&["delete", "secret", "one-auth"]);
    // What was read of it is forgotten with the program that read it.
    reconcilers.stop().await;
    let reconcilers = start(&tenant, ABANDONED_AFTER).await;
    tenant.kubectl(&["wait", "ctgt/one", "--for=condition=Ready=false", "--timeout=90s"]);
    match going {
        Going::Objects => drop(tenant.kubectl(&["delete", "vmcatcher", "--all", "--wait=false"])),
        Going::Namespace => drop(tenant.kubectl(&["delete", "namespace", &tenant.namespace, "--wait=false"])),
    }
    let context = &reconcilers.context;
    until("everything is being deleted, or gone", async || all_marked(context, &tenant.namespace)).await;

    let named = |text: &str| text.contains("image 0 at one") && text.contains("one-auth");
    let held = |image: Option<&CachedImage>| {
        let ready = image.and_then(|image| image.status.as_ref()?.condition("Ready").cloned());
        marked(image) && ready.is_some_and(|ready| ready.reason == "Deleting" && named(&ready.message))
    };
    tenant.image_until(ONE, "it is held while the key may come back, and says so", held).await;
    // As if the time were over.
    reconcilers.stop().await;
    let reconcilers = start(&tenant, SignedDuration::ZERO).await;
    tenant.image_until(ONE, "it is let go", |image| image.is_none()).await;
    until("its subscription goes", async || tenant.subscriptions().get_opt("vo").await.unwrap().is_none()).await;
    assert_eq!(cloud.world(|world| world.images.len()), 1, "what is in the cloud stays");
    match going {
        Going::Objects => {
            let named = |event: &Event| event.message.as_deref().is_some_and(named) && event.last_timestamp.is_some();
            // A program that starts again reports it once more.
            let blocked = events(&tenant, &tenant.namespace, "RetireBlocked").await;
            assert!(!blocked.is_empty() && blocked.iter().all(named), "{blocked:?}");
            // It is reported after the object was let go.
            let abandoned = async || events(&tenant, &tenant.namespace, "RetireAbandoned").await;
            until("it is told that it is abandoned", async || !abandoned().await.is_empty()).await;
            let abandoned = abandoned().await;
            assert!(abandoned.len() == 1 && abandoned.iter().all(named), "{abandoned:?}");
        }
        Going::Namespace => {
            let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(tenant.client.clone());
            // It takes no new Event itself.
            let of = |event: &Event| event.involved_object.name.as_deref() == Some(&tenant.namespace);
            let told = async || {
                let told = events(&tenant, "default", "RetireAbandoned").await;
                told.into_iter().filter(of).collect::<Vec<_>>()
            };
            until("it is told at the namespace", async || !told().await.is_empty()).await;
            let told = told().await;
            assert!(told.len() == 1 && named(told[0].message.as_deref().unwrap()), "{told:?}");
            until("the namespace goes", async || namespaces.get_opt(&tenant.namespace).await.unwrap().is_none()).await;
        }
    }
    reconcilers.stop().await;
}

/// What was reported for that reason in a namespace.
async fn events(tenant: &Tenant<'_>, namespace: &str, reason: &str) -> Vec<Event> {
    let events: Api<Event> = Api::namespaced(tenant.client.clone(), namespace);
    let all = events.list(&ListParams::default()).await.unwrap().items;
    all.into_iter().filter(|event| event.reason.as_deref() == Some(reason)).collect()
}

/// Whether the reconcilers see no object that stays.
fn all_marked(context: &Context<Kubernetes>, namespace: &str) -> bool {
    fn go<K: Resource>(context: &Context<Kubernetes>, namespace: &str) -> bool {
        context.store.list::<K>(namespace).iter().all(|object| object.meta().deletion_timestamp.is_some())
    }
    go::<CachedImage>(context, namespace)
        && go::<ImageListSubscription>(context, namespace)
        && go::<Endorser>(context, namespace)
        && go::<CloudTarget>(context, namespace)
}
