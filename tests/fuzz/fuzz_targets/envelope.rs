//! MIME and CMS: any bytes are a verdict, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmcatcher_operator::imagelist::ListFormat;
use vmcatcher_operator::trust::{
    Anchors, CrlPolicy, AlgorithmPolicy, EndorserPolicy, SignedMessage, VerifyRequest, is_encrypted, join_detached, verify,
};

fuzz_target!(|bytes: &[u8]| {
    let anchors = Anchors::default();
    let request = VerifyRequest {
        anchors: &anchors,
        policy: EndorserPolicy::NotAsked { crl_policy: CrlPolicy::Ignore },
        revoked: &[],
        algorithms: AlgorithmPolicy { allow_sha1: true, allow_md5: true, ..AlgorithmPolicy::default() },
        format: &ListFormat::Hepix,
        wanted: None,
        at: jiff::Timestamp::UNIX_EPOCH,
    };
    assert!(verify(bytes, &request).outcome.is_err(), "there is no anchor");
    let _ = is_encrypted(bytes);
    let _ = SignedMessage::read(&join_detached(b"{}", &[bytes.to_vec()]));
});
