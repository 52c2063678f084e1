//! What a handler keeps from being done, and what it cannot.

use harness::site::Served;

use super::place::{A, B, Place, line};
use crate::reconcile::process::Running;

/// A condition of an image: status, reason and message.
fn condition(place: &Place, identifier: &str, name: &str) -> (String, String, String) {
    let status = status(place, identifier);
    let conditions = status["conditions"].as_array().unwrap();
    let found = conditions.iter().find(|condition| condition["type"] == name).unwrap();
    let text = |field: &str| found[field].as_str().unwrap().to_owned();
    (text("status"), text("reason"), text("message"))
}

/// The status of an image.
pub(super) fn status(place: &Place, identifier: &str) -> serde_json::Value {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_operator"));
    command.args(["get", "images", identifier, "-o", "json", "--volume"]).arg(place.site.path("volume"));
    let output = command.output().unwrap();
    let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    read["items"][0]["status"].clone()
}

fn refresh(place: &Place) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_operator"));
    command.args(["refresh", "images", "-n", "default", "--volume"]).arg(place.site.path("volume"));
    assert!(command.output().unwrap().status.success());
}

fn two_images(place: &Place) -> (Served, Served) {
    let (a, b) = (place.site.serve(A, "1", 1, 40_000), place.site.serve(B, "1", 2, 50_000));
    place.site.publish(&place.site.list("1.0", &[&a, &b]));
    (a, b)
}

#[test]
fn a_veto_keeps_an_image_out_of_the_cache_and_nothing_else() {
    let place = Place::new();
    let (a, b) = two_images(&place);
    place.refuse("AvailablePrefix", A, "it has the wrong kernel\n");
    let run = place.run_with(1);
    assert_eq!(place.site.shelf("endorsed"), [b.entry()]);
    assert_eq!(run.lines_of(B), ["SubscriptionImageNew after 1", "Available after 1"], "{run:?}");
    assert_eq!(run.lines_of(A), ["SubscriptionImageNew after 1", "HookVetoed after 1"], "{run:?}");
    let vetoed = run.logged.iter().find(|event| event.event.as_str() == "HookVetoed").unwrap();
    assert_eq!(vetoed.reason.as_deref(), Some("Available"));
    let message = vetoed.message.as_deref().unwrap();
    assert!(message.contains("it has the wrong kernel"), "{message}");
    let (holds, reason, message) = condition(&place, A, "Cached");
    assert_eq!((holds.as_str(), reason.as_str()), ("False", "HookVetoed"), "{message}");
    assert!(message.contains("handler") && message.contains("it has the wrong kernel"), "{message}");
    assert!(!message.contains("it looks at"), "only the last line: {message}");
    assert_eq!(condition(&place, B, "Cached").0, "True");

    place.permit("AvailablePrefix", A);
    refresh(&place);
    let run = place.good_run();
    assert_eq!(run.handled_of(A), ["AvailablePrefix 1", "AvailablePostfix 1"], "{run:?}");
    assert_eq!(run.lines(), ["Available after 1", "Process after"]);
    assert_eq!(place.site.shelf("endorsed"), [a.entry(), b.entry()]);
    assert_eq!(place.site.server.requests(&format!("/{A}-1.img")).len(), 1, "it is not downloaded again");
    place.good_run().assert_only_process();
}

#[test]
fn a_veto_of_a_new_version_keeps_the_old_one() {
    let place = Place::new();
    let (old, kept) = two_images(&place);
    place.good_run();
    let new = place.site.serve(A, "2", 3, 60_000);
    place.site.publish(&place.site.list("1.1", &[&new, &kept]));
    place.refuse("AvailablePrefix", A, "not this one");
    let run = place.run_with(1);
    assert_eq!(place.site.shelf("endorsed"), [old.entry(), kept.entry()]);
    assert_eq!(run.lines_of(A), ["HookVetoed after 2"], "{run:?}");
    // The next runs ask again. They say so again, because each is a process of its own.
    let run = place.run_with(1);
    assert_eq!(run.handled_of(A)[..2], ["ExpirePrefix 1", "AvailablePrefix 2"], "{run:?}");
    assert_eq!(place.site.shelf("endorsed"), [old.entry(), kept.entry()]);
    place.permit("AvailablePrefix", A);
    let run = place.good_run();
    assert_eq!(run.lines_of(A), ["Expire after 1", "Available after 2"], "{run:?}");
    assert_eq!(place.site.shelf("endorsed"), [new.entry(), kept.entry()]);
}

