//! A message carries two certificates of one issuer and serial number: the endorser's real one, and the attacker's with
//! the attacker's key. The signature is proved with one of them, and its names must not be taken from the other.

use harness::pki::{CertificateSpec, Identity};
use harness::signer::{Form, sign};

use crate::trust::{PKI, endorser, list_of, now, verdict};

/// Each certificate that a signature could be of is tried on the whole text; a message of 64 MiB must not cost hours.
#[test]
fn a_crowd_of_them_is_refused_at_once() {
    let serial = PKI.endorser.certificate.serial_number().to_bn().unwrap();
    let issuer = PKI.endorser.certificate.issuer_name();
    let look_alike = |number: usize| {
        let spec = CertificateSpec::person(&format!("/DC=org/CN=Mallory {number}"), now());
        PKI.stranger.issue(&spec.serial(&serial).issued_by_name(issuer)).certificate
    };
    let mut crowded = PKI.endorser.clone();
    crowded.chain.extend((0..3).map(look_alike));
    let ask = |signer: &Identity| {
        verdict(&sign(&list_of(&PKI.endorser), signer, Form::Der), &[endorser("erin", &PKI.endorser)])
    };
    assert!(ask(&crowded).is_ok());
    crowded.chain.push(look_alike(3));
    let refusal = ask(&crowded).unwrap_err();
    assert_eq!(refusal.reason.as_str(), "SignatureInvalid", "{refusal}");
    assert!(refusal.message.contains("found 5"), "{refusal}");
}

#[test]
fn the_names_are_those_of_the_key_that_signed() {
    let serial = PKI.endorser.certificate.serial_number().to_bn().unwrap();
    let issuer = PKI.endorser.certificate.issuer_name();
    let spec = CertificateSpec::person("/DC=org/CN=Mallory", now()).serial(&serial).issued_by_name(issuer);
    let mut mallory = PKI.stranger.issue(&spec);
    mallory.chain = vec![PKI.endorser.certificate.clone(), PKI.intermediate.certificate.clone()];
    for form in [Form::Detached, Form::Opaque, Form::Der] {
        let message = sign(&list_of(&PKI.endorser), &mallory, form);
        let refusal = verdict(&message, &[endorser("erin", &PKI.endorser)]).unwrap_err();
        assert_eq!(refusal.subject.as_deref(), Some("/DC=org/CN=Mallory"), "{form:?}: {refusal}");
        assert_eq!(refusal.reason.as_str(), "IssuerUnknown", "{form:?}: {refusal}");
    }
}
