//! Going back to an older version, and forward again.

use harness::image_server::Resource;
use harness::list::ListBuilder;
use harness::pki::{CrlSpec, Reason};
use harness::signer::{Form, sign};
use harness::site::{LIST, Run, Served, Site};
use jiff::SignedDuration;
use vmcatcher_operator::api::{HasConditions, VersionStatus};

use super::process::{once, text};

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";

fn pin(more: &str) -> String {
    format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: CachedImage\nmetadata: {{name: {A}}}\nspec: {{subscriptionRef: {{name: \
         vo}}, identifier: {A}, {more}}}\n"
    )
}

#[tokio::test]
async fn an_older_version_comes_back_from_the_archive_or_else_from_its_address() {
    let site = Site::new();
    site.subscribe("retention: {keepVersions: 1, keepFor: 0s}");
    let mut served = Vec::new();
    for version in 1..=3_u64 {
        served.push(site.serve(A, &version.to_string(), version, 50_000));
        site.publish(&site.list(&format!("1.{version}"), &[&served[served.len() - 1]]));
        site.run().await;
        site.pass_time(SignedDuration::from_mins(5));
    }
    site.run().await;
    assert_eq!(site.shelf("expired"), [served[1].entry()]);

    site.manifest("pin", &pin("version: '2'"));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Ready"), "True Succeeded");
    assert_eq!(site.shelf("endorsed"), [served[1].entry()]);
    assert_eq!(site.server.requests(&format!("/{A}-2.img")).len(), 1, "from the archive");

    site.manifest("pin", &pin(&format!("sha512: {}", served[0].sha512)));
    let run = site.run().await;
    assert_eq!(run.image(A).unwrap().image.unwrap().version, "1");
    assert_eq!(site.shelf("endorsed"), [served[0].entry()]);

    site.forget("pin");
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Ready"), "True Succeeded");
    assert_eq!(site.shelf("endorsed"), [served[2].entry()]);
}

/// The versions in the status: each with its state and the version of the newest list that has it.
fn versions(run: &Run) -> Vec<String> {
    let versions = run.image(A).unwrap().versions;
    let list = |one: &VersionStatus| one.list_version.clone().unwrap_or_else(|| "-".to_owned());
    versions.iter().map(|one| format!("{} {} {}", one.version, one.state, list(one))).collect()
}

#[tokio::test]
async fn the_status_has_every_version_that_is_known_and_where_it_is() {
    let site = Site::new();
    site.subscribe("retention: {keepVersions: 1, keepFor: 0s}");
    let mut served = Vec::new();
    for version in 1..=3_u64 {
        served.push(site.serve(A, &version.to_string(), version, 50_000));
        site.publish(&site.list(&format!("0.{version}"), &[&served[served.len() - 1]]));
        site.run().await;
        site.pass_time(SignedDuration::from_mins(5));
    }
    let all = ["3 Endorsed 0.3", "2 Archived 0.2", "1 OlderList 0.1"];
    assert_eq!(versions(&site.run().await), all);
    assert_eq!(versions(&site.run().await), all, "they stay though the older lists are not read again");
    // A new list names the old version again, and drops none of the others.
    site.publish(&site.list("0.4", &[&served[2]]));
    assert_eq!(versions(&site.run().await), ["3 Endorsed 0.4", "2 Archived 0.2", "1 OlderList 0.1"]);
    // The status is lost, as when the object is made again.
    std::fs::remove_dir_all(site.path("volume/state/resources")).unwrap();
    site.run().await;
    assert_eq!(versions(&site.run().await), ["3 Endorsed 0.4", "2 Archived 0.2", "1 OlderList 0.1"]);
    let first = site.run().await.image(A).unwrap().versions.pop().unwrap();
    assert_eq!((first.size, first.sha512), (Some(50_000), Some(served[0].sha512.clone())));
    // What a revoked signer endorsed is known no more.
    site.trust("renewed", &site.pki.second, "");
    second_list(&site, &served[2]).await;
    site.trust("endorser", &site.pki.endorser, "trust: Revoked");
    site.run().await;
    let left = versions(&site.run().await);
    assert!(left.iter().all(|version| !version.contains("OlderList")), "{left:?}");
}

