//! Manifests that cannot work, in one table: the operator, the rules of the definitions and a current API server refuse
//! the same.

use serde_json::{Value, json};

/// One of them.
pub struct BadManifest {
    /// Its kind.
    pub kind: &'static str,
    /// The good manifest that it is made from.
    base: &'static str,
    /// The field of its spec, as a JSON pointer.
    pub field: &'static str,
    /// What that may not be; null: that it is missing.
    pub value: Value,
    /// Words of the rule in the definition.
    pub rule: &'static str,
    /// The field that the operator names.
    pub named: &'static str,
}

impl BadManifest {
    /// The whole manifest.
    pub fn manifest(&self) -> Value {
        changed(self.base, self.field, &self.value)
    }
}

/// A manifest that works, by its kind; "OpenStack" is a CloudTarget of that type.
pub fn good(kind: &'static str) -> Value {
    let spec = match kind {
        "Endorser" => json!({
            "credentials": [{"name": "a", "x509": {"subject": "/CN=a", "issuer": "/CN=b"}}],
            "trustAnchors": {"configMapRef": {"name": "site-cas"}},
        }),
        "ImageListSubscription" => json!({
            "source": {"url": "https://127.0.0.1:9/image.list"},
            "verify": {"endorserRefs": [{"name": "egi"}], "identifier": "list-a"},
        }),
        CHECKSUMS => json!({
            "source": {"checksums": {
                "url": "https://127.0.0.1:9/SHA256SUMS",
                "images": [{"name": "image", "file": "image-(?<version>[0-9]+).img"}],
            }},
            "verify": {"endorserRefs": [{"name": "egi"}]},
        }),
        SIMPLE_STREAMS => json!({
            "source": {"simpleStreams": {
                "url": "https://127.0.0.1:9/streams/v1/index.sjson",
                "contentId": "download",
                "products": ["server:*:amd64"],
                "fileType": "disk1.img",
            }},
            "verify": {"endorserRefs": [{"name": "egi"}]},
        }),
        "CachedImage" => json!({"subscriptionRef": {"name": "vo"}, "identifier": "image-a"}),
        "CloudTarget" => json!({
            "type": "OpenNebula",
            "openNebula": {
                "endpoint": "http://127.0.0.1:9/RPC2",
                "secretRef": {"name": "one"},
                "datastore": "default",
                "handOver": {"type": "Path", "path": {"prefix": "/var/lib/vmcatcher"}},
            },
        }),
        OPENSTACK => json!({
            "type": "OpenStack",
            "openStack": {"authUrl": "http://127.0.0.1:9/v3", "secretRef": {"name": "openstack"}},
        }),
        other => panic!("{other}"),
    };
    let kind = kind_of(kind);
    json!({"apiVersion": "vmcatcher.io/v1alpha1", "kind": kind, "metadata": {"name": "image-a"}, "spec": spec})
}

/// A CloudTarget of type OpenStack, in the tables here.
const OPENSTACK: &str = "OpenStack";

/// Subscriptions to other sources, in the tables here.
const CHECKSUMS: &str = "Checksums";
const SIMPLE_STREAMS: &str = "SimpleStreams";

fn kind_of(base: &'static str) -> &'static str {
    match base {
        OPENSTACK => "CloudTarget",
        CHECKSUMS | SIMPLE_STREAMS => "ImageListSubscription",
        other => other,
    }
}

/// The same with another value in one field of its spec; null takes it away.
pub fn changed(kind: &'static str, field: &str, value: &Value) -> Value {
    let mut manifest = good(kind);
    let (parent, name) = field.rsplit_once('/').unwrap();
    let parent = manifest["spec"].pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Value::Null => parent.remove(name),
        value => parent.insert(name.to_owned(), value.clone()),
    };
    manifest
}

/// All of them.
pub fn bad_manifests() -> Vec<BadManifest> {
    let all = table().into_iter().chain(sources()).chain(openstack()).chain(other_sources());
    all.map(|(base, field, value, rule, named)| BadManifest { kind: kind_of(base), base, field, value, rule, named })
        .collect()
}

