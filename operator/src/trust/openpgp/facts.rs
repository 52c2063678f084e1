//! What the signatures of OpenPGP say: digest, times, flags, and whether they may be believed at all.

use jiff::Timestamp;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureVersion, SubpacketData};

/// The weak digest of a signature, by name; `None` for SHA-2 and better. Those that no policy allows have a name, too.
pub(super) fn weak_digest(algorithm: HashAlgorithm) -> Option<&'static str> {
    match algorithm {
        HashAlgorithm::Sha224
        | HashAlgorithm::Sha256
        | HashAlgorithm::Sha384
        | HashAlgorithm::Sha512
        | HashAlgorithm::Sha3_256
        | HashAlgorithm::Sha3_512 => None,
        HashAlgorithm::Sha1 => Some("SHA-1"),
        HashAlgorithm::Md5 => Some("MD5"),
        HashAlgorithm::Ripemd160 => Some("RIPEMD-160"),
        _ => Some("a digest that is not known"),
    }
}

/// A time of OpenPGP: seconds since 1970, without a zone.
pub(super) fn timestamp(time: pgp::types::Timestamp) -> Timestamp {
    Timestamp::from_second(i64::from(time.as_secs())).unwrap_or(Timestamp::MAX)
}

/// A time that is told as so many seconds after another; none, and 0, say that it never comes (RFC 9580 sections
/// 5.2.3.13 and 5.2.3.18).
pub(super) fn after(begin: Timestamp, seconds: Option<pgp::types::Duration>) -> Option<Timestamp> {
    let seconds = std::time::Duration::from(seconds?).as_secs();
    let end = jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    (seconds > 0).then(|| begin.checked_add(end).unwrap_or(Timestamp::MAX))
}

/// When a signature was made and when it ends, where it is one that may be judged: version 4 or 6, with its time, and
/// without anything critical that is not understood (RFC 9580 section 5.2.3.7).
pub(super) fn times(signature: &Signature) -> Result<(Timestamp, Option<Timestamp>), String> {
    let version = signature.version();
    let config = match (signature.config(), version) {
        (Some(config), SignatureVersion::V4 | SignatureVersion::V6) => config,
        (_, other) => return Err(format!("a signature of version {}, expected 4 or 6", u8::from(other))),
    };
    let unknown = |data: &SubpacketData| {
        matches!(data, SubpacketData::Notation(_) | SubpacketData::Experimental(..) | SubpacketData::Other(..))
    };
    if config.hashed_subpackets().any(|subpacket| subpacket.is_critical && unknown(&subpacket.data)) {
        return Err("a signature with something critical that is not understood".to_owned());
    }
    let created = config.created().ok_or("a signature that does not say when it was made")?;
    let created = timestamp(created);
    Ok((created, after(created, signature.signature_expiration_time())))
}

/// Whether the key may sign texts, where the signature says what it may do.
pub(super) fn may_sign(signature: &Signature) -> Option<bool> {
    signature.config()?.hashed_subpackets().find_map(|subpacket| match &subpacket.data {
        SubpacketData::KeyFlags(flags) => Some(flags.sign()),
        _ => None,
    })
}

/// Whom a self-signature lets revoke the key (RFC 9580 section 5.2.3.23), as the bytes of their fingerprints.
pub(super) fn revokers(signature: &Signature) -> Vec<Vec<u8>> {
    let subpackets = signature.config().map(|config| config.hashed_subpackets.as_slice()).unwrap_or_default();
    let revoker = |data: &SubpacketData| match data {
        SubpacketData::RevocationKey(revoker) => Some(revoker.fingerprint.to_vec()),
        _ => None,
    };
    subpackets.iter().filter_map(|subpacket| revoker(&subpacket.data)).collect()
}
