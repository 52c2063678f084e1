//! Whoever computes a private key from its public one signs as its owner: RSA of 512 bits costs an afternoon, a curve
//! of 112 bits a minute. The original left key lengths to the CAs.

use harness::pki::{CertificateSpec, Identity, Reason};
use harness::signer::{Form, sign};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use vmcatcher_operator::trust::{
    Anchors, CrlPolicy, EndorserRule, KeyStrength, Refusal, Reverification, VerifyRequest, accept, reverify, verify,
};

use crate::trust::{PKI, anchors, ask_nothing, endorser, list_of, now, request, told, verdict};

fn rsa(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()
}

fn curve(name: Nid) -> PKey<Private> {
    PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(name).unwrap()).unwrap()).unwrap()
}

fn below(issuer: &Identity, key: &PKey<Private>) -> Identity {
    issuer.issue(&CertificateSpec::person("/DC=org/CN=Walter Weakkey", now()).key(key))
}

fn refused(who: &str, depth: u32) -> (String, String, Option<u32>) {
    ("KeyTooWeak".to_owned(), who.to_owned(), Some(depth))
}

#[test]
fn a_signer_with_a_short_key_is_refused_and_one_at_the_floor_is_taken() {
    let ask = |key: &PKey<Private>| {
        let signer = below(&PKI.intermediate, key);
        verdict(&sign(&list_of(&signer), &signer, Form::Detached), &[endorser("walter", &signer)])
    };
    let weak =
        [rsa(512), rsa(1024), rsa(2040), curve(Nid::SECP112R1), curve(Nid::SECP160R1), curve(Nid::X9_62_PRIME192V1)];
    for key in weak {
        let refusal = ask(&key).unwrap_err();
        assert_eq!(told(&refusal), refused("Walter Weakkey", 0), "{} bits: {refusal}", key.bits());
        assert!(refusal.message.contains(&format!("{} bits", key.bits())), "{refusal}");
    }
    for key in [rsa(2048), curve(Nid::SECP224R1), curve(Nid::SECP384R1)] {
        assert!(ask(&key).is_ok(), "{} bits", key.bits());
    }
}

/// A root of which anyone can have the key vouches for anyone, and so does a CA below it.
#[test]
fn so_is_a_path_over_a_ca_with_a_short_key() {
    let weak = PKI.root.issue(&CertificateSpec::authority("/DC=org/CN=Weak CA", now()).key(&rsa(1024)));
    let signer = weak.issue(&CertificateSpec::person("/DC=org/CN=Below", now()));
    let refusal = verdict(&sign(&list_of(&signer), &signer, Form::Der), &[endorser("below", &signer)]).unwrap_err();
    assert_eq!(told(&refusal), refused("Weak CA", 1), "{refusal}");
}

/// The anchor's own signature proves nothing and is not asked; its key proves the next certificate, and its CRL.
#[test]
fn so_is_a_path_to_an_anchor_with_a_short_key() {
    let key = curve(Nid::SECP112R1);
    let root = CertificateSpec::authority("/DC=org/CN=Weak Root", now()).key(&key).build(None);
    let signer = root.issue(&CertificateSpec::person("/DC=org/CN=Below", now()));
    let mut builder = Anchors::builder();
    builder.add_certificates(&root.certificate.to_pem().unwrap()).unwrap();
    builder.add_crls(&root.crl(now()).der()).unwrap();
    let anchors = builder.build();
    let message = sign(&list_of(&signer), &signer, Form::Opaque);
    for crl_policy in [CrlPolicy::Require, CrlPolicy::Ignore] {
        let endorsers = [EndorserRule { crl_policy, ..endorser("below", &signer) }];
        let refusal: Refusal = verify(&message, &request(&anchors, &endorsers, 1)).outcome.unwrap_err();
        assert_eq!(told(&refusal), refused("Weak Root", 1), "{refusal}");
    }
}

/// An old archive is taken where a person says so. When that ends its list is frozen, and the word of its CA still
/// counts: no rule about algorithms hides a revocation.
#[test]
fn a_list_that_was_taken_over_a_weak_key_is_frozen_and_still_goes_when_its_ca_says_so() {
    let signer = below(&PKI.intermediate, &rsa(1024));
    let message = sign(&list_of(&signer), &signer, Form::Detached);
    let (anchors, endorsers) = (anchors(), [endorser("walter", &signer)]);
    let mut ask = request(&anchors, &endorsers, 1);
    ask.algorithms.weakest_key = KeyStrength::of_bits(80);
    let taken = accept(verify(&message, &ask).outcome.unwrap(), &ask_nothing()).outcome.unwrap();
    let last = taken.last_accepted();
    assert!(matches!(reverify(&message, &last, &ask), Reverification::InForce(_)));
    ask.algorithms.weakest_key = KeyStrength::FLOOR;
    let now = reverify(&message, &last, &ask);
    assert!(matches!(&now, Reverification::Frozen(_, refusal) if refusal.reason.as_str() == "KeyTooWeak"), "{now:?}");

    let mut builder = Anchors::builder();
    builder.add_certificates(&PKI.root.certificate.to_pem().unwrap()).unwrap();
    builder.add_crls(&PKI.root_crl()).unwrap();
    let crl = PKI.intermediate.crl(crate::trust::now()).revoke(&signer, Some(Reason::KeyCompromise));
    builder.add_crls(&crl.der()).unwrap();
    let revoking = builder.build();
    let now = reverify(&message, &last, &VerifyRequest { anchors: &revoking, ..ask });
    assert!(
        matches!(&now, Reverification::Withdrawn(_, refusal) if refusal.reason.as_str() == "CertificateRevoked"),
        "{now:?}"
    );
}
