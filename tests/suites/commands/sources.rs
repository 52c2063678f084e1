//! `list verify` and `list show` of the source of a subscription, of each kind, and of the lists that were kept of it.

use std::fs;

use harness::image_server::{ImageServer, Resource, ServerCertificate};
use harness::oci::{Registry as _, ScriptedRegistry, SigningKey};
use harness::signer::{Form, detached, encrypted, sign};
use harness::site::Site;
use serde_json::Value;

use super::{Ran, operator};
use crate::oci::registry::{REPOSITORY, made, publish, site_of};
use crate::reconcile::checksums::Mirror;
use crate::reconcile::sources::{self, Kind, Source};

/// `list VERB` of the subscription `vo`, from the manifests of a site.
fn list(site: &Site, verb: &str, more: &[&str]) -> Ran {
    named(site, verb, "vo", more)
}

fn named(site: &Site, verb: &str, name: &str, more: &[&str]) -> Ran {
    let (manifests, trust) = (site.path("manifests"), site.path("trust"));
    let all = ["list", verb, "--subscription", name, "--manifests", manifests.to_str().unwrap()];
    operator(&[&all[..], &["--trust", trust.to_str().unwrap()], more].concat())
}

/// `list show` of what the volume has kept of `vo`.
fn kept(site: &Site, more: &[&str]) -> Ran {
    let volume = site.path("volume");
    operator(&[&["list", "show", "vo", "--volume", volume.to_str().unwrap()], more].concat())
}