#[test]
fn a_veto_of_an_expiry_keeps_an_image_in_the_cache() {
    let place = Place::new();
    let (old, kept) = two_images(&place);
    place.good_run();
    place.site.publish(&place.site.list("1.1", &[&kept]));
    place.refuse("ExpirePrefix", A, "a machine uses it");
    let run = place.run_with(1);
    assert_eq!(place.site.shelf("endorsed"), [old.entry(), kept.entry()], "{run:?}");
    assert_eq!(run.lines_of(A), ["HookVetoed after 1"], "{run:?}");
    let (_, reason, message) = condition(&place, A, "Cached");
    assert_eq!(reason, "HookVetoed", "{message}");
    assert!(message.contains("a machine uses it"), "{message}");
    place.permit("ExpirePrefix", A);
    let run = place.good_run();
    assert_eq!(run.lines_of(A), ["Expire after 1"], "{run:?}");
    assert_eq!((place.site.shelf("endorsed"), place.site.shelf("expired")), (vec![kept.entry()], vec![old.entry()]));
}

#[test]
fn the_image_of_a_revoked_signer_goes_whatever_a_handler_says() {
    let place = Place::new();
    let (a, b) = two_images(&place);
    place.good_run();
    place.refuse("ExpirePrefix", A, "a machine uses it");
    place.site.trust("endorser", &place.site.pki.endorser, "trust: Revoked");
    let run = place.run_with(1);
    assert_eq!(place.site.shelf("endorsed"), [""; 0], "{run:?}");
    assert_eq!(place.site.shelf("expired"), [a.entry(), b.entry()]);
    assert_eq!(run.handled_of(A), ["ExpirePrefix 1", "ExpirePostfix 1"], "{run:?}");
    assert_eq!(run.lines_of(A), ["Expire after 1"], "{run:?}");
    assert!(run.text.contains("a machine uses it"), "the log has what the handler said: {}", run.text);
}

#[test]
fn a_run_that_a_handler_refuses_does_nothing() {
    let place = Place::new();
    two_images(&place);
    place.refuse("ProcessPrefix", "none", "maintenance until noon");
    let ran = place.once();
    assert_eq!(place.site.shelf("endorsed"), [""; 0]);
    assert!(ran.code != Some(0) && ran.text.contains("maintenance until noon"), "{ran:?}");
    assert_eq!(place.site.server.requests("/image.list").len(), 0);
    assert_eq!(
        place.logged().iter().map(line).collect::<Vec<_>>(),
        ["HookVetoed after"],
        "it did not begin, so it does not end"
    );
    place.permit("ProcessPrefix", "none");
    place.good_run();
    assert_eq!(place.site.shelf("endorsed").len(), 2);
}

#[test]
fn a_program_that_goes_on_asks_again_at_once_when_people_wish_it() {
    let place = Place::new();
    let (a, b) = two_images(&place);
    place.refuse("AvailablePrefix", A, "it has the wrong kernel");
    let config = place.site.path("config.yaml");
    let mut running = Running::start_with(&place.site, &["--config", config.to_str().unwrap()]);
    running.wait_for("HookVetoed");
    place.permit("AvailablePrefix", A);
    let asked_before = place.handled().len();
    refresh(&place);
    running.wait_for(&format!("object=default/{A} reason=\"ImageDownloaded\""));
    assert!(running.terminate().success());
    assert_eq!(place.site.shelf("endorsed"), [a.entry(), b.entry()]);
    assert!(place.handled().len() > asked_before);
    let lines = super::place::of_image(&place.logged(), A);
    let once = ["SubscriptionImageNew after 1", "HookVetoed after 1", "Available after 1"];
    assert_eq!(lines, once);
}
