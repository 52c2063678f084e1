//! A foreground deletion: an API server marks the images together with their subscription, and whose pass comes first is
//! chance.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use harness::site::Site;
use vmcatcher_operator::api::{CachedImage, FINALIZER, ImageListSubscription, Kind, ObjectKey, Resource, time};
use vmcatcher_operator::cache::Volume;
use vmcatcher_operator::imagelist::ImageId;
use vmcatcher_operator::reconcile::subscription::FetchTrigger;
use vmcatcher_operator::reconcile::{image, subscription};
use vmcatcher_operator::store::directory::Directory;
use vmcatcher_operator::store::{ConfigMapData, ObjectEvent, ResourceStore, SecretData, StoreError};

use super::over_directory::as_in_directory;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// The site's resources, with everything marked for deletion once a test says so.
struct Marked {
    directory: Directory,
    deletion: AtomicBool,
    site_now: jiff::Timestamp,
}

impl Marked {
    fn mark<K: Resource>(&self, object: Arc<K>) -> Arc<K> {
        if !self.deletion.load(Ordering::Relaxed) || !matches!(K::KIND, Kind::Subscription | Kind::Image) {
            return object;
        }
        let mut object = (*object).clone();
        object.meta_mut().deletion_timestamp = Some(time(self.site_now));
        Arc::new(object)
    }
}

impl ResourceStore for Marked {
    fn get<K: Resource>(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.directory.get(key).map(|object| self.mark(object))
    }

    fn list<K: Resource>(&self, namespace: &str) -> Vec<Arc<K>> {
        self.directory.list(namespace).into_iter().map(|object| self.mark(object)).collect()
    }

    fn all<K: Resource>(&self) -> Vec<Arc<K>> {
        self.directory.all().into_iter().map(|object| self.mark(object)).collect()
    }

    as_in_directory!();

    async fn write_status<K: Resource>(&self, key: &ObjectKey, status: K::Status) -> Result<(), StoreError> {
        self.directory.write_status::<K>(key, status).await
    }

    async fn publish_event(&self, event: ObjectEvent) {
        self.directory.publish_event(event).await;
    }
}

/// The image's pass comes before its subscription's: with what an earlier pass of the subscription left in memory, or,
/// after a restart, with nothing.
#[tokio::test]
async fn an_image_that_is_marked_with_its_subscription_is_archived() {
    for (policy, known) in [("Retire", true), ("Retire", false), ("Orphan", true), ("Orphan", false)] {
        let site = Site::new();
        site.subscribe(&format!("deletionPolicy: {policy}"));
        let served = site.serve(A, "1", 1, 50_000);
        site.publish(&site.list("1.0", &[&served]));
        site.run().await;
        let volume = Volume::open_waiting(&site.path("volume"), |_| {}).await.unwrap();
        let context = site.context_over(volume, |directory| Marked {
            directory,
            deletion: AtomicBool::new(false),
            site_now: site.now(),
        });
        let (vo, key) = (ObjectKey::new("default", "vo"), ObjectKey::new("default", A));
        if known {
            subscription::reconcile(&context, &vo, FetchTrigger::WhenDue, site.now()).await.unwrap();
        }
        context.store.deletion.store(true, Ordering::Relaxed);
        image::reconcile(&context, &key, site.now()).await.unwrap();
        let archived = usize::from(policy == "Retire");
        let shelves = (site.shelf("endorsed").len(), site.shelf("expired").len());
        assert_eq!(shelves, (1 - archived, archived), "{policy}, known {known}");
        let object = context.store.directory.get::<CachedImage>(&key).unwrap();
        assert!(object.metadata.finalizers.iter().flatten().all(|name| name != FINALIZER), "nothing holds it");
    }
}
