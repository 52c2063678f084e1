//! A list that two must sign arrives with one signature, and one that one must sign arrives with none.

use harness::signer::{Form, sign, sign_as};
use vmcatcher_operator::trust::verify;

use crate::trust::{PKI, anchors, endorser, list_of, request, verdict};

#[test]
fn what_is_missing_is_missed() {
    let text = list_of(&PKI.endorser);
    let endorsers = [endorser("erin", &PKI.endorser), endorser("sam", &PKI.second)];
    let reason = |message: &[u8]| {
        let outcome = verify(message, &request(&anchors(), &endorsers, 2)).outcome;
        outcome.map_or_else(|refusal| refusal.reason.to_string(), |_| "verified".to_owned())
    };
    assert_eq!(reason(&sign_as(&text, &[&PKI.endorser, &PKI.second], Form::Detached, "sha256")), "verified");
    assert_eq!(reason(&sign(&text, &PKI.endorser, Form::Detached)), "EndorsementsMissing");
    assert_eq!(reason(&text), "Unsigned");
}

/// A `SignedData` without any `SignerInfo` (a bag of certificates) is well-formed CMS.
#[test]
fn a_bag_of_certificates_is_no_signature() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, bag) = (folder.path().join("certificate"), folder.path().join("bag"));
    std::fs::write(&certificate, PKI.endorser.pem().0).unwrap();
    let mut command = std::process::Command::new("openssl");
    command.args(["crl2pkcs7", "-nocrl", "-outform", "DER", "-certfile"]).arg(&certificate).arg("-out").arg(&bag);
    assert!(command.status().unwrap().success());
    let refusal = verdict(&std::fs::read(&bag).unwrap(), &[endorser("erin", &PKI.endorser)]).unwrap_err();
    assert_eq!(refusal.reason.as_str(), "SignatureInvalid", "{refusal}");
}
