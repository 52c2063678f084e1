use std::fs;
use std::os::unix::fs::symlink;

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::x509::{X509, X509Name, X509NameBuilder};

use super::*;

fn name(common_name: &str) -> X509Name {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", common_name).unwrap();
    name.build()
}

fn authority(common_name: &str) -> X509 {
    let key = PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap());
    let key = key.unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&Asn1Integer::from_bn(&BigNum::from_u32(1).unwrap()).unwrap()).unwrap();
    builder.set_subject_name(&name(common_name)).unwrap();
    builder.set_issuer_name(&name(common_name)).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    builder.build()
}

#[test]
fn a_directory_is_loaded_by_endings_and_one_bad_file_costs_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (one, two) = (authority("One"), authority("Two"));
    fs::write(at("One-Alias.pem"), one.to_pem().unwrap()).unwrap();
    symlink("One-Alias.pem", at("0123abcd.0")).unwrap();
    fs::write(at("4567abcd.1"), two.to_der().unwrap()).unwrap();
    fs::write(at("One.info"), "alias = One").unwrap();
    fs::create_dir(at("sub.0")).unwrap();
    fs::write(at("bad.0"), "garbage").unwrap();
    fs::write(at("bad.r0"), [0x30, 0x80, 0]).unwrap();
    symlink("nowhere", at("gone.0")).unwrap();
    let (anchors, problems) = load(folder.path());
    assert_eq!((anchors.count(), anchors.crl_count()), (2, 0));
    let names: Vec<_> = problems.iter().map(|p| p.path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["bad.0", "gone.0", "bad.r0"], "{problems:?}");
}

#[test]
fn a_certificate_of_another_name_is_told_once_and_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let one = authority("One");
    fs::write(at("ca.der"), one.to_der().unwrap()).unwrap();
    fs::write(at("ca"), one.to_pem().unwrap()).unwrap();
    for (name, bytes) in [("README", "about\n"), ("ca.crl_url", "http://example.org/"), ("large", "")] {
        fs::write(at(name), bytes).unwrap();
    }
    fs::File::options().write(true).open(at("large")).unwrap().set_len(LARGEST_OTHER + 1).unwrap();
    let (directory, problems) = TrustDirectory::open(folder.path());
    assert_eq!(directory.current().count(), 0);
    let told = |problems: &[AnchorProblem]| -> Vec<String> {
        problems.iter().map(|p| p.path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(told(&problems), ["ca", "ca.der"]);
    assert!(problems[0].message.contains("because of its name") && problems[0].message.contains("*.pem"));
    assert_eq!(directory.refresh(), None);
    fs::write(at("other.txt"), authority("Two").to_pem().unwrap()).unwrap();
    assert_eq!(told(&directory.refresh().unwrap()), ["other.txt"], "the others were told already");
    fs::write(at("two.pem"), authority("Two").to_pem().unwrap()).unwrap();
    assert_eq!((told(&directory.refresh().unwrap()).len(), directory.current().count()), (0, 1));
}

#[test]
fn a_bundle_is_one_file_and_nothing_is_a_problem_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    let both = [authority("One").to_pem().unwrap(), authority("Two").to_pem().unwrap()].concat();
    fs::write(&bundle, both).unwrap();
    let (anchors, problems) = load(&bundle);
    assert_eq!((anchors.count(), problems.len()), (2, 0));
    let (anchors, problems) = load(&folder.path().join("missing"));
    assert_eq!((anchors.count(), problems.len()), (0, 1));
}

#[test]
fn a_fingerprint_changes_with_a_file_and_only_then() {
    let folder = tempfile::tempdir().unwrap();
    let empty = fingerprint(folder.path());
    fs::write(folder.path().join("a.0"), "one").unwrap();
    let first = fingerprint(folder.path());
    assert_ne!(empty, first);
    fs::create_dir(folder.path().join("folder")).unwrap();
    assert_eq!(fingerprint(folder.path()), first);
    fs::write(folder.path().join("b"), "two").unwrap();
    fs::rename(folder.path().join("b"), folder.path().join("a.0")).unwrap();
    assert_ne!(fingerprint(folder.path()), first);
    assert_eq!(fingerprint(&folder.path().join("missing")), empty);
}
