//! Two texts of one SHA-1 or MD5 digest can be made: the endorser signs the one, the site gets the other. The original
//! took any digest.

use der::asn1::{Any, BitString, ObjectIdentifier};
use der::{Decode, Encode};
use harness::pki::{CertificateSpec, Identity};
use harness::signer::{Form, sign, sign_as};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::{Padding, Rsa};
use openssl::sign::Signer;
use openssl::x509::X509;
use x509_cert::Certificate;

use crate::trust::{PKI, endorser, list_of, now, request, told, verdict};
use vmcatcher_operator::trust::{Anchors, CrlPolicy, EndorserRule, Refusal, verify};

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

/// The same certificate, signed by its CA again: this algorithm identifier, this digest, this padding.
fn signed_again(identity: &Identity, ca: &Identity, algorithm: (&str, Option<&[u8]>), over: MessageDigest) -> Identity {
    let mut certificate = Certificate::from_der(&identity.certificate.to_der().unwrap()).unwrap();
    certificate.signature_algorithm.oid = ObjectIdentifier::new_unwrap(algorithm.0);
    certificate.signature_algorithm.parameters = algorithm.1.map(|parameters| Any::from_der(parameters).unwrap());
    certificate.tbs_certificate.signature = certificate.signature_algorithm.clone();
    let mut signer = Signer::new(over, &ca.key).unwrap();
    if algorithm.0 == "1.2.840.113549.1.1.10" {
        signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
        signer.set_rsa_mgf1_md(over).unwrap();
        signer.set_rsa_pss_saltlen(openssl::sign::RsaPssSaltlen::custom(20)).unwrap();
    }
    let signature = signer.sign_oneshot_to_vec(&certificate.tbs_certificate.to_der().unwrap()).unwrap();
    certificate.signature = BitString::from_bytes(&signature).unwrap();
    let certificate = X509::from_der(&certificate.to_der().unwrap()).unwrap();
    assert!(certificate.verify(&ca.key).unwrap(), "OpenSSL takes it");
    Identity { certificate, ..identity.clone() }
}

/// A weak digest has more than one number, and RSA-PSS names it in its parameters alone (SHA-1 where it names none).
#[test]
fn so_is_a_certificate_that_hides_its_digest() {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let ca = CertificateSpec::authority("/DC=org/CN=Rsa CA", now()).key(&key).build(None);
    let person = ca.issue(&CertificateSpec::person("/DC=org/CN=Below", now()));
    let mut anchors = Anchors::builder();
    anchors.add_certificates(&ca.certificate.to_pem().unwrap()).unwrap();
    let anchors = anchors.build();
    let ask = |signer: &Identity| -> Result<(), Refusal> {
        let endorsers = [EndorserRule { crl_policy: CrlPolicy::Ignore, ..endorser("below", signer) }];
        let message = sign(&list_of(signer), signer, Form::Der);
        verify(&message, &request(&anchors, &endorsers, 1)).outcome.map(|_| ())
    };
    let (md5, sha1) = (MessageDigest::md5(), MessageDigest::sha1());
    let null: Option<&[u8]> = Some(&[5, 0]);
    let table = [
        ("md5WithRSA of OIW", ("1.3.14.3.2.3", null), md5, "DigestBroken"),
        ("sha1WithRSA of OIW", ("1.3.14.3.2.29", null), sha1, "DigestNotAllowed"),
        ("ripemd160WithRSA", ("1.3.36.3.3.1.2", null), MessageDigest::ripemd160(), "DigestNotAllowed"),
        ("PSS by its defaults", ("1.2.840.113549.1.1.10", Some(&[0x30, 0])), sha1, "DigestNotAllowed"),
    ];
    assert_eq!(ask(&person), Ok(()));
    for (case, algorithm, over, expected) in table {
        let refusal = ask(&signed_again(&person, &ca, algorithm, over)).expect_err(case);
        assert_eq!(told(&refusal), (expected.to_owned(), "Below".to_owned(), Some(0)), "{case}: {refusal}");
    }
}
