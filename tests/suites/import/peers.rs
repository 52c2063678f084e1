//! The configuration of cloudkeeper and of atrope.

use std::fs;

use harness::site::Site;

use super::{Ran, check, operator};

/// Writes files into a site that has no manifests, and imports them.
fn import(site: &Site, arguments: &[&str]) -> Ran {
    let manifests = site.path("manifests").display().to_string();
    operator(&[&["import"], arguments, &["--output", &manifests]].concat())
}

fn empty_site() -> Site {
    let site = Site::new();
    site.forget("endorser-endorser");
    site.forget("subscription-vo");
    site
}

fn file(site: &Site, name: &str, text: &str) -> String {
    fs::write(site.path(name), text).unwrap();
    site.path(name).display().to_string()
}

/// From atrope's sources to a cached image.
#[tokio::test]
async fn atropes_sources_become_manifests_that_work() {
    let site = empty_site();
    let image = site.serve("858a817e-0ca2-473f-89d3-d5bdfc51968e", "1.0", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    let (subject, issuer) = (site.pki.endorser.subject(), site.pki.endorser.issuer());
    let endorser = format!("endorser: {{dn: '{subject}', ca: '{issuer}'}}");
    let url = site.server.url("/image.list");
    let sources = format!(
        "vo.fedcloud.egi.eu:\n  url: {url}\n  enabled: true\n  {endorser}\n  images: [{}]\nprivate:\n  url: \
         https://lists.example.org/vo/image.list\n  {endorser}\n  token: s3cret-token\nold one:\n  url: {url}\n  enabled: \
         false\nfoo:\n  enabled: true\n",
        image.identifier
    );
    let ran = import(&site, &["atrope", &file(&site, "hepix.yaml", &sources)]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for expected in ["it is disabled in atrope", "expected an address in url, found none", "Secret private-credentials"]
    {
        assert!(ran.told.contains(expected), "{expected}: {}", ran.told);
    }
    assert!(!ran.told.contains("s3cret"), "{}", ran.told);
    let checked = check(&site);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let endorsers = fs::read_to_string(site.path("manifests/endorsers.yaml")).unwrap();
    assert_eq!(endorsers.matches("kind: Endorser").count(), 1, "{endorsers}");
    // The list on another machine is not fetched here.
    let lists = fs::read_to_string(site.path("manifests/subscriptions.yaml")).unwrap();
    let first: String = lists.split("---\n").filter(|document| document.contains(&url)).collect();
    fs::write(site.path("manifests/subscriptions.yaml"), first).unwrap();
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
}

const CORE: &str = "cloudkeeper:
  image-lists:
    - https://s3cret-token:x-oauth-basic@vmcaster.appdb.egi.eu/store/vo/atlas/image.list
    - LIST
  ca-dir: /etc/grid-security/certificates/
  authentication: false
  image-dir: /var/spool/cloudkeeper/images/
  remote-mode: true
  backend: {endpoint: \"127.0.0.1:50051\"}
  formats: [qcow2, vmdk]
  lock-file: /var/lock/cloudkeeper/cloudkeeper.lock
  surprise: 1
";

const ONE: &str = "cloudkeeper-one:
  listen-address: 127.0.0.1:50051
  identifier: cloudkeeper-one
  appliances: {permissions: \"640\"}
  opennebula:
    secret: oneadmin:s3cret-word
    endpoint: http://localhost:2633/RPC2
    datastores: [images, second]
    users: [cloudkeeper]
";

/// cloudkeeper knows no endorsers. What it lacks is named with the command, which is run here as a person would.
#[test]
fn cloudkeepers_configuration_becomes_manifests_but_for_the_signers() {
    let site = empty_site();
    let image = site.serve("858a817e-0ca2-473f-89d3-d5bdfc51968e", "1.0", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    let list = site.server.url("/vo-cms/image.list");
    let core = file(&site, "cloudkeeper.yml", &CORE.replace("LIST", &list));
    let one = file(&site, "cloudkeeper-one.yml", ONE);
    let ran = import(&site, &["cloudkeeper", &core, "--one", &one]);
    assert!(ran.code == Some(1) && !ran.told.contains("s3cret"), "{ran:?}");
    for expected in [
        "endorser from-list ADDRESS --name vo-cms-signer",
        "endorser from-list ADDRESS --name atlas-signer",
        "not converted to vmdk",
        "--image-server",
        "this setting is not known",
        "the first was taken",
        "the volume has a lock",
    ] {
        assert!(ran.told.contains(expected), "{expected}: {}", ran.told);
    }
    let clouds = fs::read_to_string(site.path("manifests/clouds.yaml")).unwrap();
    for expected in ["datastore: images", "permissions: '640'", "- cloudkeeper", "- qcow2"] {
        assert!(clouds.contains(expected) && !clouds.contains("s3cret"), "{expected}: {clouds}");
    }
    let trust = site.path("trust").display().to_string();
    for name in ["vo-cms-signer", "atlas-signer"] {
        let address = site.server.url("/image.list");
        let made = operator(&["endorser", "from-list", &address, "--name", name, "--trust", &trust]);
        assert_eq!(made.code, Some(0), "{made:?}");
        site.manifest(name, &made.shown);
    }
    let checked = check(&site);
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

#[test]
fn configuration_that_is_another_is_told_as_that() {
    let site = empty_site();
    let odd: [(&str, &str); 7] = [
        ("", "expected an object in YAML"),
        ("- a\n- b\n", "found a list"),
        ("a: [", "in line"),
        ("a: 1\n---\nb: 1\n", "found several documents"),
        ("a: 1\na: 2\n", "in line"),
        ("other: {}\n", "expected the member cloudkeeper"),
        ("cloudkeeper: 1\n", "expected the member cloudkeeper"),
    ];
    for (text, expected) in odd {
        let ran = operator(&["import", "cloudkeeper", &file(&site, "file.yml", text)]);
        assert!(ran.code == Some(3) && ran.told.contains(expected), "{text:?}: {ran:?}");
    }
    let bomb = format!("cloudkeeper:\n  image-lists: [{}]\n", "a,".repeat(3_000_000));
    let ran = operator(&["import", "cloudkeeper", &file(&site, "file.yml", &bomb)]);
    assert!(ran.code == Some(3) && ran.told.contains("expected at most"), "{:?}", ran.code);
    let ran =
        operator(&["import", "atrope", &file(&site, "file.yml", "a: 1\nb: {url: 'ftp://a', endorser: {dn: x}}\n")]);
    assert!(ran.code == Some(1) && ran.told.contains("expected an object, found another value"), "{ran:?}");
}
