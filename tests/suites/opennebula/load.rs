//! How many calls a pass makes, and how many at once.

use std::collections::BTreeMap;

use harness::opennebula::{Call, File};

use super::credential::{Credential, with_each_credential};
use super::site::Want;

with_each_credential! {
    a_thousand_images_take_one_call_when_nothing_changed_and_three_writes_each_when_new
    an_update_takes_eleven_writes_and_names_are_looked_up_once_a_pass
    eight_calls_are_in_flight_and_no_more
}

fn by_method(calls: &[Call]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(call.method.as_str()).or_default() += 1;
    }
    counts
}

fn a_thousand_images_take_one_call_when_nothing_changed_and_three_writes_each_when_new(who: Credential) {
    let site = who.site();
    site.cloud.world(|world| {
        world.copy_seconds = Some(1);
        world.any_file = Some(File { size_mb: 1, ..File::default() });
    });
    let count = if who == Credential::Oneadmin { 1000 } else { 100 };
    let names: Vec<String> = (0..count).map(|number| format!("image-{number}")).collect();
    let wants: Vec<_> = names.iter().map(|name| Want(name, Some(1))).collect();
    let mut calls = Vec::new();
    for _ in 0..3 {
        site.pass(&wants).unwrap();
        calls.extend(site.cloud.take_calls());
        site.cloud.world(|world| world.advance(1));
    }
    let counts = by_method(&calls);
    assert_eq!(
        (counts["one.image.allocate"], counts["one.image.rename"], counts["one.image.update"]),
        (count, count, count)
    );
    assert_eq!(counts["one.imagepool.info"], 3, "polled by pool reads alone");
    assert!(!counts.contains_key("one.image.info") && !counts.contains_key("one.userpool.info"), "{counts:?}");
    let writes = calls.iter().filter(|call| call.is_write()).count();
    assert_eq!(writes, 3 * count, "{counts:?}");
    let report = site.pass(&wants).unwrap();
    assert_eq!(report.pool, count);
    assert_eq!(by_method(&site.cloud.take_calls()), BTreeMap::from([("one.imagepool.info", 1)]));
}

fn an_update_takes_eleven_writes_and_names_are_looked_up_once_a_pass(who: Credential) {
    let site = who.site();
    let names: Vec<String> = (0..20).map(|number| format!("image-{number}")).collect();
    let first: Vec<_> = names.iter().map(|name| Want(name, Some(1))).collect();
    let second: Vec<_> = names.iter().map(|name| Want(name, Some(2))).collect();
    site.converge(&first);
    site.cloud.world(|world| {
        for image in world.images.values_mut() {
            (image.uid, image.gid) = who.customer();
            image.permissions = 0o640;
        }
    });
    site.pass(&second).unwrap();
    site.cloud.take_calls();
    site.pass(&second).unwrap();
    let calls = site.cloud.take_calls();
    let counts = by_method(&calls);
    let names = usize::from(who == Credential::Oneadmin);
    let looked_up = ["one.userpool.info", "one.grouppool.info"].map(|method| counts.get(method).copied().unwrap_or(0));
    assert_eq!((looked_up, counts["one.imagepool.info"]), ([names, names], 1));
    assert_eq!(counts["one.image.info"], 20, "each old one is looked at once it is out of circulation");
    // Remember; chmod, chown; two renames; what it is; retire, chmod, chown, disable.
    assert_eq!(calls.iter().filter(|call| call.is_write()).count(), 20 * 10, "{counts:?}");
}

fn eight_calls_are_in_flight_and_no_more(who: Credential) {
    let site = who.site();
    let names: Vec<String> = (0..40).map(|number| format!("image-{number}")).collect();
    let wants: Vec<_> = names.iter().map(|name| Want(name, Some(1))).collect();
    site.pass(&[]).unwrap();
    site.cloud.hold("one.image.allocate", 8);
    site.pass(&wants).unwrap();
    assert_eq!(site.cloud.most_at_once(), 8);
}
