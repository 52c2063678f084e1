//! An intermediate CA was stolen and its root revoked it. The original asked the first issuer's CRL at every step, so
//! that it never noticed; and it took the intermediate's own CRL for the root's, where equal serial numbers meet.

use harness::pki::Reason;
use harness::signer::{Form, sign};
use vmcatcher_operator::trust::{Anchors, verify};

use crate::trust::{PKI, endorser, list_of, now, request, told};

fn verdict_with(crls: &[Vec<u8>]) -> Option<(String, String, Option<u32>)> {
    let mut builder = Anchors::builder();
    builder.add_certificates(&PKI.root.certificate.to_pem().unwrap()).unwrap();
    for crl in crls {
        builder.add_crls(crl).unwrap();
    }
    let endorsers = [endorser("erin", &PKI.endorser)];
    let message = sign(&list_of(&PKI.endorser), &PKI.endorser, Form::Der);
    verify(&message, &request(&builder.build(), &endorsers, 1)).outcome.err().map(|refusal| told(&refusal))
}

#[test]
fn the_roots_crl_is_asked_for_the_intermediate() {
    let root = PKI.root.crl(now()).revoke(&PKI.intermediate, Some(Reason::KeyCompromise)).der();
    let expected = ("CertificateRevoked".to_owned(), "Issuing CA".to_owned(), Some(1));
    assert_eq!(verdict_with(&[root, PKI.intermediate_crl()]), Some(expected));
}

#[test]
fn each_serial_number_is_its_issuers() {
    let below = PKI.intermediate.crl(now()).revoke(&PKI.intermediate, None).revoke(&PKI.root, None).der();
    assert_eq!(verdict_with(&[PKI.root_crl(), below]), None, "serials that the intermediate did not give");
    let root = PKI.root.crl(now()).revoke(&PKI.endorser, None).der();
    assert_eq!(verdict_with(&[root, PKI.intermediate_crl()]), None, "a serial that the root did not give");
}
