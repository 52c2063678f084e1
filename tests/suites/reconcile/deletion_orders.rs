//! Everything of a namespace is deleted, in every order: nothing stays in circulation in the cloud, or it is told what
//! does.

use std::sync::{Arc, Mutex};

use harness::opennebula::{Cloud, Dialect};
use harness::orders::partial_orders;
use harness::site::Site;
use jiff::SignedDuration;
use vmcatcher_operator::api::{
    CachedImage, CloudTarget, Endorser, HasConditions, ImageListSubscription, ObjectKey, Resource,
};
use vmcatcher_operator::cache::Volume;
use vmcatcher_operator::imagelist::ImageId;
use vmcatcher_operator::reconcile::subscription::FetchTrigger;
use vmcatcher_operator::reconcile::{Context, cloud_target as targets, endorser, image, subscription};
use vmcatcher_operator::store::directory::Directory;
use vmcatcher_operator::store::{ConfigMapData, ObjectEvent, ResourceStore, SecretData, StoreError};

use super::departures::in_circulation;
use super::over_directory::{as_in_directory, objects_of_directory};
use super::targets::{A, SECRET, qcow2, site, target};

/// The site's resources, and what is reported of them.
pub(super) struct Told {
    pub(super) directory: Directory,
    pub(super) told: Mutex<Vec<ObjectEvent>>,
}

impl ResourceStore for Told {
    objects_of_directory!();
    as_in_directory!();

    async fn write_status<K: Resource>(&self, key: &ObjectKey, status: K::Status) -> Result<(), StoreError> {
        self.directory.write_status::<K>(key, status).await
    }

    async fn publish_event(&self, event: ObjectEvent) {
        self.told.lock().unwrap().push(event);
    }
}

/// What a person deletes; the namespace takes with it whatever is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deleted {
    Secret,
    Target,
    Subscription,
    Image,
    Endorser,
    Namespace,
}

const OBJECTS: [Deleted; 5] =
    [Deleted::Secret, Deleted::Target, Deleted::Subscription, Deleted::Image, Deleted::Endorser];

/// Every order of deletion: some of the objects, one after the other, and then the namespace with the rest.
fn orders() -> Vec<Vec<Deleted>> {
    let orders = partial_orders(&OBJECTS).into_iter();
    orders.map(|order| [order, vec![Deleted::Namespace]].concat()).collect()
}

/// A namespace with an image in a cloud, and the program that looks after it.
pub(super) struct Scene {
    pub(super) site: Site,
    pub(super) cloud: Cloud,
    pub(super) context: Context<Told>,
    number: usize,
}

impl Scene {
    pub(super) async fn new(number: usize) -> Self {
        Box::pin(Self::first(number)).await
    }

    async fn first(number: usize) -> Self {
        let (site, cloud) = site(Dialect::V7_4);
        // A folder without any manifest is taken for a lost one.
        let elsewhere = "apiVersion: vmcatcher.io/v1alpha1\nkind: Endorser\nmetadata: {name: a, namespace: other}\n\
                         spec:\n  credentials: [{name: a, x509: {subject: /CN=a, issuer: /CN=b}}]\n";
        site.manifest("elsewhere", elsewhere);
        site.publish(&site.list("1.0", &[&qcow2(&site, A, "1")]));
        site.subscribe("targetRefs: [{name: one}]\n  deletionPolicy: Retire");
        let run = site.run().await;
        assert_eq!(run.image_condition(A, "Published"), "True Published", "{:?}", run.image(A));
        let context = context(&site).await;
        Box::pin(Self { site, cloud, context, number }.again()).await
    }

    /// Everything is there, and the image in circulation.
    async fn again(mut self) -> Self {
        target(&self.site, &self.cloud, "one", "");
        self.site.manifest("secret", SECRET);
        self.site.trust("endorser", &self.site.pki.endorser, "");
        self.site.subscribe("targetRefs: [{name: one}]\n  deletionPolicy: Retire");
        self.context.store.directory.reload(self.site.now()).unwrap();
        self.settle().await;
        let object = self.context.store.get::<CachedImage>(&ObjectKey::new("default", A)).expect("it is selected");
        let status = object.status.clone().unwrap_or_default();
        assert!(status.is_true("Published") && in_circulation(&self.cloud) == 1, "{status:?}");
        self.context.store.told.lock().unwrap().clear();
        self.context.abandon_after = SignedDuration::from_mins(10);
        self.number += 1;
        self
    }