/// Every file of a site with its bytes.
fn files(site: &Site) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let (mut found, mut folders) = (Vec::new(), vec![site.path("")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.clone(), fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn last_line(ran: &Ran) -> &str {
    ran.shown.lines().last().unwrap_or_default()
}

#[test]
fn each_kind_of_source_is_verified_as_the_operator_does_it() {
    for source in sources::all() {
        let Source { kind, site, .. } = &source;
        let before = files(site);
        let ran = list(site, "verify", &[]);
        assert_eq!(ran.code, Some(0), "{kind:?} {ran:?}");
        assert!(last_line(&ran).starts_with("Good: ") && last_line(&ran).ends_with(", 1 images"), "{kind:?} {ran:?}");
        for row in ["✓  message is signed", "✓  enough endorsers signed", "–  hv:version does not go back"] {
            assert!(ran.shown.contains(row), "{kind:?}: {row} in {}", ran.shown);
        }
        let ran = list(site, "verify", &["-o", "json"]);
        let document: Value = serde_json::from_str(&ran.shown).unwrap();
        assert_eq!((ran.code, &document["good"], &document["list"]["images"]), (Some(0), &true.into(), &1.into()));
        assert_eq!(document["subscription"], serde_json::json!({"namespace": "default", "name": "vo"}));
        assert_eq!(document["list"]["signers"][0]["endorser"], "endorser");
        assert_eq!(document["endorserProblems"], serde_json::json!([]));
        assert!(document["source"].as_str().unwrap().starts_with(&site.server.url("/")), "{document}");
        assert_eq!(files(site), before, "{kind:?}: nothing is changed");
    }
}

#[tokio::test]
async fn each_kind_of_source_is_shown_from_its_server_and_from_the_volume() {
    for source in sources::all() {
        let Source { kind, site, text, .. } = &source;
        let shown = |format: &str| {
            let ran = list(site, "show", &["--format", format]);
            assert_eq!(ran.code, Some(0), "{kind:?} {format}: {ran:?}");
            ran.shown
        };
        assert!(shown("table").ends_with("1 image, 0 refused\n"), "{kind:?}");
        let understood: Value = serde_json::from_str(&shown("json")).unwrap();
        assert_eq!(understood["hv:imagelist"]["hv:images"].as_array().unwrap().len(), 1, "{kind:?}");
        assert_eq!(shown("lines").matches("image.dc:identifier=").count(), 1, "{kind:?}");
        match kind {
            Kind::List => assert_eq!(json(&shown("message")), json(&String::from_utf8(text.clone()).unwrap())),
            Kind::Checksums | Kind::SimpleStreams => {
                assert_eq!(shown("message").trim_end().as_bytes(), text.trim_ascii());
            }
            Kind::Repository => assert_eq!(json(&shown("message"))["tags"][0]["tag"], "22.04"),
        }
        site.run().await;
        for format in ["table", "lines", "json", "message", "smime"] {
            let ran = kept(site, &["--format", format]);
            assert_eq!((ran.code, ran.shown), (Some(0), shown(format)), "{kind:?} {format}: {}", ran.told);
        }
        fs::remove_dir_all(site.path("volume/state/resources")).unwrap();
        let (ran, needs_rule) = (kept(site, &[]), matches!(kind, Kind::Checksums | Kind::SimpleStreams));
        assert_eq!(ran.code, Some(if needs_rule { 3 } else { 0 }), "{kind:?} {ran:?}");
        assert_eq!(
            ran.told.contains("the manifest of ImageListSubscription default/vo"),
            needs_rule,
            "{kind:?} {ran:?}"
        );
        assert_eq!(kept(site, &["--format", "message"]).code, Some(0), "{kind:?}: this needs no rule");
        let manifests = site.path("manifests");
        let ran = kept(site, &["--manifests", manifests.to_str().unwrap()]);
        assert_eq!((ran.code, ran.shown), (Some(0), shown("table")), "{kind:?}: {}", ran.told);
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The Endorsers of the subscription may be others than those whom the publisher means.
#[test]
fn the_signers_of_options_take_the_place_of_the_endorsers() {
    for source in sources::all() {
        let Source { kind, site, public_key, .. } = &source;
        fs::write(site.path("key"), public_key).unwrap();
        let (key, subject) = (site.path("key"), site.pki.endorser.subject());
        let key = key.to_str().unwrap();
        let right = match kind {
            Kind::List => ["--endorser", &subject],
            Kind::Checksums | Kind::SimpleStreams => ["--openpgp-key", key],
            Kind::Repository => ["--cosign-key", key],
        };
        let others = ["--endorser", "/DC=org/CN=Somebody else"];
        site.forget("endorser-endorser");
        let ran = list(site, "verify", &[]);
        assert!(
            ran.code == Some(3) && ran.told.contains("expected the Endorser endorser, found none"),
            "{kind:?} {ran:?}"
        );
        let ran = list(site, "verify", &right);
        assert_eq!((ran.code, last_line(&ran).starts_with("Good: ")), (Some(0), true), "{kind:?} {ran:?}");
        let ran = list(site, "verify", &others);
        assert_eq!((ran.code, last_line(&ran)), (Some(1), "Refused: EndorserNotTrusted"), "{kind:?} {ran:?}");
        let both = [others, right].concat();
        assert_eq!(list(site, "verify", &both).code, Some(0), "{kind:?}: any one of them");
    }
}

#[test]
fn what_is_not_as_it_must_be_is_refused_by_its_reason() {
    for source in sources::all() {
        let Source { kind, site, .. } = &source;
        source.answers(match kind {
            Kind::List => Resource::bytes(source.text.clone()),
            Kind::Checksums => Resource::status(404),
            Kind::SimpleStreams | Kind::Repository => Resource::bytes("{}"),
        });
        let ran = list(site, "verify", &[]);
        assert_eq!((ran.code, last_line(&ran)), (Some(1), "Refused: Unsigned"), "{kind:?} {ran:?}");
        let document = json(&list(site, "verify", &["-o", "json"]).shown);
        assert_eq!(
            (&document["good"], &document["refusal"]["reason"]),
            (&false.into(), &"Unsigned".into()),
            "{kind:?}"
        );
        source.answers(Resource::status(500));
        for verb in ["verify", "show"] {
            let ran = list(site, verb, &[]);
            let told = ran.told.contains("ImageListSubscription default/vo: HTTPError: ") && ran.told.contains("500");
            assert!(ran.code == Some(3) && told, "{kind:?} {ran:?}");
        }
    }
}

/// The tags of a repository are signed one by one.
#[test]
fn a_tag_that_is_not_endorsed_is_a_row_and_is_allowed_unless_strict() {
    let key = SigningKey::new();
    let site = site_of(&key);
    let registry = ScriptedRegistry::new(&site.server, true);
    publish(&registry, "22.04", &made(&site, 5, "first"), &key);
    registry.push(REPOSITORY, "24.04", &made(&site, 1, "unsigned"));
    let ran = list(&site, "verify", &[]);
    assert!(ran.code == Some(0) && last_line(&ran).ends_with("1 images, 1 refused"), "{ran:?}");
    assert!(ran.shown.contains("24.04: Unsigned: ") && ran.shown.contains("! refused: "), "{ran:?}");
    assert_eq!(list(&site, "verify", &["--strict"]).code, Some(1));
    let shown = list(&site, "show", &[]).shown;
    assert!(shown.ends_with("2 images, 0 refused\n"), "no signature is verified: {shown}");
}

#[test]
fn a_name_that_is_not_there_is_told_with_what_is_near() {
    let Source { site, .. } = sources::checksums();
    site.manifest("other", &format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: images, namespace: prod}}\nspec:\n  \
         source: {{url: {:?}}}\n  verify: {{endorserRefs: [{{name: gone}}]}}\n",
        site.server.url("/image.list")
    ));
    let cases = [
        ("voo", "expected the ImageListSubscription default/voo in ", "found none; is it default/vo?"),
        ("images", "found none", "; is it prod/images?"),
        ("entirely-different-name", "found none", "; there are default/vo, prod/images"),
        ("endorser", "default/endorser in ", "found the Endorser of this name; there are default/vo, prod/images"),
        ("a/b/c", "expected the name of a subscription as [NAMESPACE/]NAME", "a/b/c"),
    ];
    for (name, one, other) in cases {
        for verb in ["verify", "show"] {
            let ran = named(&site, verb, name, &[]);
            assert!(ran.code == Some(3) && ran.told.contains(one) && ran.told.contains(other), "{name}: {ran:?}");
        }
    }
    let none = named(&site, "verify", "prod/images", &[]);
    assert!(none.code == Some(3) && none.told.contains("404"), "{none:?}");
    let volume = site.path("volume");
    drop(vmcatcher_operator::cache::Volume::open(&volume).unwrap());
    let (volume, manifests) = (volume.to_str().unwrap(), site.path("manifests"));
    let more = ["--volume", volume, "--manifests", manifests.to_str().unwrap()];
    let ran = operator(&[&["list", "show", "v0"][..], &more].concat());
    assert!(ran.code == Some(3) && ran.told.contains("found none yet; is it default/vo?"), "{ran:?}");
}

#[test]
fn what_the_subscription_names_and_what_is_wrong_in_it_is_told() {
    let Source { site, .. } = sources::list();
    let url = site.server.url("/image.list");
    let with = |source: &str, spec: &str| {
        site.manifest("subscription-vo", &format!(
            "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo}}\nspec:\n  source: {{url: \
             {url:?}{source}}}\n  {spec}\n"
        ));
        list(&site, "verify", &[])
    };
    let trusted = "verify: {endorserRefs: [{name: endorser}]}";
    let cases = [
        (", secretRef: {name: word}", trusted, "expected the Secret default/word, found none"),
        (", tls: {trust: Secret, certSecretRef: {name: ca}}", trusted, "expected the Secret default/ca, found none"),
        ("", "verify: {endorserRefs: [{name: erin}]}", "expected the Endorser erin, found none"),
        ("", "verify: {endorserRefs: [{name: endorser}], maxListAge: soon}", "spec.verify.maxListAge: "),
        (
            "",
            "verify: {endorserRefs: [{name: endorser}], requiredEndorsements: 2}",
            "spec.verify.requiredEndorsements: ",
        ),
    ];
    for (source, spec, expected) in cases {
        let ran = with(source, spec);
        assert!(ran.code == Some(3) && ran.told.contains(expected), "{spec}: {ran:?}");
    }
    let ran = with("", "verify: {endorserRefs: [{name: gone}, {name: endorser}]}");
    assert!(
        ran.code == Some(0) && ran.shown.contains("! endorsers: expected the Endorser gone, found none"),
        "{ran:?}"
    );
    assert_eq!(with("", &format!("{trusted}\n  suspend: true")).code, Some(0), "a suspended one is asked too");
    let ran = with("", "verify: {mode: AutoEndorse}");
    assert!(ran.code == Some(0) && last_line(&ran).starts_with("Good: "), "the first signer: {ran:?}");
    let ran = with("", "verify: {endorserRefs: [{name: endorser}], identifier: another-list}");
    assert_eq!((ran.code, last_line(&ran)), (Some(1), "Refused: IdentifierMismatch"), "{ran:?}");
    assert_eq!(with("", trusted).code, Some(0));
    let early = list(&site, "verify", &["--at", "2001-01-01T00:00:00Z"]);
    assert_eq!((early.code, last_line(&early)), (Some(1), "Refused: CertificateNotYetValid"), "{early:?}");
}

#[test]
fn options_that_do_not_go_together_are_a_wrong_use() {
    let Source { site, .. } = sources::list();
    let cases: [&[&str]; 8] = [
        &["image.list"],
        &["--token-file", "word"],
        &["--user", "alice", "--password-file", "word"],
        &["--secret", "word"],
        &["--allow-plain-http"],
        &["--signature", "list.p7s"],
        &["--decrypt-with", "key.pem"],
        &["--crls", "Ignore"],
    ];
    for more in cases {
        assert_eq!(list(&site, "verify", more).code, Some(2), "{more:?}");
    }
    let certificate = ["--endorser", &site.pki.endorser.subject(), "--crls", "Ignore"];
    assert_eq!(list(&site, "verify", &certificate).code, Some(0), "they go with a signer");
    for more in [&["image.list"][..], &["--volume", "v"], &["--namespace", "n"], &["--secret", "word"]] {
        assert_eq!(list(&site, "show", more).code, Some(2), "{more:?}");
    }
    let without: [&[&str]; 4] = [
        &["list", "verify"],
        &["list", "show"],
        &["list", "verify", "--subscription", "vo"],
        &["list", "verify", "image.list", "--cosign-key", "cosign.pub"],
    ];
    for arguments in without {
        assert_eq!(operator(arguments).code, Some(2), "{arguments:?}");
    }
}

/// A server that wants a name and a password, and has a certificate of an authority of its own.
#[test]
fn the_secrets_of_the_subscription_open_its_source() {
    const WORD: &str = "s3cret-word";
    let certificate = ServerCertificate::generate();
    let server = ImageServer::start_tls(&certificate);
    let mirror = Mirror::new("{url: 'ROOT/unused'}");
    let text = format!("{}  noble-1.img\n", "ab".repeat(64));
    let signature = mirror.gpg.detached(text.as_bytes(), &mirror.key, &[]);
    server.put("/SHA512SUMS", Resource::bytes(text.clone()).basic("alice", WORD));
    server.put("/SHA512SUMS.gpg", Resource::bytes(signature).basic("alice", WORD));
    let Mirror { site, .. } = &mirror;
    let host = server.address();
    let authority = String::from_utf8(certificate.authority_pem()).unwrap().replace('\n', "\n    ");
    site.manifest("secrets", &format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: word, annotations: {{vmcatcher.io/allowed-hosts: \"{host}\"}}}}\n\
         stringData: {{username: alice, password: {WORD}}}\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: ca}}\n\
         stringData:\n  ca.crt: |\n    {authority}\n"
    ));
    let file = r"images: [{name: noble, file: 'noble-(?<version>\d+)\.img'}]";
    let url = server.url("/SHA512SUMS");
    let tls = "tls: {trust: Secret, certSecretRef: {name: ca}}";
    for (more, expected) in [
        (String::new(), (Some(3), "TLSError: ")),
        (format!(", {tls}"), (Some(3), "AuthenticationFailed: ")),
        (format!(", {tls}, secretRef: {{name: word}}"), (Some(0), "")),
    ] {
        mirror.subscribe(&format!("{{checksums: {{url: '{url}', {file}}}{more}}}"), "");
        for verb in ["verify", "show"] {
            let ran = list(site, verb, &[]);
            assert!(ran.code == expected.0 && ran.told.contains(expected.1), "{more}: {ran:?}");
            assert!(!ran.shown.contains(WORD) && !ran.told.contains(WORD), "{ran:?}");
        }
    }
}

/// An image list may be encrypted to the site, have its signature beside it, or be a file of this machine.
#[test]
fn an_image_list_is_verified_in_each_form_that_the_operator_takes() {
    let Source { site, text, .. } = sources::list();
    let (certificate, key) = site.pki.host.pem();
    let of_pem = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let data = serde_json::json!({"tls.crt": of_pem(certificate), "tls.key": of_pem(key)});
    let metadata = serde_json::json!({"name": "site-key"});
    let secret = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data});
    let signed = sign(&text, &site.pki.endorser, Form::Detached);
    site.publish_message(&encrypted(&signed, &site.pki.host, &["-outform", "SMIME", "-aes256"]));
    let subscribe = |url: &str, more: &str| {
        site.manifest("subscription-vo", &format!(
            "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo}}\nspec:\n  source: {{url: \
             {url:?}}}\n  verify: {{endorserRefs: [{{name: endorser}}]{more}}}\n"
        ));
    };
    let good = |what: &str| {
        let (verified, shown) = (list(&site, "verify", &[]), list(&site, "show", &[]));
        assert!(verified.code == Some(0) && last_line(&verified).starts_with("Good: "), "{what}: {verified:?}");
        assert!(shown.shown.ends_with("1 image, 0 refused\n"), "{what}: {shown:?}");
    };
    let url = site.server.url("/image.list");
    let closed = list(&site, "verify", &[]);
    assert_eq!((closed.code, last_line(&closed)), (Some(1), "Refused: DecryptionFailed"), "{closed:?}");
    subscribe(&url, ", decryptionSecretRef: {name: site-key}");
    let without = list(&site, "verify", &[]);
    assert!(without.code == Some(3) && without.told.contains("expected the Secret default/site-key"), "{without:?}");
    site.manifest("site-key", &secret.to_string());
    good("encrypted");
    subscribe(&url, "");
    site.publish_message(&text);
    let signature = detached(&text, &site.pki.endorser, &["-binary", "-outform", "DER"]);
    site.server.put("/image.list.p7s", Resource::bytes(signature));
    good("with a signature beside it");
    fs::write(site.path("file.list"), &signed).unwrap();
    subscribe(&format!("file://{}", site.path("file.list").display()), "");
    good("a file");
}