/// Those of subscriptions to files of checksums and simplestreams mirrors.
fn other_sources() -> Vec<Row> {
    let several = "expected exactly one of url, checksums, simpleStreams and oci";
    let enforce = "expected mode: Enforce and no decryptionSecretRef";
    let automatic = json!({"mode": "AutoEndorse"});
    let decrypted = json!({"endorserRefs": [{"name": "egi"}], "decryptionSecretRef": {"name": "key"}});
    let mut rows = vec![
        ("ImageListSubscription", "/source/url", Value::Null, several, "source"),
        (CHECKSUMS, "/source/url", json!("https://127.0.0.1:9/image.list"), several, "source"),
        (
            CHECKSUMS,
            "/source/simpleStreams",
            json!({
                "url": "https://127.0.0.1:9/streams/v1/index.sjson", "contentId": "a", "products": ["a"], "fileType": "a",
            }),
            several,
            "source",
        ),
    ];
    for base in [CHECKSUMS, SIMPLE_STREAMS] {
        rows.push((base, "/verify", automatic.clone(), enforce, "verify.mode"));
        rows.push((base, "/verify", decrypted.clone(), enforce, "verify.decryptionSecretRef"));
    }
    rows
}

type Row = (&'static str, &'static str, Value, &'static str, &'static str);

/// Sources: exactly one of their kinds, and what belongs to each.
fn sources() -> Vec<Row> {
    let (subscription, endorser) = ("ImageListSubscription", "Endorser");
    let key = json!([{"name": "a", "x509": {"subject": "/CN=a", "issuer": "/CN=b"}, "cosign": {"publicKey": "k"}}]);
    vec![
        (endorser, "/credentials", key, "exactly one of x509, openPGP and cosign", "credentials[a]"),
        (subscription, "/source", json!({}), "exactly one of url, checksums, simpleStreams and oci", "source"),
        (
            subscription,
            "/source",
            json!({"url": "https://h/l", "oci": {"repository": "h/a", "tags": "*"}}),
            "exactly one of url, checksums, simpleStreams and oci",
            "source",
        ),
        (
            subscription,
            "/source",
            json!({"oci": {"repository": "h/a"}}),
            "exactly one of tags and digest",
            "source.oci",
        ),
        (
            subscription,
            "/source",
            json!({"oci": {"repository": "h/a", "tags": "*", "digest": format!("sha256:{}", "0".repeat(64))}}),
            "exactly one of tags and digest",
            "source.oci",
        ),
    ]
}