#[tokio::test]
async fn a_pin_tries_each_address_that_lists_have_for_the_version() {
    let site = Site::new();
    site.subscribe("retention: {keepVersions: 0, keepFor: 0s}");
    let old = site.serve(A, "1", 1, 50_000);
    let moved = Served { uri: site.server.url("/moved.img"), ..old.clone() };
    site.server.put("/moved.img", Resource::pattern(9, 50_000));
    let new = site.serve(A, "2", 2, 50_000);
    for (version, image) in [("1.1", &new), ("1.2", &old), ("1.3", &moved), ("1.4", &new)] {
        site.publish(&site.list(version, &[image]));
        site.run().await;
        // Bytes that nothing refers to are removed after an hour.
        site.pass_time(SignedDuration::from_hours(2));
        site.run().await;
    }
    assert_eq!((site.shelf("endorsed"), site.shelf("expired")), (vec![new.entry()], Vec::new()));
    site.manifest("pin", &pin("version: '1'"));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Ready"), "True Succeeded");
    assert_eq!(
        site.shelf("endorsed"),
        [old.entry()],
        "the newest list's address has other bytes, the older one's has them"
    );
    assert!(!site.server.requests("/moved.img").is_empty());
}

#[tokio::test]
async fn the_retention_of_an_image_has_priority() {
    let site = Site::new();
    site.subscribe("retention: {keepVersions: 0, keepFor: 0s}");
    site.manifest("own", &pin("retention: {keepVersions: 1, keepFor: 0s}"));
    let served = [1, 2, 3].map(|version| site.serve(A, &version.to_string(), version, 50_000));
    for (number, image) in served.iter().enumerate() {
        site.publish(&site.list(&format!("1.{number}"), &[image]));
        site.run().await;
        site.pass_time(SignedDuration::from_mins(5));
    }
    site.run().await;
    assert_eq!(site.shelf("expired"), [served[1].entry()], "one, though the subscription keeps none");
    site.manifest("own", &pin("retention: {keepVersions: 1, keepFor: 30d}"));
    site.run().await;
    assert_eq!(site.shelf("expired"), [served[1].entry()], "a manifest that is wrong changes nothing");
    // Without its own it has its subscription's again.
    site.manifest("own", &pin("suspend: false"));
    site.run().await;
    assert_eq!(site.shelf("expired"), Vec::<String>::new());
}

/// The versions that `cache ls` reports, with their states.
fn listed(site: &Site) -> Vec<(String, String)> {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_operator"));
    let output = command.args(["cache", "ls", "-o", "json", "--volume"]).arg(site.path("volume")).output().unwrap();
    let listed: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let text = |one: &serde_json::Value, field: &str| one[field].as_str().unwrap().to_owned();
    listed.iter().map(|one| (text(one, "version"), text(one, "state"))).collect()
}

