//! `endorser from-list`: the manifest of whoever signed, which the operator then believes.

use std::fs;

use harness::gpg::{Gpg, PgpForm};
use harness::list::ListBuilder;
use harness::pki::Identity;
use harness::signer::{Form, sign};
use harness::site::{LIST, Site};

use super::{ONE, Ran, once, operator};

/// A site that does not know yet whom to believe.
fn site(signer: impl Fn(&Site) -> Identity) -> Site {
    let site = Site::new();
    let (image, signer) = (site.serve(ONE, "1", 1, 50_000), signer(&site));
    let list = ListBuilder::new(LIST, site.now()).version("1.0").created(site.now()).endorser(&signer);
    let list = list.image(ONE, "1", &image.uri, image.size, &image.sha512);
    site.publish_message(&sign(&list.json(), &signer, Form::Detached));
    site.forget("endorser-endorser");
    site
}

fn from_list(site: &Site, more: &[&str]) -> Ran {
    let (url, trust) = (site.server.url("/image.list"), site.path("trust"));
    operator(&[&["endorser", "from-list", &url, "--trust", trust.to_str().unwrap()], more].concat())
}

#[test]
fn the_manifest_of_a_signer_is_believed_once_a_person_put_it_there() {
    let site = site(|site| site.pki.endorser.clone());
    let shown = from_list(&site, &[]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.shown.starts_with("---\n# CHECK THIS BEFORE YOU USE IT."), "{shown:?}");
    assert!(shown.shown.contains("name: erin-endorser\n") && !shown.shown.contains("purpose"), "{shown:?}");
    let named = from_list(&site, &["--name", "endorser"]);
    assert_eq!(once(&site, &["-o", "none"]).code, Some(1), "nothing is believed yet");
    site.manifest("believed", &named.shown);
    let ran = once(&site, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(site.shelf("endorsed").len(), 1);
}

/// A host certificate signs: an Endorser that does not say so would refuse it.
#[test]
fn a_certificate_that_is_not_made_for_mail_is_taken_with_its_purpose() {
    let site = site(|site| site.pki.host.clone());
    let named = from_list(&site, &["--name", "endorser"]);
    assert!(named.code == Some(0) && named.shown.contains("purpose: Any # the certificate"), "{named:?}");
    site.manifest("believed", &named.shown);
    let ran = once(&site, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn who_is_not_verified_is_not_written_down() {
    let site = site(|site| site.pki.revoked.clone());
    let refused = from_list(&site, &[]);
    assert_eq!((refused.code, refused.shown.as_str()), (Some(1), ""), "{refused:?}");
    assert!(refused.told.contains("Refused: CertificateRevoked"), "{refused:?}");
    let unchecked = from_list(&site, &["--crls", "Ignore"]);
    assert!(unchecked.code == Some(0) && unchecked.shown.ends_with("  crlPolicy: Ignore\n"), "{unchecked:?}");
    assert_eq!(from_list(&site, &["--name", "../x"]).code, Some(2));
    let missing = operator(&["endorser", "from-list", "/nonexistent/list"]);
    assert_eq!(missing.code, Some(3), "{missing:?}");
    fs::write(site.path("plain"), b"{}").unwrap();
    let plain = operator(&["endorser", "from-list", site.path("plain").to_str().unwrap()]);
    assert_eq!(plain.code, Some(1), "{plain:?}");
}

#[test]
fn an_openpgp_key_is_written_down_with_its_fingerprint() {
    let site = site(|site| site.pki.endorser.clone());
    let gpg = Gpg::at(site.now());
    let key = gpg.key("Ann", "ed25519", "30d");
    let image = site.serve(ONE, "1", 1, 50_000);
    let list = ListBuilder::new(LIST, site.now()).version("1.0").created(site.now()).endorser_names("/CN=a", "/CN=b");
    let list = list.image(ONE, "1", &image.uri, image.size, &image.sha512);
    site.publish_message(&gpg.sign(&list.json(), &key, PgpForm::Clear));
    let file = site.path("key.asc");
    fs::write(&file, gpg.export(&key)).unwrap();
    let keyless = from_list(&site, &[]);
    assert_eq!((keyless.code, keyless.shown.as_str()), (Some(1), ""), "{keyless:?}");
    let named = from_list(&site, &["--openpgp-key", file.to_str().unwrap(), "--name", "endorser"]);
    assert!(named.code == Some(0) && named.shown.contains(&gpg.fingerprints(&key)[0]), "{named:?}");
    site.manifest("believed", &named.shown);
    let ran = once(&site, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
