//! The life of an image, as a handler of vmcatcher and a file see it.

use std::collections::BTreeMap;
use std::path::Path;

use harness::site::Served;
use serde_json::json;

use super::place::{A, B, Place, Variables};

/// The file of a variable and the directory that it is in.
fn file(event: &Variables, directory: &str) -> String {
    let (directory, name) = (&event[&format!("VMCATCHER_CACHE_DIR_{directory}")], &event["VMCATCHER_EVENT_FILENAME"]);
    format!("{directory}/{name}")
}

#[test]
fn a_first_run_announces_each_image_and_the_handler_can_read_its_file() {
    let place = Place::new();
    let (a, b) = (place.site.serve(A, "1", 1, 40_000), place.site.serve(B, "3", 2, 50_000));
    place.site.publish(&place.site.list("1.0", &[&a, &b]));
    let run = place.good_run();
    for (identifier, image, version) in [(A, &a, "1"), (B, &b, "3")] {
        // A step asks its handlers at once; what occurred comes by the spool, in its own order.
        let handled = run.handled_of(identifier);
        let place = |event: &str| handled.iter().position(|one| *one == format!("{event} {version}"));
        let [new, asked, published] = ["SubscriptionImageNew", "AvailablePrefix", "AvailablePostfix"].map(place);
        assert!(new.is_some() && asked.is_some(), "{run:?}");
        assert!(handled.len() == 3 && new < published && asked < published, "{run:?}");
        let logged = ["SubscriptionImageNew after", "Available after"];
        assert_eq!(run.lines_of(identifier), logged.map(|event| format!("{event} {version}")), "{run:?}");
        for event in ["AvailablePrefix", "AvailablePostfix"] {
            let event = run.of(event, identifier);
            assert_eq!(event["DIGEST"], image.sha512, "{event:?}");
            assert_eq!(event["VMCATCHER_EVENT_SL_CHECKSUM_SHA512"], image.sha512);
        }
        let published = run.of("AvailablePostfix", identifier);
        assert!(file(published, "CACHE").contains("/endorsed/default/"), "{published:?}");
    }
    assert_eq!(run.other_lines(), ["ListAccepted after", "Process after"]);
    let others = ["ProcessPrefix", "ListAcceptedPostfix", "ProcessPostfix"];
    assert_eq!(run.handled_of_none(), others, "{run:?}");
    assert_eq!(run.handled.last().unwrap()["VMCATCHER_EVENT_TYPE"], "ProcessPostfix");
    let sessions: std::collections::BTreeSet<_> =
        run.handled.iter().map(|event| &event["VMCATCHER_EVENT_UUID_SESSION"]).collect();
    assert_eq!(sessions.len(), 1, "all events of a run have the same session");
    place.good_run().assert_only_process();
}

#[test]
fn a_new_version_replaces_the_old_one_and_a_removed_image_expires() {
    let place = Place::new();
    let (old, kept) = (place.site.serve(A, "1", 1, 40_000), place.site.serve(B, "1", 2, 50_000));
    place.site.publish(&place.site.list("1.0", &[&old, &kept]));
    place.good_run();
    let new = place.site.serve(A, "2", 3, 60_000);
    place.site.publish(&place.site.list("1.1", &[&new, &kept]));
    let run = place.good_run();
    let expected = ["ExpirePrefix 1", "AvailablePrefix 2", "ExpirePostfix 1", "AvailablePostfix 2"];
    assert_eq!(run.handled_of(A), expected, "{run:?}");
    assert_eq!(run.lines_of(A), ["Expire after 1", "Available after 2"]);
    assert_eq!(run.handled_of(B), [""; 0], "{run:?}");
    assert_eq!(run.other_lines(), ["ListAccepted after", "Process after"]);
    for (event, image) in
        [("ExpirePrefix", &old), ("ExpirePostfix", &old), ("AvailablePrefix", &new), ("AvailablePostfix", &new)]
    {
        let event = run.of(event, A);
        assert_eq!((&event["DIGEST"], &event["VMCATCHER_EVENT_HV_URI"]), (&image.sha512, &image.uri), "{event:?}");
        assert_eq!(event["VMCATCHER_EVENT_SL_CHECKSUM_SHA512"], image.sha512);
        assert_eq!(event["VMCATCHER_EVENT_HV_SIZE"], image.size.to_string());
    }
    assert!(file(run.of("ExpirePostfix", A), "EXPIRE").contains("/expired/default/"), "{run:?}");
    place.good_run().assert_only_process();

    place.site.publish(&place.site.list("1.2", &[&kept]));
    let run = place.good_run();
    assert_eq!(run.handled_of(A), ["ExpirePrefix 2", "ExpirePostfix 2"], "{run:?}");
    assert_eq!(run.of("ExpirePostfix", A)["DIGEST"], new.sha512);
    assert_eq!(run.of("ExpirePostfix", A)["VMCATCHER_EVENT_DC_TITLE"], format!("Image {A}"));
    assert_eq!(run.lines_of(A), ["Expire after 2"]);
    place.good_run().assert_only_process();

    // It comes back: it is available again, and not new.
    place.site.publish(&place.site.list("1.3", &[&new, &kept]));
    let run = place.good_run();
    assert_eq!(run.lines_of(A), ["Available after 2"], "{run:?}");
    assert_eq!(run.of("AvailablePrefix", A)["DIGEST"], new.sha512);
    place.good_run().assert_only_process();
}