fn table() -> Vec<Row> {
    let subscription = "ImageListSubscription";
    let secret = json!({"name": "tls"});
    let url = |base: &str| json!({"base": base});
    vec![
        (
            subscription,
            "/verify",
            json!({"mode": "AutoEndorse", "endorserRefs": [{"name": "egi"}]}),
            "none with AutoEndorse",
            "verify.endorserRefs",
        ),
        (
            subscription,
            "/verify",
            json!({"mode": "AutoEndorse", "requiredEndorsements": 2}),
            "at most the number",
            "verify.requiredEndorsements",
        ),
        (subscription, "/source/url", json!("https://me:pw@h/l"), "use secretRef", "source.url"),
        (subscription, "/source/url", json!("https://me@h/l"), "use secretRef", "source.url"),
        (subscription, "/source/tls", json!({"trust": "Secret"}), "certSecretRef", "source.tls.certSecretRef"),
        (
            subscription,
            "/source/tls",
            json!({"trust": "Grid", "certSecretRef": secret}),
            "certSecretRef",
            "source.tls.certSecretRef",
        ),
        (subscription, "/interval", json!("59s"), "at least 1m", "interval"),
        (subscription, "/interval", json!("59999ms"), "at least 1m", "interval"),
        (subscription, "/timeout", json!("999ms"), "at least 1s", "timeout"),
        (subscription, "/verify/requiredEndorsements", json!(2), "at most the number", "verify.requiredEndorsements"),
        (subscription, "/verify/endorserRefs", Value::Null, "expected endorserRefs", "verify.endorserRefs"),
        (subscription, "/interval", json!("1d"), "no days", "interval"),
        (subscription, "/timeout", json!("1 minute"), "no days", "timeout"),
        (subscription, "/verify/maxListAge", json!("30d"), "no days", "verify.maxListAge"),
        (subscription, "/retention", json!({"keepFor": "30d"}), "no days", "retention.keepFor"),
        ("CachedImage", "/retention", json!({"keepFor": "30d"}), "no days", "retention.keepFor"),
        ("CachedImage", "/identifier", json!("image-b"), "expected the object's name", "identifier"),
        ("CachedImage", "/identifier", json!("Image_B"), "expected the object's name", "identifier"),
        ("Endorser", "/trustAnchors", json!({}), "exactly one", "trustAnchors"),
        (
            "Endorser",
            "/trustAnchors",
            json!({"configMapRef": {"name": "a"}, "secretRef": {"name": "b"}}),
            "exactly one",
            "trustAnchors",
        ),
        ("CloudTarget", "/openNebula", Value::Null, "expected openNebula", "openNebula"),
        ("CloudTarget", "/openNebula/endpoint", json!("http://u:p@h/RPC2"), "use secretRef", "openNebula.endpoint"),
        (
            "CloudTarget",
            "/openNebula/retired",
            json!({"deleteAfter": "90d"}),
            "no days",
            "openNebula.retired.deleteAfter",
        ),
        ("CloudTarget", "/openNebula/tls", json!({"trust": "Grid"}), "System or Secret", "openNebula.tls.trust"),
        ("CloudTarget", "/openNebula/tls", json!({"trust": "Secret"}), "certSecretRef", "openNebula.tls.certSecretRef"),
        ("CloudTarget", "/openNebula/handOver/path", Value::Null, "expected path", "openNebula.handOver.path"),
        ("CloudTarget", "/openNebula/handOver/type", json!("URL"), "expected url", "openNebula.handOver.url"),
        ("CloudTarget", "/openNebula/handOver/url", url("https://h"), "and no url", "openNebula.handOver.url"),
        ("CloudTarget", "/openNebula/adopt", json!({}), "imageIds, owners or both", "openNebula.adopt"),
        ("CloudTarget", "/openNebula/adopt", json!({"imageIds": []}), "imageIds, owners or both", "openNebula.adopt"),
        (
            "CloudTarget",
            "/openNebula/handOver",
            json!({"type": "URL", "url": url("https://h"), "path": {"prefix": "/a"}}),
            "and no path",
            "openNebula.handOver.path",
        ),
        (
            "CloudTarget",
            "/openNebula/handOver",
            json!({"type": "URL", "url": url("https://u:p@h")}),
            "paths are signed",
            "openNebula.handOver.url.base",
        ),
    ]
}

fn openstack() -> Vec<Row> {
    let base = OPENSTACK;
    let url = |base: &str| json!({"base": base});
    vec![
        (base, "/openStack", Value::Null, "expected openStack", "openStack"),
        (base, "/openNebula", good("CloudTarget")["spec"]["openNebula"].clone(), "no openNebula", "openNebula"),
        ("CloudTarget", "/openStack", good(base)["spec"]["openStack"].clone(), "no openStack", "openStack"),
        (base, "/openStack/authUrl", json!("http://u:p@h/v3"), "use secretRef", "openStack.authUrl"),
        (base, "/openStack/tls", json!({"trust": "Grid"}), "System or Secret", "openStack.tls.trust"),
        (base, "/openStack/tls", json!({"trust": "Secret"}), "certSecretRef", "openStack.tls.certSecretRef"),
        (base, "/openStack/update", json!("InPlace"), "update: Staged", "openStack.update"),
        (base, "/openStack/retired", json!({"deleteAfter": "90d"}), "no days", "openStack.retired.deleteAfter"),
        (base, "/openStack/initial", json!({"members": ["a"]}), "Shared only", "openStack.initial.members"),
        (base, "/openStack/handOver", json!({"type": "URL"}), "expected url", "openStack.handOver.url"),
        (base, "/openStack/handOver", json!({"url": url("https://h")}), "expected no url", "openStack.handOver.url"),
        (
            base,
            "/openStack/handOver",
            json!({"type": "URL", "url": url("https://u:p@h")}),
            "paths are signed",
            "openStack.handOver.url.base",
        ),
    ]
}
