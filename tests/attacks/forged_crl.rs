//! Somebody who revoked nobody: a CRL in the CA's name that the CA never signed, newer than the real one. The original
//! never looked at a CRL's signature.

use harness::signer::{Form, sign};
use jiff::SignedDuration;
use vmcatcher_operator::trust::{Anchors, verify};

use crate::trust::{PKI, endorser, list_of, now, request};

fn verdict_with(crls: &[Vec<u8>]) -> String {
    let mut builder = Anchors::builder();
    builder.add_certificates(&PKI.root.certificate.to_pem().unwrap()).unwrap();
    for crl in crls {
        builder.add_crls(crl).unwrap();
    }
    let endorsers = [endorser("rita", &PKI.revoked)];
    let message = sign(&list_of(&PKI.revoked), &PKI.revoked, Form::Der);
    let outcome = verify(&message, &request(&builder.build(), &endorsers, 1)).outcome;
    outcome.map_or_else(|refusal| refusal.reason.to_string(), |_| "verified".to_owned())
}

#[test]
fn a_crl_that_the_ca_did_not_sign_clears_nobody() {
    let minute = SignedDuration::from_mins(1);
    let newer = PKI.intermediate.crl(now()).valid(now() - minute, now() + minute).signed_by(&PKI.stranger).der();
    assert_eq!(verdict_with(&[PKI.root_crl(), PKI.intermediate_crl(), newer.clone()]), "CertificateRevoked");
    assert_eq!(verdict_with(&[PKI.root_crl(), newer]), "CRLInvalid");
}

#[test]
fn a_crl_that_was_changed_clears_nobody() {
    let mut changed = PKI.intermediate_crl();
    let serial = PKI.revoked.certificate.serial_number().to_bn().unwrap().to_vec();
    let at = changed.windows(serial.len()).position(|window| window == serial).unwrap();
    changed[at] ^= 1;
    assert_eq!(verdict_with(&[PKI.root_crl(), changed]), "CRLInvalid");
}
