//! What holds an object until no version of it is in circulation, and people who take it off.

use harness::opennebula::Cloud;
use vmcatcher_operator::api::{CachedImage, CloudTarget, HasConditions as _, ImageListSubscription, ObjectKey};
use vmcatcher_operator::reconcile::image::gone_while_held;
use vmcatcher_operator::store::ResourceStore as _;

use super::deletion_orders::{Deleted, Scene};
use super::departures::in_circulation;
use super::targets::{A, SECRET, target};

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("default", name)
}

fn events(scene: &Scene) -> Vec<String> {
    let told = std::mem::take(&mut *scene.context.store.told.lock().unwrap());
    told.iter().map(|event| format!("{} {}: {}", event.kind, event.reason, event.message)).collect()
}

fn has(events: &[String], first: &str, parts: &[&str]) -> bool {
    events.iter().any(|event| event.starts_with(first) && parts.iter().all(|part| event.contains(part)))
}

/// An image that is held, since its cloud cannot be asked.
async fn held() -> Scene {
    let scene = Scene::new(0).await;
    scene.cloud.die_after(0);
    for what in [Deleted::Subscription, Deleted::Target] {
        scene.delete(what).await;
    }
    scene.settle().await;
    assert_eq!(scene.left(), ["image", "target", "subscription"]);
    scene
}

#[tokio::test]
async fn a_target_whose_finalizer_was_taken_off_is_told_and_so_is_what_is_done_when_it_is_back() {
    let scene = Box::pin(held()).await;
    let told = events(&scene);
    assert!(has(&told, "CachedImage RetireBlocked: image 0 at one", &["CloudUnreachable"]), "{told:#?}");
    scene.context.store.set_finalizer::<CloudTarget>(&key("one"), false).await.unwrap();
    scene.settle().await;
    let told = events(&scene);
    assert!(
        has(&told, "CachedImage RetireBlocked: image 0 at one", &["TargetNotFound", "CloudTarget one"]),
        "{told:#?}"
    );
    scene.settle().await;
    assert_eq!(events(&scene), [""; 0], "told once");
    target(&scene.site, &scene.cloud, "one", "");
    scene.cloud.recover();
    scene.context.store.directory.reload(scene.site.now()).unwrap();
    scene.settle().await;
    let told = events(&scene);
    assert!(has(&told, "CachedImage ImageRetired: image 0 at one is out of circulation", &[]), "{told:#?}");
    assert_eq!((in_circulation(&scene.cloud), scene.left()), (0, vec!["target".to_owned()]));
}

#[tokio::test]
async fn a_target_that_is_taken_away_under_an_image_is_told_by_it() {
    let scene = Scene::new(0).await;
    scene.delete(Deleted::Target).await;
    scene.context.store.set_finalizer::<CloudTarget>(&key("one"), false).await.unwrap();
    scene.settle().await;
    let told = events(&scene);
    assert!(
        has(&told, "CachedImage TargetNotFound: ", &["CloudTarget one does not exist any more", "image 0 at one"]),
        "{told:#?}"
    );
}

#[tokio::test]
async fn an_image_whose_finalizer_was_taken_off_is_told() {
    let scene = Box::pin(held()).await;
    let object = scene.context.store.get::<CachedImage>(&key(A)).unwrap();
    let told = gone_while_held(&scene.context, &object).expect("it was held");
    assert_eq!(
        (told.reason.as_str(), told.message.as_str()),
        ("RetireAbandoned", "image 0 at one stays in circulation: somebody removed its finalizer")
    );
    scene.cloud.recover();
    scene.site.pass_time(jiff::SignedDuration::from_mins(1));
    scene.settle().await;
    assert_eq!(gone_while_held(&scene.context, &object), None, "it went by itself");
}

#[tokio::test]
async fn a_subscription_whose_finalizer_was_taken_off_has_its_images_retired_all_the_same() {
    let scene = Scene::new(0).await;
    scene.delete(Deleted::Subscription).await;
    scene.context.store.set_finalizer::<ImageListSubscription>(&key("vo"), false).await.unwrap();
    scene.settle().await;
    assert_eq!((in_circulation(&scene.cloud), scene.left()), (0, vec!["target".to_owned()]));
}