#[test]
fn what_goes_back_is_in_one_place_and_is_told_as_a_return() {
    let site = Site::new();
    site.subscribe("retention: {keepVersions: 1, keepFor: 0s}");
    let mut served = Vec::new();
    for version in 1..=2_u64 {
        served.push(site.serve(A, &version.to_string(), version, 50_000));
        site.publish(&site.list(&format!("1.{version}"), &[&served[served.len() - 1]]));
        let run = text(&once(&site));
        assert!(run.contains("ImageDownloaded") && !run.contains("ImageRestored"), "{run}");
        // By its own clock the next list is of the future for at most the skew that is allowed.
        site.pass_time(SignedDuration::from_secs(60));
    }
    let [one, two] = served.try_into().unwrap();
    // As a version before this one left it: in both folders.
    let in_both = || {
        for end in ["", ".json"] {
            let name =
                |shelf: &str| site.path("volume").join(shelf).join("default").join(format!("{}.raw{end}", two.entry()));
            std::fs::hard_link(name("endorsed"), name("expired")).unwrap();
        }
    };
    in_both();
    assert_eq!(listed(&site), [("2".to_owned(), "endorsed".to_owned()), ("1".to_owned(), "archived".to_owned())]);
    let run = text(&once(&site));
    assert_eq!(site.shelf("expired"), [one.entry()], "it takes no other version's place: {run}");
    site.manifest("pin", &pin("version: '1'"));
    for _ in 0..2 {
        let run = text(&once(&site));
        assert!(!run.contains("ImageDownloaded"), "{run}");
        assert_eq!((site.shelf("endorsed"), site.shelf("expired")), (vec![one.entry()], vec![two.entry()]), "{run}");
        assert_eq!(listed(&site), [("1".to_owned(), "endorsed".to_owned()), ("2".to_owned(), "archived".to_owned())]);
    }
    site.forget("pin");
    let run = text(&once(&site));
    assert!(run.contains("ImageRestored") && run.contains("version 2 is back from the archive"), "{run}");
    // What goes out is not removed from the archive because it is there already.
    in_both();
    site.trust("endorser", &site.pki.endorser, "trust: Revoked");
    let run = text(&once(&site));
    assert_eq!(site.shelf("endorsed"), [] as [String; 0], "{run}");
    assert!(site.shelf("expired").contains(&two.entry()), "{run}");
}

#[tokio::test]
async fn a_pin_stands_in_the_pass_that_brings_a_newer_list() {
    let site = Site::new();
    let old = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&old]));
    site.manifest("pin", &pin("version: '1'"));
    let run = site.run().await;
    let before = run.image(A).unwrap().condition("Ready").unwrap().last_transition_time.clone();
    site.pass_time(SignedDuration::from_mins(5));
    site.publish(&site.list("1.1", &[&site.serve(A, "2", 2, 50_000)]));
    let run = site.run().await;
    assert_eq!(run.list_version().as_deref(), Some("1.1"));
    assert_eq!(site.shelf("endorsed"), [old.entry()]);
    let ready = run.image(A).unwrap().condition("Ready").unwrap().clone();
    assert_eq!((ready.status.as_str(), ready.last_transition_time), ("True", before), "it was ready all the time");
}

#[tokio::test]
async fn a_pin_that_names_nothing_leaves_what_is_there() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    site.run().await;
    for nothing in ["version: '7'".to_owned(), format!("version: '1', sha512: {}", "0".repeat(128))] {
        site.manifest("pin", &pin(&nothing));
        let run = site.run().await;
        assert_eq!(run.image_condition(A, "Endorsed"), "False PinNotFound");
        assert_eq!(site.shelf("endorsed"), [image.entry()]);
    }
}

/// A site whose first list was the endorser's, and whose second is another certificate's; both are trusted.
async fn signed_by_another_since() -> (Site, [Served; 2]) {
    let (site, served) = first_list().await;
    second_list(&site, &served[1]).await;
    assert_eq!(site.shelf("endorsed"), [served[1].entry()]);
    (site, served)
}

async fn first_list() -> (Site, [Served; 2]) {
    let site = Site::new();
    let served = [site.serve(A, "1", 1, 50_000), site.serve(A, "2", 2, 50_000)];
    site.publish(&site.list("1.0", &[&served[0]]));
    site.run().await;
    site.pass_time(SignedDuration::from_mins(5));
    (site, served)
}

