//! Two texts of one SHA-1 or MD5 digest can be made: the endorser signs the one, the site gets the other. The original
//! took any digest.

use harness::pki::CertificateSpec;
use harness::signer::{Form, sign, sign_as};
use openssl::hash::MessageDigest;

use crate::trust::{PKI, endorser, list_of, now, told, verdict};

#[test]
fn a_text_signed_over_sha1_is_refused() {
    let message = sign_as(&list_of(&PKI.endorser), &[&PKI.endorser], Form::Detached, "sha1");
    assert_eq!(told(&verdict(&message, &[endorser("erin", &PKI.endorser)]).unwrap_err()).0, "DigestNotAllowed");
}

/// A certificate is a signed text, too: of the CA's, at each step of the path but the anchor.
#[test]
fn so_is_a_certificate() {
    let spec = CertificateSpec::authority("/DC=org/CN=Weak CA", now()).signed_over(MessageDigest::sha1());
    let below = PKI.root.issue(&spec).issue(&CertificateSpec::person("/DC=org/CN=Below", now()));
    let refusal = verdict(&sign(&list_of(&below), &below, Form::Der), &[endorser("below", &below)]).unwrap_err();
    assert_eq!(told(&refusal), ("DigestNotAllowed".to_owned(), "Weak CA".to_owned(), Some(1)));
}