/// A person changes the policy and deletes the subscription in one breath.
#[tokio::test]
async fn the_last_word_on_a_policy_counts() {
    let scene = Scene::new(0).await;
    scene.site.subscribe("targetRefs: [{name: one}]\n  deletionPolicy: Orphan");
    scene.context.store.directory.reload(scene.site.now()).unwrap();
    scene.pass(1).await;
    scene.delete(Deleted::Subscription).await;
    scene.settle().await;
    assert_eq!((in_circulation(&scene.cloud), scene.left()), (1, vec!["target".to_owned()]));
}

fn ready(scene: &Scene) -> (String, String, u32) {
    let object = scene.context.store.get::<CloudTarget>(&key("one")).unwrap();
    let status = object.status.clone().unwrap();
    let ready = status.condition("Ready").unwrap();
    (ready.reason.clone(), ready.message.clone(), status.images)
}

#[tokio::test]
async fn a_target_that_is_to_retire_its_images_is_held_for_them_and_says_so() {
    let scene = Scene::new(0).await;
    scene.delete(Deleted::Target).await;
    scene.settle().await;
    let (reason, message, images) = ready(&scene);
    assert_eq!((reason.as_str(), images, in_circulation(&scene.cloud)), ("Deleting", 1, 1));
    assert!(message.contains(A) && message.contains("deletionPolicy Retire"), "{message}");
    scene.delete(Deleted::Subscription).await;
    scene.settle().await;
    assert_eq!((in_circulation(&scene.cloud), scene.left()), (0, Vec::<String>::new()));
}

#[tokio::test]
async fn a_target_whose_secret_is_lost_says_how_many_images_are_there_and_publishes_nothing() {
    let scene = Scene::new(0).await;
    scene.delete(Deleted::Secret).await;
    scene.settle().await;
    assert_eq!((ready(&scene).0.as_str(), ready(&scene).2), ("SecretNotFound", 1));
    let served = super::targets::qcow2(&scene.site, A, "2");
    scene.site.pass_time(jiff::SignedDuration::from_hours(7));
    scene.site.publish(&scene.site.list("1.1", &[&served]));
    scene.cloud.take_calls();
    scene.settle().await;
    assert_eq!(scene.cloud.take_calls(), [], "what was read before is good for nothing new");
}

async fn ready_changes(scene: &Scene, cloud: &Cloud, dead: bool) -> Vec<String> {
    if dead {
        cloud.die_after(0);
    } else {
        cloud.recover();
    }
    let mut told = Vec::new();
    for _ in 0..2 {
        scene.site.pass_time(jiff::SignedDuration::from_mins(11));
        scene.settle().await;
        told.extend(events(scene).into_iter().filter(|event| event.starts_with("CloudTarget")));
    }
    told
}

#[tokio::test]
async fn targets_and_endorsers_tell_when_something_changes_and_only_then() {
    let scene = Scene::new(0).await;
    let told = ready_changes(&scene, &scene.cloud, true).await;
    assert!(told.len() == 1 && has(&told, "CloudTarget CloudUnreachable: ", &[]), "{told:#?}");
    let told = ready_changes(&scene, &scene.cloud, false).await;
    assert!(told.len() == 1 && has(&told, "CloudTarget Recovered: OpenNebula", &[]), "{told:#?}");
    target(&scene.site, &scene.cloud, "one", "formats: []");
    scene.site.trust("endorser", &scene.site.pki.endorser, "trustAnchors: {configMapRef: {name: none}}");
    scene.context.store.directory.reload(scene.site.now()).unwrap();
    scene.settle().await;
    let told = events(&scene);
    assert!(has(&told, "CloudTarget InvalidSpec: spec.formats", &[]), "{told:#?}");
    assert!(has(&told, "Endorser TrustAnchorsNotFound: ", &["none"]), "{told:#?}");
    scene.delete(Deleted::Endorser).await;
    scene.settle().await;
    let told = [told, events(&scene)].concat();
    let missing: Vec<_> = told.iter().filter(|event| event.contains("EndorserNotFound")).collect();
    assert!(missing.len() == 1 && missing[0].starts_with("ImageListSubscription EndorserNotFound: "), "{told:#?}");
    target(&scene.site, &scene.cloud, "one", "");
    scene.site.manifest("secret", SECRET);
    scene.site.trust("endorser", &scene.site.pki.endorser, "");
    scene.context.store.directory.reload(scene.site.now()).unwrap();
    scene.settle().await;
    let told = events(&scene);
    for kind in ["CloudTarget", "ImageListSubscription"] {
        assert!(has(&told, &format!("{kind} Recovered: "), &[]), "{kind}: {told:#?}");
    }
}
