//! Somebody who may write subscriptions lets the operator send a Secret that they cannot read to a server of their own:
//! any Secret that has an entry `token`, that of a ServiceAccount among them, over plain http too.

use harness::image_server::Resource;
use harness::opennebula::Dialect;
use harness::site::Site;
use vmcatcher_operator::api::HasConditions;

use crate::reconcile::targets;

const ONE: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// Subscribes to the list of the site's server with a Secret.
fn subscribe(site: &Site, secret: &str, tls: &str) {
    site.manifest(
        "subscription-vo",
        &format!(
            "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo}}\nspec:\n  source: \
             {{url: {:?}, {tls} secretRef: {{name: {secret}}}}}\n  verify: {{endorserRefs: [{{name: endorser}}]}}\n  images: \
             {{include: {{match: [{{name: all}}]}}}}\n",
            site.server.url("/image.list")
        ),
    );
}

/// Writes a Secret; `kind` is its type, `annotations` are lines of YAML flow.
fn secret(site: &Site, kind: &str, annotations: &str, entries: &str) {
    site.manifest(
        "secret",
        &format!(
            "apiVersion: v1\nkind: Secret\ntype: {kind}\nmetadata: {{name: kept, annotations: {{{annotations}}}}}\n\
             stringData: {{{entries}}}\n"
        ),
    );
}

#[tokio::test]
async fn a_secret_goes_nowhere_that_it_does_not_name() {
    let site = Site::new();
    let image = site.serve(ONE, "1", 1, 20_000);
    site.publish(&site.list("1.0", &[&image]));
    subscribe(&site, "kept", "");
    let (any, plain) = ("vmcatcher.io/allowed-hosts: '*'", "vmcatcher.io/allow-plain-http: 'true'");
    let here = site.server.address();
    let cases = [
        ("kubernetes.io/service-account-token", format!("{any}, {plain}"), "token: s3cret", "service-account-token"),
        ("bootstrap.kubernetes.io/token", format!("{any}, {plain}"), "token: s3cret", "bootstrap.kubernetes.io/token"),
        ("helm.sh/release.v1", format!("{any}, {plain}"), "token: s3cret", "helm.sh/release.v1"),
        ("kubernetes.io/tls", format!("{any}, {plain}"), "username: a, password: s3cret", "kubernetes.io/tls"),
        ("Opaque", format!("vmcatcher.io/allowed-hosts: lists.example.org, {plain}"), "token: s3cret", "does not name"),
        ("Opaque", format!("vmcatcher.io/allowed-hosts: 127.0.0.1, {plain}"), "bearerToken: s3cret", "does not name"),
        ("Opaque", format!("vmcatcher.io/allowed-hosts: '*.0.0.1', {plain}"), "token: s3cret", "does not name"),
        ("Opaque", format!("vmcatcher.io/allowed-hosts: '{here}'"), "token: s3cret", "expected https, found http"),
        ("kubernetes.io/basic-auth", any.to_owned(), "username: a, password: s3cret", "expected https, found http"),
    ];
    for (kind, annotations, entries, words) in cases {
        secret(&site, kind, &annotations, entries);
        let status = site.run().await.subscription("vo");
        let failed = status.condition("FetchFailed").unwrap();
        assert_eq!((failed.status.as_str(), failed.reason.as_str()), ("True", "CredentialsNotAllowed"), "{failed:?}");
        assert!(
            failed.message.contains(words) && !failed.message.contains("s3cret"),
            "{annotations}: {}",
            failed.message
        );
    }
    assert!(site.server.all_requests().is_empty(), "nothing was sent, not even without the Secret");
    secret(&site, "Opaque", &format!("vmcatcher.io/allowed-hosts: '{here}', {plain}"), "token: s3cret");
    assert_eq!(site.run().await.list_condition("Ready"), "True Succeeded");
    assert!(site.server.requests("/image.list")[0].headers.contains_key("authorization"));
}

/// The list comes from where the Secret may go; the image's address is the publisher's.
#[tokio::test]
async fn an_image_on_another_host_never_gets_the_lists_secret() {
    let site = Site::new();
    let other = harness::image_server::ImageServer::start();
    let mut image = site.serve(ONE, "1", 1, 20_000);
    other.put("/image", Resource::pattern(1, 20_000));
    image.uri = other.url("/image");
    site.publish(&site.list("1.0", &[&image]));
    subscribe(&site, "kept", "");
    secret(&site, "Opaque", "vmcatcher.io/allow-plain-http: 'true'", "bearerToken: s3cret");
    let ready = site.run().await.image_condition(ONE, "Ready");
    assert!(ready.starts_with("True "), "{ready}");
    assert!(site.server.requests("/image.list")[0].headers.contains_key("authorization"));
    assert!(!other.requests("/image")[0].headers.contains_key("authorization"));
}

/// A cloud's address is the administrator's; what goes there is a log-in all the same, and nothing else.
#[tokio::test]
async fn a_cloud_gets_no_secret_that_holds_no_log_in_or_names_other_hosts() {
    let (site, cloud) = targets::site(Dialect::V7_4);
    let image = targets::qcow2(&site, targets::A, "1.0");
    site.publish(&site.list("1.0", &[&image]));
    let log_in = "username: oneadmin, password: opennebula-test";
    let write = |kind: &str, annotations: &str| {
        let head = "apiVersion: v1\nkind: Secret\nmetadata: {name: one-auth, annotations: ";
        site.manifest("secret", &format!("{head}{{{annotations}}}}}\ntype: {kind}\nstringData: {{{log_in}}}\n"));
    };
    for (kind, annotations) in [
        ("kubernetes.io/service-account-token", ""),
        ("kubernetes.io/tls", ""),
        ("Opaque", "vmcatcher.io/allowed-hosts: lists.example.org"),
    ] {
        write(kind, annotations);
        let run = site.run().await;
        assert_eq!(run.image_condition(targets::A, "Published"), "False CredentialsNotAllowed", "{kind}");
    }
    assert_eq!(cloud.take_calls().len(), 0, "nothing was sent");
    write("kubernetes.io/basic-auth", "");
    site.run().await;
    assert!(targets::writes(&cloud) > 0, "it is published with a log-in that may go there");
}
