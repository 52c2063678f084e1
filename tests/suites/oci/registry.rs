//! What the tests share: a repository in a registry, an endorser with a key, and a subscription to it.

use harness::oci::{Artefact, Registry, SigningKey};
use harness::site::{Run, Site};
use jiff::SignedDuration;
use vmcatcher_operator::imagelist::oci::{Repository, Tag};

/// The repository of the tests.
pub(crate) const REPOSITORY: &str = "images/ubuntu";

/// A text as a block in YAML, so far to the right.
fn block(text: &str, depth: usize) -> String {
    let indent = " ".repeat(depth);
    format!("{indent}{}\n", text.trim_end().replace('\n', &format!("\n{indent}")))
}

/// Writes the Endorser with a key; `more` are fields of its spec.
pub(crate) fn trust_key(site: &Site, name: &str, key: &SigningKey, more: &str) {
    let public = block(&key.public(), 10);
    site.manifest(&format!("endorser-{name}"), &format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: Endorser\nmetadata: {{name: {name}}}\nspec:\n  {more}\n  credentials:\n    - \
         name: key\n      cosign:\n        publicKey: |\n{public}"
    ));
}

/// Writes the subscription `vo` to the repository; `source` are more fields of its source, `more` lines of its spec.
pub(crate) fn subscribe(site: &Site, host: &str, source: &str, more: &str) {
    site.manifest("subscription-vo", &format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo}}\nspec:\n  source:\n    oci: \
         {{repository: \"{host}/{REPOSITORY}\", insecure: true, tags: \"2?.04\"}}\n    {source}\n  verify: {{endorserRefs: \
         [{{name: endorser}}]}}\n  images: {{include: {{match: [{{name: all}}]}}}}\n  {more}\n"
    ));
}

/// A site that trusts a key and follows the repository of a registry.
pub(crate) fn site_of(key: &SigningKey) -> Site {
    let site = Site::new();
    trust_key(&site, "endorser", key, "");
    subscribe(&site, &site.server.address().to_string(), "", "");
    site
}

/// An artefact that was made so many hours before the site's time.
pub(crate) fn made(site: &Site, hours: i64, content: &str) -> Artefact {
    let disk = content.repeat(1 + 20_000 / content.len());
    Artefact::new(disk, site.now() - SignedDuration::from_hours(hours))
}

/// Stores an artefact and signs it.
pub(crate) fn publish(registry: &impl Registry, tag: &str, artefact: &Artefact, key: &SigningKey) {
    registry.push(REPOSITORY, tag, artefact);
    registry.sign(REPOSITORY, artefact, key);
}

/// The identifier of the image of a tag.
pub(crate) fn identifier(host: &str, tag: &str) -> String {
    let repository: Repository = format!("{host}/{REPOSITORY}").parse().unwrap();
    repository.image_identifier(Some(&tag.parse::<Tag>().unwrap())).unwrap().to_string()
}

/// The reasons of the notes about images, in order.
pub(crate) fn notes(run: &Run) -> Vec<String> {
    run.subscription("vo").notes.iter().map(|note| note.reason.clone()).collect()
}