    /// The program is killed and starts again.
    pub(super) async fn restart(self) -> Self {
        let Self { site, cloud, context, number } = self;
        let told = std::mem::take(&mut *context.store.told.lock().unwrap());
        drop(context);
        let context = self::context(&site).await;
        *context.store.told.lock().unwrap() = told;
        Self { site, cloud, context, number }
    }

    pub(super) async fn delete(&self, what: Deleted) {
        match what {
            Deleted::Secret => self.site.forget("secret"),
            Deleted::Target => self.site.forget("target-one"),
            Deleted::Subscription => self.site.forget("subscription-vo"),
            Deleted::Image => self.context.store.delete_image(&ObjectKey::new("default", A)).await.unwrap(),
            Deleted::Endorser => self.site.forget("endorser-endorser"),
            Deleted::Namespace => {
                for file in ["secret", "target-one", "subscription-vo", "endorser-endorser"] {
                    if self.site.path("manifests").join(format!("{file}.yaml")).exists() {
                        self.site.forget(file);
                    }
                }
            }
        }
        assert_eq!(self.context.store.directory.reload(self.site.now()).unwrap(), []);
    }

    /// All objects, and what is published at the target.
    fn state(&self) -> impl PartialEq + use<> {
        let directory = &self.context.store.directory;
        let published = self.context.publications.statuses(&ObjectKey::new("default", "one"));
        let lists = (directory.all::<Endorser>(), directory.all::<ImageListSubscription>());
        (lists, directory.all::<CachedImage>(), directory.all::<CloudTarget>(), published)
    }

    /// Passes until nothing changes any more; which kind comes first differs from scene to scene.
    pub(super) async fn settle(&self) {
        for round in 0..64 {
            let before = self.state();
            for place in 0..4 {
                self.pass((place + round + self.number) % 4).await;
            }
            if self.state() == before {
                return;
            }
        }
        panic!("64 rounds have changed something");
    }

    pub(super) async fn pass(&self, kind: usize) {
        let (context, now) = (&self.context, self.site.now());
        let has_subscription = |key: &ObjectKey| context.store.get::<ImageListSubscription>(key).is_some();
        context.lists.retain(has_subscription);
        context.publications.retain(
            |key| context.store.get::<CachedImage>(key).is_some(),
            |key| context.store.get::<CloudTarget>(key).is_some(),
        );
        match kind {
            0 => {
                for key in keys::<Endorser>(context) {
                    endorser::reconcile(context, &key, now).await.unwrap();
                }
            }
            1 => {
                for key in keys::<ImageListSubscription>(context) {
                    subscription::reconcile(context, &key, FetchTrigger::WhenDue, now).await.unwrap();
                }
            }
            2 => {
                for key in keys::<CachedImage>(context) {
                    // As the driver does: after a start the subscription's pass comes first.
                    let silent =
                        has_subscription(&key.sibling("vo")) && context.lists.get(&key.sibling("vo")).is_none();
                    if !silent {
                        image::reconcile(context, &key, now).await.unwrap();
                    }
                }
            }
            _ => {
                for key in keys::<CloudTarget>(context) {
                    targets::reconcile(context, &key, now).await.unwrap();
                }
            }
        }
    }

    /// What is still there of the namespace.
    pub(super) fn left(&self) -> Vec<String> {
        let cluster = &self.context.store;
        let images = cluster.list::<CachedImage>("default").len();
        let targets = cluster.list::<CloudTarget>("default").len();
        let subscriptions = cluster.list::<ImageListSubscription>("default").len();
        let all = [(images, "image"), (targets, "target"), (subscriptions, "subscription")];
        all.iter().filter(|(count, _)| *count > 0).map(|(_, kind)| (*kind).to_owned()).collect()
    }

    pub(super) fn told(&self, reason: &str) -> Vec<String> {
        let told = self.context.store.told.lock().unwrap();
        told.iter().filter(|event| event.reason == reason).map(|event| event.message.clone()).collect()
    }
}

fn keys<K: Resource>(context: &Context<Told>) -> Vec<ObjectKey> {
    context.store.all::<K>().iter().map(|object| ObjectKey::of(&**object)).collect()
}

async fn context(site: &Site) -> Context<Told> {
    let volume = Volume::open_waiting(&site.path("volume"), |_| {}).await.unwrap();
    let context = site.context_over(volume, |directory| Told { directory, told: Mutex::default() });
    context.store.directory.reload(site.now()).unwrap();
    context
}