async fn second_list(site: &Site, new: &Served) {
    let second = ListBuilder::new(LIST, site.now()).version("1.1").created(site.now());
    let second = second.endorser(&site.pki.second).image(A, "2", &new.uri, new.size, &new.sha512);
    site.trust("renewed", &site.pki.second, "");
    let url = site.server.url("/image.list");
    site.manifest("subscription-vo", &format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo}}\nspec:\n  source: {{url: \
         {url:?}}}\n  verify: {{endorserRefs: [{{name: endorser}}, {{name: renewed}}]}}\n  images: {{include: {{match: \
         [{{name: all}}]}}}}\n"
    ));
    site.publish_message(&sign(&second.json(), &site.pki.second, Form::Detached));
    let run = site.run().await;
    assert_eq!(run.list_version().as_deref(), Some("1.1"));
}

/// The pinned version is published already when its signer is revoked; the list in force is another's and stands.
#[tokio::test]
async fn a_pinned_version_goes_out_with_its_signer() {
    for more in ["trust: Revoked", "trust: Hold"] {
        let (site, [old, new]) = signed_by_another_since().await;
        site.manifest("pin", &pin("version: '1'"));
        site.run().await;
        assert_eq!(site.shelf("endorsed"), [old.entry()]);
        site.trust("endorser", &site.pki.endorser, more);
        let run = site.run().await;
        if more == "trust: Hold" {
            assert_eq!(site.shelf("endorsed"), [old.entry()], "absence takes nothing away");
            continue;
        }
        assert_eq!(site.shelf("endorsed"), Vec::<String>::new());
        assert_eq!(run.image_condition(A, "Ready").split(' ').next(), Some("False"));
        assert_eq!(run.list_condition("SourceVerified"), "True Verified");
        site.forget("pin");
        site.run().await;
        assert_eq!(site.shelf("endorsed"), [new.entry()], "what another endorser stands for comes back");
    }
}

/// The version before stays while the next one cannot be fetched, but not when its signer is revoked.
#[tokio::test]
async fn a_version_that_waits_for_the_next_goes_out_with_its_signer() {
    let (site, [old, new]) = first_list().await;
    let path = format!("/{A}-2.img");
    site.server.put(&path, Resource::status(503));
    second_list(&site, &new).await;
    assert_eq!(site.shelf("endorsed"), [old.entry()]);
    site.trust("endorser", &site.pki.endorser, "trust: Revoked");
    site.run().await;
    assert_eq!(site.shelf("endorsed"), Vec::<String>::new());
    site.serve(A, "2", 2, 50_000);
    site.pass_time(SignedDuration::from_hours(7));
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [new.entry()]);
}

#[tokio::test]
async fn a_pinned_version_of_a_revoked_signer_is_not_gone_back_to() {
    let (site, [_, new]) = signed_by_another_since().await;
    site.trust("endorser", &site.pki.endorser, "trust: Revoked");
    site.manifest("pin", &pin("version: '1'"));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Endorsed"), "False PinNotFound");
    assert_eq!(site.shelf("endorsed"), [new.entry()]);
}

/// An authority drops what has expired from its CRL: what it revoked meanwhile is no version to go back to either,
/// though nobody had a pin then.
#[tokio::test]
async fn a_revocation_of_an_older_lists_signer_is_remembered() {
    for (revoked, version) in [(true, "2"), (false, "1")] {
        let (site, _) = signed_by_another_since().await;
        let write = |crl: CrlSpec<'_>| {
            let hash = format!("{:08x}.r0", site.pki.intermediate.certificate.subject_name_hash());
            std::fs::write(site.path("trust").join(hash), crl.der()).unwrap();
        };
        let crl = || site.pki.intermediate.crl(site.pki.now);
        write(if revoked { crl().revoke(&site.pki.endorser, Some(Reason::KeyCompromise)) } else { crl() });
        assert_eq!(site.run().await.list_condition("Ready"), "True Succeeded", "the list in force is another's");
        write(crl());
        site.manifest("pin", &pin("version: '1'"));
        site.run().await;
        let shelf = site.shelf("endorsed");
        assert!(shelf[0].contains(&format!("/{version}-")), "revoked {revoked}: {shelf:?}");
    }
}
