//! Lists that were really published (tests/data/imagelists/ORIGIN.md): file by time by CRL mode.

use std::path::PathBuf;

use vmcatcher_operator::imagelist::ListFormat;
use vmcatcher_operator::trust::{
    AcceptRequest, AlgorithmPolicy, Anchors, CrlPolicy, EndorserPolicy, VerifyRequest, accept, verify,
};

fn file(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/imagelists").join(name)).unwrap()
}

/// The reason, and the subject and depth where a certificate is to blame.
fn verdict(name: &str, at: &str, crl_policy: CrlPolicy, algorithms: AlgorithmPolicy, with_authority: bool) -> String {
    let mut anchors = Anchors::builder();
    if with_authority {
        anchors.add_certificates(&file("cloudkeeper-2016-ca-457f896a.0")).unwrap();
    }
    let anchors = anchors.build();
    let at = at.parse().unwrap();
    let policy = EndorserPolicy::NotAsked { crl_policy };
    let request = VerifyRequest {
        anchors: &anchors,
        policy,
        revoked: &[],
        algorithms,
        format: &ListFormat::Hepix,
        wanted: None,
        at,
    };
    let ask = AcceptRequest { identifier: None, last: None, max_list_age: None, accept_list: None, now: at };
    match verify(&file(name), &request).outcome.and_then(|list| accept(list, &ask).outcome) {
        Ok(list) => format!("accepted {}", list.list().identifier),
        Err(refusal) => refusal.reason.as_str().to_owned(),
    }
}

#[test]
fn the_verdict_of_each_real_list() {
    use CrlPolicy::{IfPresent, Ignore, Require};
    let strict = AlgorithmPolicy::default();
    let old = AlgorithmPolicy { allow_sha1: true, ..AlgorithmPolicy::default() };
    let (then, now, signed) = ("2017-01-01T00:00:00Z", "2026-11-22T00:00:00Z", "2011-06-02T12:00:00Z");
    let table = [
        ("hepixvmitrust.json", now, Require, strict, "Unsigned"),
        ("hepixvmitrust-before-the-format.json", now, Require, strict, "Unsigned"),
        ("appdb-shape.json", now, Ignore, strict, "Unsigned"),
        ("gridka-2011-06-02.smime", signed, Require, strict, "DigestNotAllowed"),
        ("gridka-2011-06-02.smime", signed, Ignore, strict, "DigestNotAllowed"),
        ("gridka-2011-06-02.smime", signed, Require, old, "IssuerUnknown"),
        ("gridka-2011-06-02.smime", signed, Ignore, old, "IssuerUnknown"),
        ("gridka-2011-06-02.smime", now, IfPresent, old, "IssuerUnknown"),
        ("cloudkeeper-2016-invalid.smime", then, Require, strict, "MessageDigestMismatch"),
        ("cloudkeeper-2016-invalid.smime", now, Ignore, strict, "MessageDigestMismatch"),
    ];
    for (name, at, crls, algorithms, expected) in table {
        assert_eq!(verdict(name, at, crls, algorithms, true), expected, "{name} at {at}, CRLs {crls:?}");
    }
    for name in ["cloudkeeper-2016-01.smime", "cloudkeeper-2016-03.smime"] {
        for (at, crls, expected) in [
            (then, Require, "CRLMissing"),
            (then, IfPresent, "EndorserMismatch"),
            (then, Ignore, "EndorserMismatch"),
            (now, Require, "CertificateExpired"),
            (now, IfPresent, "CertificateExpired"),
            (now, Ignore, "CertificateExpired"),
            ("2016-10-12T00:00:00Z", Ignore, "CertificateNotYetValid"),
        ] {
            assert_eq!(verdict(name, at, crls, strict, true), expected, "{name} at {at}, CRLs {crls:?}");
        }
        assert_eq!(verdict(name, then, Ignore, strict, false), "IssuerUnknown", "{name} without its anchor");
    }
}
