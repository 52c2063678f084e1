//! How many calls a pass makes, and how many at once.

use std::collections::BTreeMap;

use harness::openstack::{Call, Service};

use super::site::{Site, Want};

fn by_name(calls: &[Call]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in calls.iter().filter(|call| call.service == Service::Image) {
        *counts.entry(call.name()).or_default() += 1;
    }
    counts
}

fn counted(site: &Site) -> BTreeMap<String, usize> {
    by_name(&site.cloud.take_calls())
}

fn of(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn a_thousand_new_images_take_three_calls_each_and_unchanged_ones_only_the_pages_of_a_list() {
    let site = Site::new();
    let names: Vec<String> = (0..1000).map(|number| format!("image-{number}")).collect();
    let wants: Vec<_> = names.iter().map(|name| Want(name, Some(1))).collect();
    site.pass(&wants).unwrap();
    site.uploaded();
    site.pass(&wants).unwrap();
    let counts = counted(&site);
    let writes = [("POST /v2/images", 1000), ("PUT /v2/images/ID/file", 1000), ("PATCH /v2/images/ID", 1000)];
    for (name, count) in writes {
        assert_eq!(counts[name], count, "{counts:?}");
    }
    assert_eq!(counts.len(), 4, "and lists: {counts:?}");
    // The page size of the stand-in is that of Glance, 1,000. A full page has a next one, which is empty here.
    assert!(counts["GET /v2/images"] <= 6, "{counts:?}");
    for _ in 0..2 {
        let report = site.pass(&wants).unwrap();
        assert_eq!(report.images, 1000);
        let counts = counted(&site);
        assert_eq!(counts, of(&[("GET /v2/images", 2)]), "a full page, and the one after it");
    }
    let fewer: Vec<_> = wants.iter().take(999).copied().collect();
    site.cloud.world(|world| {
        let last = world.images.values().find(|image| image.properties["vmcatcher_event_dc_identifier"] == "image-999");
        let id = last.unwrap().id;
        world.images.remove(&id);
    });
    site.pass(&fewer).unwrap();
    assert_eq!(counted(&site), of(&[("GET /v2/images", 1)]), "one page");
}

#[test]
fn an_update_takes_five_calls() {
    let site = Site::new();
    let names: Vec<String> = (0..10).map(|number| format!("image-{number}")).collect();
    let first: Vec<_> = names.iter().map(|name| Want(name, Some(1))).collect();
    let second: Vec<_> = names.iter().map(|name| Want(name, Some(2))).collect();
    site.converge(&first);
    site.cloud.take_calls();
    site.pass(&second).unwrap();
    site.uploaded();
    site.pass(&second).unwrap();
    let counts = counted(&site);
    let expected = of(&[
        ("GET /v2/images", 2),
        ("GET /v2/images/ID", 10),
        ("PATCH /v2/images/ID", 20),
        ("POST /v2/images", 10),
        ("POST /v2/images/ID/actions/deactivate", 10),
        ("PUT /v2/images/ID/file", 10),
    ]);
    assert_eq!(counts, expected, "into circulation, and remember and retire");
    site.pass(&second).unwrap();
    assert_eq!(counted(&site), of(&[("GET /v2/images", 1)]));
}

#[test]
fn four_uploads_and_eight_other_calls_are_in_flight_and_no_more() {
    for (text, most) in [("/file", 4), ("POST /v2/images", 8)] {
        let site = Site::new();
        let names: Vec<String> = (0..24).map(|number| format!("image-{number}")).collect();
        let wants: Vec<_> = names.iter().map(|name| Want(name, Some(1))).collect();
        site.cloud.hold(text, most);
        site.pass(&wants).unwrap();
        site.uploaded();
        assert_eq!(site.cloud.most_at_once(), most, "{text}");
    }
}
