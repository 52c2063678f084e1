//! What happened is told once, also where the status that says so cannot be written at first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use harness::signer::{Form, sign};
use harness::site::Site;
use jiff::SignedDuration;
use vmcatcher_operator::api::{ImageListSubscription, ObjectKey, Resource};
use vmcatcher_operator::cache::Volume;
use vmcatcher_operator::imagelist::ImageId;
use vmcatcher_operator::reconcile::subscription::FetchTrigger;
use vmcatcher_operator::reconcile::{Context, subscription};
use vmcatcher_operator::store::directory::Directory;
use vmcatcher_operator::store::{ConfigMapData, ObjectEvent, ResourceStore, SecretData, StoreError};

use super::over_directory::{as_in_directory, objects_of_directory};

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// The site's resources, whose API server takes no status while a test says so.
struct Refusing {
    directory: Directory,
    refuses: AtomicBool,
    error: fn() -> StoreError,
    told: Mutex<Vec<String>>,
}

impl ResourceStore for Refusing {
    objects_of_directory!();
    as_in_directory!();

    async fn write_status<K: Resource>(&self, key: &ObjectKey, status: K::Status) -> Result<(), StoreError> {
        if self.refuses.load(Ordering::Relaxed) {
            Err((self.error)())
        } else {
            self.directory.write_status::<K>(key, status).await
        }
    }

    async fn publish_event(&self, event: ObjectEvent) {
        self.told.lock().unwrap().push(event.reason.clone());
    }
}

fn conflict() -> StoreError {
    let (object, message) = ("ImageListSubscription default/vo".to_owned(), "changed meanwhile".to_owned());
    StoreError::Conflict { action: "write the status of", object, message }
}

fn unavailable() -> StoreError {
    let (object, message) = ("ImageListSubscription default/vo".to_owned(), "503".to_owned());
    StoreError::Unavailable { action: "write the status of", object, message }
}

fn denied() -> StoreError {
    let (object, message) = ("ImageListSubscription default/vo".to_owned(), "may not patch status".to_owned());
    StoreError::Denied { action: "write the status of", object, message }
}

impl Refusing {
    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }
}

async fn scene(site: &Site, error: fn() -> StoreError) -> Context<Refusing> {
    let volume = Volume::open_waiting(&site.path("volume"), |_| {}).await.unwrap();
    let (refuses, told) = (AtomicBool::new(true), Mutex::default());
    site.context_over(volume, |directory| Refusing { directory, refuses, error, told })
}

/// Passes while no status can be written, and then two with everything in its place; what was told meanwhile and then.
async fn passes(site: &Site, context: &Context<Refusing>) -> (Vec<String>, Vec<String>) {
    let vo = ObjectKey::new("default", "vo");
    context.store.refuses.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let ended = subscription::reconcile(context, &vo, FetchTrigger::Now, site.now()).await;
        assert!(ended.is_err(), "{ended:?}, told {:?}", context.store.told());
        site.pass_time(SignedDuration::from_secs(1));
    }
    let meanwhile = context.store.told();
    context.store.refuses.store(false, Ordering::Relaxed);
    for _ in 0..2 {
        subscription::reconcile(context, &vo, FetchTrigger::Now, site.now()).await.unwrap();
        site.pass_time(SignedDuration::from_secs(1));
    }
    (meanwhile, context.store.told())
}

#[tokio::test]
async fn an_event_whose_status_could_not_be_written_is_told_once() {
    let none: Vec<String> = Vec::new();
    let one = |reason: &str| vec![reason.to_owned()];
    // What may pass is told with the status that says it; a status that is forbidden keeps nobody from hearing of it.
    for (error, at_once) in [(conflict as fn() -> StoreError, false), (unavailable, false), (denied, true)] {
        let expected = |reason: &str| if at_once { (one(reason), none.clone()) } else { (none.clone(), one(reason)) };
        let site = Site::new();
        site.run().await;
        let image = site.serve(A, "1", 1, 10_000);
        site.publish(&site.list("1.0", &[&image]));
        let context = scene(&site, error).await;
        // No list was there before.
        let mut first = expected("ListAccepted");
        if at_once { &mut first.0 } else { &mut first.1 }.push("Recovered".to_owned());
        assert_eq!(passes(&site, &context).await, first);
        site.publish_message(&sign(&site.list("2.0", &[&image]).json(), &site.pki.stranger, Form::Detached));
        assert_eq!(passes(&site, &context).await, expected("ListRefused"));
        // The same thing once more is told once more.
        site.publish(&site.list("3.0", &[&image]));
        assert_eq!(passes(&site, &context).await, expected("ListAccepted"));
    }
}