/// Scenes at the same time: most of the time they wait.
const AT_ONCE: usize = 8;

/// Tries these orders, each in a namespace where everything is as it should be. What is wrong at the ends.
async fn in_orders(
    orders: &[Vec<Deleted>],
    tried: impl AsyncFn(Scene, &[Deleted]) -> (Scene, Option<String>),
) -> Vec<String> {
    let walks = (0..AT_ONCE).map(|first| {
        let own = orders.iter().skip(first).step_by(AT_ONCE);
        let tried = &tried;
        async move {
            let (mut scene, mut wrong) = (Scene::new(first).await, Vec::new());
            for order in own {
                let (used, found) = tried(scene, order).await;
                scene = if found.is_some() { Scene::new(first).await } else { Box::pin(used.again()).await };
                wrong.extend(found);
            }
            wrong
        }
    });
    futures::future::join_all(walks).await.concat()
}

#[tokio::test]
async fn in_every_order_nothing_is_left_in_circulation() {
    let orders = orders();
    assert_eq!(orders.len(), 326);
    let wrong = in_orders(&orders, undisturbed).await;
    assert!(wrong.is_empty(), "{}: {wrong:#?}", wrong.len());
}

async fn undisturbed(scene: Scene, order: &[Deleted]) -> (Scene, Option<String>) {
    for what in order {
        scene.delete(*what).await;
        scene.settle().await;
    }
    let (left, enabled) = (scene.left(), in_circulation(&scene.cloud));
    let wrong = !left.is_empty() || enabled > 0;
    let wrong = wrong.then(|| format!("{order:?}: {left:?} are left, {enabled} images are enabled"));
    (scene, wrong)
}

/// What was read of the Secret is lost with the program that read it.
#[tokio::test]
async fn where_the_program_started_again_in_between_it_is_told_what_is_left() {
    // Each third: at every place of orders of every length, since that moves with each.
    let orders: Vec<_> = orders().into_iter().step_by(3).collect();
    let wrong = in_orders(&orders, restarted).await;
    assert!(wrong.is_empty(), "{}: {wrong:#?}", wrong.len());
}

async fn restarted(mut scene: Scene, order: &[Deleted]) -> (Scene, Option<String>) {
    let at = scene.number % (order.len() + 1);
    for (place, what) in order.iter().enumerate() {
        if place == at {
            scene = scene.restart().await;
        }
        scene.delete(*what).await;
        // One that is killed at once has done nothing yet.
        if place + 1 != at {
            scene.settle().await;
        }
    }
    if at == order.len() {
        scene = scene.restart().await;
        scene.settle().await;
    }
    let wrong = ended(&mut scene, order, at).await.err();
    let wrong = wrong.map(|wrong| format!("{order:?}, started again before {at}: {wrong}"));
    (scene, wrong)
}

async fn ended(scene: &mut Scene, order: &[Deleted], at: usize) -> Result<(), String> {
    if scene.left().is_empty() && in_circulation(&scene.cloud) == 0 {
        return Ok(());
    }
    // Only what the program that started then has never read may be missing.
    let secret_went = order.iter().position(|what| matches!(what, Deleted::Secret | Deleted::Namespace));
    if secret_went.is_none_or(|went| went > at) {
        return Err(format!("{:?} are left though the Secret was read", scene.left()));
    }
    let object = scene.context.store.get::<CachedImage>(&ObjectKey::new("default", A));
    let status = object.and_then(|object| object.status.clone()).unwrap_or_default();
    let ready = status.condition("Ready").cloned();
    let named = |text: &str| text.contains("image 0 at one") && text.contains("one-auth");
    if !ready.as_ref().is_some_and(|ready| ready.reason == "Deleting" && named(&ready.message)) {
        let told = scene.context.store.told.lock().unwrap();
        return Err(format!("the condition does not name what is enabled: {ready:?}, {:?} {told:#?}", scene.left()));
    }
    if !scene.told("RetireBlocked").iter().any(|text| named(text)) {
        return Err(format!("no Event names what is enabled: {:?}", scene.context.store.told.lock().unwrap()));
    }
    scene.context.abandon_after = SignedDuration::ZERO;
    scene.settle().await;
    let told = scene.told("RetireAbandoned");
    if !scene.left().is_empty() || told.len() != 1 || !named(&told[0]) {
        return Err(format!("abandoned: {:?} are left, told {told:?}", scene.left()));
    }
    Ok(())
}