#[test]
fn the_same_bytes_under_a_new_version_are_another_version() {
    let place = Place::new();
    let old = place.site.serve(A, "1", 1, 40_000);
    place.site.publish(&place.site.list("1.0", &[&old]));
    place.good_run();
    let new = place.site.serve(A, "2", 1, 40_000);
    place.site.publish(&place.site.list("1.1", &[&new]));
    let run = place.good_run();
    let expected = ["ExpirePrefix 1", "AvailablePrefix 2", "ExpirePostfix 1", "AvailablePostfix 2"];
    assert_eq!(run.handled_of(A), expected, "{run:?}");
    assert_eq!(run.of("ExpirePostfix", A)["VMCATCHER_EVENT_HV_URI"], old.uri);
    assert_eq!(run.of("AvailablePrefix", A)["VMCATCHER_EVENT_HV_URI"], new.uri);
    place.good_run().assert_only_process();
}

#[test]
fn a_subscription_that_is_removed_takes_its_images_out() {
    let place = Place::new();
    place.site.subscribe("deletionPolicy: Retire");
    let image = place.site.serve(A, "1", 1, 40_000);
    place.site.publish(&place.site.list("1.0", &[&image]));
    place.good_run();
    place.site.forget("subscription-vo");
    let run = place.good_run();
    assert_eq!(run.lines_of(A), ["Expire after 1"], "{run:?}");
    assert_eq!(run.handled_of(A), ["ExpirePrefix 1", "ExpirePostfix 1"]);
    assert_eq!(run.of("ExpirePostfix", A)["DIGEST"], image.sha512);
    place.good_run().assert_only_process();
}

/// Entries that are not selected are not kept while a list is read.
#[test]
fn an_image_that_is_not_selected_is_new_when_it_is() {
    let place = Place::new();
    let select = |identifiers: &str| {
        let images = format!("images: {{include: {{identifiers: [{identifiers}]}}}}");
        place.site.subscribe_to("vo", &place.site.server.url("/image.list"), &images);
    };
    select(A);
    let (a, b) = (place.site.serve(A, "1", 1, 40_000), place.site.serve(B, "1", 2, 50_000));
    place.site.publish(&place.site.list("1.0", &[&a, &b]));
    let run = place.good_run();
    assert_eq!(run.lines_of(A), ["SubscriptionImageNew after 1", "Available after 1"], "{run:?}");
    assert_eq!(run.lines_of(B), [""; 0], "{run:?}");
    select(&format!("{A}, {B}"));
    let run = place.good_run();
    assert_eq!(run.lines_of(B), ["SubscriptionImageNew after 1", "Available after 1"], "{run:?}");
    assert_eq!(run.other_lines(), ["Process after"], "{run:?}");
    place.good_run().assert_only_process();
}

