//! How runs grow with lists, namespaces and entries.

use std::fmt::Write as _;

use harness::pki::Identity;

use super::idle::idle_run;
use super::measured::run;
use super::publisher::{Publisher, identifier};

/// The size of an image.
const SIZE: u64 = 4096;
/// The first number of the wanted images of a long list; the others have lower ones.
const WANTED: usize = 0x1000_0000;

/// 10,000 images: of 50 lists, and of a list in each of 1,000 namespaces.
pub(crate) fn many_lists() {
    let publisher = Publisher::start();
    for list in 0..50 {
        let list_of = publisher.list_of(200 * list..200 * (list + 1), SIZE, true);
        publisher.subscribe(&format!("vo-{list}"), &list_of, "match: [{name: all}]");
    }
    publisher.site.forget("subscription-vo");
    cold_and_idle("10,000 images of 50 lists", &publisher);

    let publisher = Publisher::start();
    let url = publisher.serve("vo", &publisher.list_of(0..10, SIZE, true));
    publisher.site.forget("subscription-vo");
    publisher.site.forget("endorser-endorser");
    publisher.site.manifest("namespaces", &namespaces(&publisher.site.pki.endorser, &url));
    cold_and_idle("10 images in each of 1,000 namespaces", &publisher);
}

/// Ten images of a short list, and of one of 50,000.
pub(crate) fn long_list() {
    for others in [0, 49_990] {
        let publisher = Publisher::start();
        let list = publisher.list_of(WANTED..WANTED + 10, SIZE, false).images(others);
        let wanted: Vec<String> = (WANTED..WANTED + 10).map(identifier).collect();
        publisher.subscribe("vo", &list, &format!("identifiers: [{}]", wanted.join(", ")));
        cold_and_idle(&format!("10 images of a list of {}", others + 10), &publisher);
    }
}

/// An endorser and a subscription in each of 1,000 namespaces.
fn namespaces(endorser: &Identity, url: &str) -> String {
    let (subject, issuer) = (endorser.subject(), endorser.issuer());
    let mut manifests = String::new();
    for number in 0..1000 {
        let _written = write!(
            manifests,
            "---\napiVersion: vmcatcher.io/v1alpha1\nkind: Endorser\nmetadata: {{name: endorser, namespace: \
             n{number}}}\nspec: {{credentials: [{{name: first, x509: {{subject: {subject:?}, issuer: {issuer:?}}}}}]}}\n\
             ---\napiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo, namespace: \
             n{number}}}\nspec: {{source: {{url: {url:?}}}, verify: {{endorserRefs: [{{name: endorser}}]}}, images: \
             {{include: {{match: [{{name: all}}]}}}}}}\n",
        );
    }
    manifests
}

fn cold_and_idle(what: &str, publisher: &Publisher) {
    let options = ["--max-downloads", "8", "--max-list-size", "67108864"];
    let cold = run(&mut publisher.once(&options));
    println!(
        "{what}: {:.1} s, {:.1} s of processors, at most {} MiB",
        cold.wall.as_secs_f64(),
        cold.processor.as_secs_f64(),
        cold.peak >> 10
    );
    idle_run(what, publisher, &options);
}
