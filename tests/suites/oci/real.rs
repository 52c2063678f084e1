//! On Debian's `docker-registry`: `tests/registry/get` installs it. Bundles are judged by npm's `@sigstore/verify` too.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::oci::{Artefact, RealRegistry, Registry, SigningKey, statement};
use serde_json::{Value, json};

use super::registry::{REPOSITORY, made, notes, publish, site_of, subscribe};

#[tokio::test]
#[ignore = "needs docker-registry: tests/registry/get"]
async fn artefacts_of_a_real_registry_are_followed() {
    let (key, stranger) = (SigningKey::new(), SigningKey::new());
    let site = site_of(&key);
    let registry = RealRegistry::start();
    subscribe(&site, &registry.host(), "", "");
    let (first, second) = (made(&site, 5, "first"), made(&site, 4, "second"));
    publish(&registry, "22.04", &first, &key);
    registry.push(REPOSITORY, "24.04", &second);
    let bundle = key.envelope(&statement(&second.digest()));
    let (_, manifest) = registry.push_bundle(REPOSITORY, &second.manifest(), &bundle);
    registry.put_referrers_tag(REPOSITORY, &second.digest(), &manifest);
    let run = site.run().await;
    assert_eq!(run.list_condition("SourceVerified"), "True Verified", "{:?}", run.subscription("vo"));
    let shelf = site.shelf("endorsed");
    assert_eq!(shelf.len(), 2, "both forms of signatures, by their tags: {:?}", run.subscription("vo"));
    publish(&registry, "22.04", &made(&site, 1, "forged"), &stranger);
    let run = site.run().await;
    assert_eq!((notes(&run), site.shelf("endorsed")), (vec!["EndorserNotTrusted".to_owned()], shelf.clone()));
    publish(&registry, "22.04", &made(&site, 1, "third"), &key);
    let run = site.run().await;
    assert_eq!(notes(&run), Vec::<String>::new());
    assert_ne!(site.shelf("endorsed"), shelf, "the new version is taken over");
}

/// The bundles of the tests are what another program takes for bundles, and refuses when they are not of the key.
#[test]
#[ignore = "needs npm's @sigstore/verify: tests/registry/get"]
fn bundles_are_judged_as_sigstore_judges_them() {
    let (key, stranger) = (SigningKey::new(), SigningKey::new());
    let artefact = Artefact::new("disk", jiff::Timestamp::UNIX_EPOCH);
    let envelope = key.envelope(&statement(&artefact.digest()));
    let signature = key.message_signature(&artefact.manifest());
    let one = |bundle: &[u8], key: &SigningKey, artifact: Option<&[u8]>| {
        json!({
            "bundle": serde_json::from_slice::<Value>(bundle).unwrap(), "key": key.public(),
            "artifact": artifact.map(|bytes| STANDARD.encode(bytes)),
        })
    };
    let asked = json!([
        one(&envelope, &key, None),
        one(&signature, &key, Some(&artefact.manifest())),
        one(&envelope, &stranger, None),
        one(&signature, &stranger, Some(&artefact.manifest())),
        one(&signature, &key, Some(b"another manifest")),
    ]);
    let judged = judge(&asked);
    let accepted: Vec<bool> = judged.iter().map(|verdict| verdict == "accepted").collect();
    assert_eq!(accepted, [true, true, false, false, false], "{judged:?}");
}

fn judge(asked: &Value) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("registry");
    let got = Command::new(folder.join("get")).output().expect("the script runs");
    assert!(got.status.success(), "tests/registry/get: {}", String::from_utf8_lossy(&got.stderr));
    let directory = String::from_utf8(got.stdout).unwrap();
    let mut node = Command::new("node");
    let mut process = node
        .arg(folder.join("judge.mjs"))
        .arg(directory.trim())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node starts");
    process.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}
