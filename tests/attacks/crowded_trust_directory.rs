//! A trust directory of very many files: of authorities, which OpenSSL sorts anew with each one that is added to a store,
//! and of CRLs of one authority, of which none but the newest needs its signature checked.

use std::time::{Duration, Instant};

use harness::pki::CertificateSpec;
use harness::signer::{Form, sign};
use jiff::SignedDuration;

use crate::trust::{PKI, endorser, list_of, now, request};
use vmcatcher_operator::trust::{Anchors, AnchorsBuilder, verify};

/// Far above what it takes, and far below what it took.
const PATIENCE: Duration = Duration::from_secs(30);

fn builder() -> AnchorsBuilder {
    let mut builder = Anchors::builder();
    builder.add_certificates(&PKI.root.certificate.to_pem().unwrap()).unwrap();
    builder.add_crls(&PKI.root_crl()).unwrap();
    builder
}

/// As many verifications of one message; each made a store of the whole directory (2.4 s for 5,000 authorities).
fn verified_in(anchors: &Anchors, times: usize) -> Duration {
    let message = sign(&list_of(&PKI.endorser), &PKI.endorser, Form::Der);
    let endorsers = [endorser("erin", &PKI.endorser)];
    let began = Instant::now();
    for _ in 0..times {
        let outcome = verify(&message, &request(anchors, &endorsers, 1)).outcome;
        assert!(outcome.is_ok(), "{outcome:?}");
    }
    began.elapsed()
}

#[test]
fn of_many_authorities_only_those_of_the_path_are_asked() {
    let mut builder = builder();
    builder.add_crls(&PKI.intermediate_crl()).unwrap();
    for number in 0..5_000 {
        let spec = CertificateSpec::authority(&format!("/DC=org/CN=CA {number}"), now()).key(&PKI.root.key);
        builder.add_certificates(&spec.build(None).certificate.to_der().unwrap()).unwrap();
    }
    let anchors = builder.build();
    assert_eq!(anchors.count(), 5_001);
    let took = verified_in(&anchors, 40);
    assert!(took < PATIENCE, "{took:?}");
}

/// 100,000 CRLs of one authority that it did not sign, all older than its own.
#[test]
fn of_many_crls_the_newest_is_asked_first() {
    let mut builder = builder();
    let day = SignedDuration::from_hours(24);
    let old = PKI.intermediate.crl(now()).valid(now() - day * 1000, now() + day * 1000).der();
    let begins = (now() - day * 1000).strftime("%Y%m%d%H%M%SZ").to_string();
    let at = old.windows(begins.len()).position(|window| window == begins.as_bytes()).unwrap();
    for number in 0..100_000_i64 {
        let mut forged = old.clone();
        let begins = (now() - day * 1000 + SignedDuration::from_secs(number)).strftime("%Y%m%d%H%M%SZ").to_string();
        forged[at..at + begins.len()].copy_from_slice(begins.as_bytes());
        builder.add_crls(&forged).unwrap();
    }
    builder.add_crls(&PKI.intermediate_crl()).unwrap();
    let anchors = builder.build();
    assert!(anchors.crl_count() >= 100_000);
    let took = verified_in(&anchors, 1);
    assert!(took < PATIENCE, "{took:?}");
}
