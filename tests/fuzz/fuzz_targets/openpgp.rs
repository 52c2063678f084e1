//! OpenPGP: messages in every form, detached signatures and public keys; any bytes are a verdict, never a panic.
#![no_main]

use std::num::NonZeroUsize;

use libfuzzer_sys::fuzz_target;
use vmcatcher_operator::imagelist::ListFormat;
use vmcatcher_operator::trust::{
    Anchors, Credential, CredentialKind, CrlPolicy, AlgorithmPolicy, EndorserPolicy, EndorserRule, OpenPgpCredential,
    PublicKey, SignedMessage, TrustLevel, VerifyRequest, join_detached, verify,
};

/// The key of the seeds.
const KEY: &[u8] = include_bytes!("../seeds/openpgp.key.asc");

fuzz_target!(|bytes: &[u8]| {
    let mut keys = PublicKey::read_all(KEY).expect("the seeds' key");
    let given = PublicKey::read_all(bytes).unwrap_or_default();
    keys.extend(given.iter().cloned());
    let at = jiff::Timestamp::from_second(1_780_000_000).expect("a time");
    let credential = |key: &std::sync::Arc<PublicKey>| Credential {
        name: "key".to_owned(),
        trust: TrustLevel::Trusted,
        kind: CredentialKind::OpenPgp(OpenPgpCredential {
            fingerprint: key.fingerprint().clone(),
            key: Ok(key.clone()),
        }),
    };
    let endorsers = [EndorserRule {
        name: "endorser".to_owned(),
        trust: TrustLevel::Trusted,
        crl_policy: CrlPolicy::Ignore,
        anchors: None,
        credentials: keys.iter().map(credential).collect(),
    }];
    let anchors = Anchors::default();
    let request = VerifyRequest {
        anchors: &anchors,
        policy: EndorserPolicy::Enforce { endorsers: &endorsers, required: NonZeroUsize::MIN },
        revoked: &[],
        algorithms: AlgorithmPolicy { allow_sha1: true, allow_md5: true, ..AlgorithmPolicy::default() },
        format: &ListFormat::Hepix,
        wanted: None,
        at,
    };
    let _ = verify(bytes, &request);
    let _ = verify(&join_detached(b"{}", &[bytes.to_vec()]), &request);
    let _ = SignedMessage::read(bytes).and_then(SignedMessage::into_payload);
    for key in &given {
        let _ = key.good_until(key.fingerprint(), at);
    }
});
