//! `reconcile --dry-run` prints what a run would do, and changes nothing.

use harness::site::Site;

use super::{ONE, Ran, once};

fn dry_run(site: &Site, more: &[&str]) -> Ran {
    crate::reconcile::process::operator(site, &[&["--dry-run"], more].concat()).output().unwrap().into()
}

/// The plans, without the columns of kind and name.
fn rows(ran: &Ran) -> Vec<&str> {
    ran.shown.lines().skip(1).map(|line| line.split_whitespace().next().unwrap_or_default()).collect()
}

#[test]
fn a_dry_run_prints_the_plans_and_changes_nothing() {
    let site = Site::new();
    let image = site.serve(ONE, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));

    let first = dry_run(&site, &[]);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(rows(&first), ["ImageListSubscription"], "{first:?}");
    assert!(first.shown.contains("1.0") && first.shown.contains(ONE), "{first:?}");
    assert!(site.volume_files().is_empty(), "{:?}", site.volume_files());

    assert_eq!(once(&site, &[]).code, Some(0));
    let (files, shelf) = (site.volume_files(), site.shelf("endorsed"));
    let settled = dry_run(&site, &[]);
    assert_eq!(rows(&settled), ["ImageListSubscription", "CachedImage"], "{settled:?}");
    assert_eq!(settled.shown.matches("nothing to do").count(), 2, "{settled:?}");

    let newer = site.serve(ONE, "2", 2, 50_000);
    site.publish(&site.list("2.0", &[&newer]));
    let update = dry_run(&site, &["-o", "json"]);
    let plans: serde_json::Value = serde_json::from_str(&update.shown).unwrap();
    let plan = |kind: &str| {
        let found = plans["items"].as_array().unwrap().iter().find(|one| one["kind"] == kind);
        found.unwrap()["plan"].as_str().unwrap().to_owned()
    };
    assert!(plan("ImageListSubscription").contains("2.0"), "{update:?}");
    assert!(plan("CachedImage").contains("download"), "{update:?}");
    assert_eq!((site.volume_files(), site.shelf("endorsed")), (files, shelf), "nothing has changed");
    assert_eq!(dry_run(&site, &["--once"]).code, Some(2), "the two exclude each other");
}
