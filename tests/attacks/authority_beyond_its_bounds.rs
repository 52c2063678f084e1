//! An authority signs what it was not made for: authorities below a path length of none, certificates with a key that may
//! not sign any, names outside its constraints. A list that such a path leads to is refused.

use harness::pki::{CertificateSpec, Identity, Usage};
use harness::signer::{Form, sign};

use crate::trust::{PKI, endorser, list_of, now, request, told};
use vmcatcher_operator::trust::{Anchors, CrlPolicy, EndorserRule, Refusal, verify};

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    harness::der::tlv(tag, &[content])
}

/// Name constraints (RFC 5280 section 4.2.1.10) of one subtree: permitted where the tag is 0xa0, excluded where 0xa1.
fn constraints(kind: u8, name: &[u8]) -> Vec<u8> {
    tlv(0x30, &tlv(kind, &tlv(0x30, name)))
}

fn directory_name(one_line: &str) -> Vec<u8> {
    tlv(0xa4, &harness::pki::subject_name(one_line).to_der().unwrap())
}

/// The verdict on a list of this signer where the root alone is trusted.
fn outcome(signer: &Identity, root: &Identity) -> Result<(), Refusal> {
    let mut builder = Anchors::builder();
    builder.add_certificates(&root.certificate.to_pem().unwrap()).unwrap();
    let endorsers = [EndorserRule { crl_policy: CrlPolicy::Ignore, ..endorser("one", signer) }];
    let message = sign(&list_of(signer), signer, Form::Der);
    verify(&message, &request(&builder.build(), &endorsers, 1)).outcome.map(|_| ())
}

fn authority(name: &str) -> CertificateSpec {
    CertificateSpec::authority(&format!("/DC=org/CN={name}"), now())
}

fn person() -> CertificateSpec {
    CertificateSpec::person("/DC=org/DC=example/CN=Below", now())
}

#[test]
fn a_path_longer_than_an_authority_permits() {
    let allowed = PKI.root.issue(&authority("Leafs Only").path_length(0));
    assert_eq!(outcome(&allowed.issue(&person()), &PKI.root), Ok(()));
    let beyond = allowed.issue(&authority("Beyond"));
    let refusal = outcome(&beyond.issue(&person()), &PKI.root).unwrap_err();
    assert_eq!(refusal.reason.as_str(), "IssuerUnknown", "{refusal}");
    assert!(refusal.message.contains("path length constraint exceeded"), "{refusal}");
    let root = CertificateSpec::authority("/DC=org/CN=Short Root", now()).path_length(0).build(None);
    let refusal = outcome(&root.issue(&authority("Below")).issue(&person()), &root).unwrap_err();
    assert!(refusal.message.contains("path length constraint exceeded"), "the anchor's own: {refusal}");
}

#[test]
fn a_signer_that_is_no_authority_or_may_not_sign_certificates() {
    let leaf = PKI.root.issue(&CertificateSpec::person("/DC=org/CN=Leaf", now()));
    let refusal = outcome(&leaf.issue(&person()), &PKI.root).unwrap_err();
    assert_eq!(told(&refusal), ("IssuerUnknown".to_owned(), "Leaf".to_owned(), Some(1)), "{refusal}");
    // An authority by its constraints, whose key may sign texts alone.
    let is_authority = tlv(0x30, &tlv(0x01, &[0xff]));
    let spec = CertificateSpec::person("/DC=org/CN=Texts Only", now()).usages(&[]);
    let no_certificates = PKI.root.issue(&spec.extension("2.5.29.19", true, &is_authority));
    let refusal = outcome(&no_certificates.issue(&person()), &PKI.root).unwrap_err();
    assert_eq!(refusal.reason.as_str(), "IssuerUnknown", "{refusal}");
    // One for servers alone, as public authorities issue them.
    let servers = PKI.root.issue(&authority("Servers").usages(&[Usage::ServerAuth]));
    let refusal = outcome(&servers.issue(&person()), &PKI.root).unwrap_err();
    assert_eq!(told(&refusal).0, "PurposeMismatch", "{refusal}");
}

#[test]
fn a_name_outside_the_constraints() {
    let example = directory_name("/DC=org/DC=example");
    let mail = tlv(0x81, b"example.org");
    let with =
        |kind, name: &[u8]| PKI.root.issue(&authority("Bound").extension("2.5.29.30", true, &constraints(kind, name)));
    let named = |ca: &Identity, subject: &str| outcome(&ca.issue(&CertificateSpec::person(subject, now())), &PKI.root);
    let table = [
        (0xa0, &example, "/DC=org/DC=example/CN=Below", true),
        (0xa0, &example, "/DC=org/DC=other/CN=Below", false),
        (0xa0, &example, "/DC=org/CN=x/DC=example", false),
        (0xa1, &example, "/DC=org/DC=other/CN=Below", true),
        (0xa1, &example, "/DC=org/DC=example/CN=Below", false),
        (0xa0, &mail, "/DC=org/CN=Below/emailAddress=a@example.org", true),
        (0xa0, &mail, "/DC=org/CN=Below/emailAddress=a@elsewhere.org", false),
        (0xa1, &mail, "/DC=org/CN=Below/emailAddress=a@example.org", false),
    ];
    for (kind, name, subject, good) in table {
        let outcome = named(&with(kind, name), subject);
        let reason = outcome.as_ref().map_err(|refusal| refusal.reason.as_str()).copied();
        assert_eq!(reason, if good { Ok(()) } else { Err("NamespaceViolation") }, "{kind:x} {subject}: {outcome:?}");
    }
    // An authority that has no such names itself, between the bound one and the signer, widens nothing.
    let between = with(0xa0, &example).issue(&CertificateSpec::authority("/DC=org/DC=example/CN=Between", now()));
    let refusal = named(&between, "/DC=org/DC=other/CN=Below").unwrap_err();
    assert_eq!(refusal.reason.as_str(), "NamespaceViolation", "{refusal}");
}
