//! Somebody who may make subscriptions makes many of a list as large as may be: each one is fetched, judged, and kept in
//! memory, until the operator is killed for it. Others in other namespaces must not notice.

use std::time::{Duration, Instant};

use harness::image_server::Resource;
use harness::list::ListBuilder;
use harness::signer::{Form, sign};
use harness::site::Site;

use crate::reconcile::process::Running;

/// So many subscriptions, half of them to a list that counts, half to one of a stranger.
const SUBSCRIPTIONS: u32 = 24;
/// What a list has, fewer bytes than may be, for a program without optimisation: `LIST_SIZE` says another.
const SIZE: u64 = 3 << 20;
/// What may be in memory at once for lists of that size: four times that, and a little.
const MEMORY: u64 = 14 << 20;
/// What the program takes at most with that, besides the pages of its own file, which differ with each build. The lists
/// alone have almost twice as much.
const PEAK: u64 = 42 << 20;
/// The same for lists of up to 64 MiB, with the memory of the default.
const GREATEST_PEAK: u64 = 200 << 20;
const SMALL: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// A list of some thousand images, and of what nobody reads, up to its size.
fn large(list: ListBuilder, bytes: u64) -> Vec<u8> {
    let mut list = list.images(1000);
    let text = "x".repeat(60_000);
    for number in 0..(bytes - 1_000_000) / 60_000 {
        list = list.with(&format!("ad:note-{number}"), text.clone().into());
    }
    list.json()
}

/// A site on which a tenant has many subscriptions to large lists, and another tenant one to a small list.
fn attacked(bytes: u64) -> Site {
    let site = Site::new();
    let list = large(site.list("1.0", &[]), bytes);
    for (name, signer) in [("good", &site.pki.endorser), ("stranger", &site.pki.second)] {
        site.server.put(&format!("/{name}.list"), Resource::bytes(sign(&list, signer, Form::Detached)));
    }
    // It says that there is more to come, and sends no more.
    site.server.put("/stalled.list", Resource::zeros(bytes).stall_after(bytes / 2));
    site.forget("subscription-vo");
    for number in 0..SUBSCRIPTIONS {
        let one = format!("images: {{include: {{identifiers: [{number:08x}-0000-4000-8000-000000000000]}}}}");
        let list = if number % 2 == 0 { "/good.list" } else { "/stranger.list" };
        site.subscribe_to(&format!("large-{number:02}"), &site.server.url(list), &one);
        if number % 6 == 0 {
            site.subscribe_to(&format!("stalled-{number:02}"), &site.server.url("/stalled.list"), "");
        }
    }
    let image = site.serve(SMALL, "1", 1, 50_000);
    let small = sign(&site.list("1.0", &[&image]).json(), &site.pki.endorser, Form::Detached);
    site.server.put("/small.list", Resource::bytes(small));
    for kind in ["Endorser", "ImageListSubscription"] {
        let spec = if kind == "Endorser" {
            let (subject, issuer) = (site.pki.endorser.subject(), site.pki.endorser.issuer());
            format!("credentials: [{{name: first, x509: {{subject: {subject:?}, issuer: {issuer:?}}}}}]")
        } else {
            let url = site.server.url("/small.list");
            format!(
                "source: {{url: {url:?}}}\n  interval: 1m\n  verify: {{endorserRefs: [{{name: other}}]}}\n  images: \
                 {{include: {{match: [{{name: all}}]}}}}"
            )
        };
        let manifest = format!(
            "apiVersion: vmcatcher.io/v1alpha1\nkind: {kind}\nmetadata: {{name: other, namespace: other}}\nspec:\n  {spec}\n"
        );
        site.manifest(&format!("other-{kind}"), &manifest);
    }
    site
}

/// Half of the lists come into force, half are refused, and all of them take the memory of one. Another tenant's small
/// list does not wait for them.
#[test]
fn many_large_lists_take_the_memory_of_one() {
    let asked = std::env::var("LIST_SIZE").ok().and_then(|bytes| bytes.parse().ok());
    let bytes = asked.unwrap_or(SIZE);
    let site = attacked(bytes);
    let memory = MEMORY.to_string();
    let (options, most) = match asked {
        None => (["--list-memory", &memory], PEAK),
        Some(_) => (["--max-list-size", "67108864"], GREATEST_PEAK),
    };
    let mut running = Running::start_with(&site, &options);
    let began = Instant::now();
    let (mut accepted, mut refused, mut before_small) = (0, 0, None);
    while accepted + refused < SUBSCRIPTIONS || before_small.is_none() {
        let told = running.wait_for("List");
        let line = told.lines().last().unwrap();
        if line.contains("other/other") && line.contains("ListAccepted") {
            let took = began.elapsed();
            assert!(took < Duration::from_mins(1), "it takes {took:?}, and is looked at once a minute");
            before_small = Some(accepted + refused);
        }
        let large = line.contains("default/large-");
        accepted += u32::from(large && line.contains("ListAccepted"));
        refused += u32::from(large && line.contains("ListRefused"));
    }
    assert_eq!((accepted, refused), (SUBSCRIPTIONS / 2, SUBSCRIPTIONS / 2));
    // Nobody's turn comes again before everybody's.
    assert!(before_small.unwrap() <= SUBSCRIPTIONS / 2, "{before_small:?} large ones came before the small one");
    let (peak, mapped) = (running.fact("status", "VmHWM"), running.fact("status", "RssFile"));
    eprintln!("{SUBSCRIPTIONS} lists of {bytes} bytes: peak {peak} KiB, {mapped} mapped, in {:?}", began.elapsed());
    assert!(peak - mapped < most / 1024, "{peak} KiB, of which {mapped} are the program's own mapped pages");
    assert!(running.terminate().success());
}