/// The recorded events of vmcatcher 0.6.3 of one image, by type; its list has a VO.
fn recorded() -> BTreeMap<String, Variables> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/events/events-transcript.txt");
    let transcript = std::fs::read_to_string(path).unwrap();
    let variable = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let events = transcript.split("--- event at ").skip(1);
    let events: Vec<Variables> = events.map(|event| event.lines().skip(1).map_while(variable).collect()).collect();
    let identifier = |event: &Variables| event.get("VMCATCHER_EVENT_DC_IDENTIFIER").cloned();
    let is_whole = |event: &&Variables| {
        event["VMCATCHER_EVENT_TYPE"] == "ExpirePostfix" && event.contains_key("VMCATCHER_EVENT_VO")
    };
    let of = identifier(events.iter().find(is_whole).unwrap());
    let of = events.into_iter().filter(|event| identifier(event) == of);
    of.map(|event| (event["VMCATCHER_EVENT_TYPE"].clone(), event)).collect()
}

/// The image of a recorded event, with other bytes.
fn listed(original: &Variables, served: &Served) -> serde_json::Value {
    let value = |name: &str| original[&format!("VMCATCHER_EVENT_{name}")].clone();
    json!({"hv:image": {
        "dc:title": value("DC_TITLE"), "dc:description": value("DC_DESCRIPTION"), "dc:identifier": served.identifier,
        "hv:size": served.size, "hv:uri": served.uri, "hv:version": served.version, "hv:hypervisor": value("HV_HYPERVISOR"),
        "hv:format": value("HV_FORMAT"), "sl:checksum:sha512": served.sha512, "sl:arch": value("SL_ARCH"), "sl:os": value("SL_OS"),
        "sl:osversion": value("SL_OSVERSION"), "sl:comments": value("SL_COMMENTS"), "ad:mpuri": value("AD_MPURI"),
    }})
}

#[test]
fn the_variables_of_an_image_are_those_of_vmcatcher() {
    let recorded = recorded();
    let original = &recorded["ExpirePostfix"];
    let (identifier, version) = (&original["VMCATCHER_EVENT_DC_IDENTIFIER"], &original["VMCATCHER_EVENT_HV_VERSION"]);
    let place = Place::new();
    let served = place.site.serve(identifier, version, 1, 40_000);
    let list = |version: &str| place.site.list(version, &[]).with("ad:vo", json!(original["VMCATCHER_EVENT_VO"]));
    place.site.publish(&list("1.0").raw_image(listed(original, &served)));
    let cached = place.good_run();
    place.site.publish(&list("1.1"));
    let expired = place.good_run();
    let events = [
        (&cached, "AvailablePrefix"),
        (&cached, "AvailablePostfix"),
        (&expired, "ExpirePrefix"),
        (&expired, "ExpirePostfix"),
    ];
    for (run, event_type) in events {
        let made = run.of(event_type, identifier);
        assert_eq!(of_the_image(made), of_the_image(&recorded[event_type]), "{event_type}");
        assert_eq!(made["DIGEST"], served.sha512);
    }
}

/// The variables of an event, without the values that are of the place and of the bytes.
fn of_the_image(event: &Variables) -> Variables {
    let differ = ["UUID_SESSION", "HV_URI", "HV_SIZE", "SL_CHECKSUM_SHA512", "IL_DC_IDENTIFIER", "FILENAME"];
    let of = event.iter().filter_map(|(name, value)| Some((name.strip_prefix("VMCATCHER_EVENT_")?, value)));
    of.map(|(name, value)| (name.to_owned(), if differ.contains(&name) { "is set" } else { value }.to_owned()))
        .collect()
}

/// A handler runs in the directory `/`.
#[test]
fn a_volume_that_is_named_by_a_relative_path_is_found_by_handlers() {
    let place = Place::new();
    let image = place.site.serve(A, "1", 1, 40_000);
    place.site.publish(&place.site.list("1.0", &[&image]));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_operator"));
    command.args(["reconcile", "--once", "--manifests", "manifests", "--volume", "volume", "--trust", "trust"]);
    command.args(["--config", "config.yaml"]).current_dir(place.site.path(""));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let handled = place.handled();
    let available = handled.iter().find(|event| event["VMCATCHER_EVENT_TYPE"] == "AvailablePostfix").unwrap();
    assert_eq!(available["DIGEST"], image.sha512, "{available:?}");
}
