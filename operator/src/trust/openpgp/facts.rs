//! The fields of OpenPGP signatures: digest, times, flags, and whether the signature can be used at all.

use jiff::Timestamp;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureVersion, SubpacketData};

/// The name of the weak digest of a signature; `None` for SHA-2 and better. Digests that no policy allows have a name,
/// too.
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

/// Converts an OpenPGP time, in seconds since 1970 in UTC.
pub(super) fn timestamp(time: pgp::types::Timestamp) -> Timestamp {
    Timestamp::from_second(i64::from(time.as_secs())).unwrap_or(Timestamp::MAX)
}

/// The time that is a number of seconds after another. `None` if there is no number or it is 0, which means that there
/// is no expiry (RFC 9580 sections 5.2.3.13 and 5.2.3.18).
pub(super) fn after(begin: Timestamp, seconds: Option<pgp::types::Duration>) -> Option<Timestamp> {
    let seconds = std::time::Duration::from(seconds?).as_secs();
    let end = jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    (seconds > 0).then(|| begin.checked_add(end).unwrap_or(Timestamp::MAX))
}

/// The creation and expiry times of a signature. An error if it cannot be used: it must be of version 4 or 6, have a
/// creation time, and have no critical subpacket that is unknown (RFC 9580 section 5.2.3.7).
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

/// Whether the key may sign texts; `None` if the signature has no key flags.
pub(super) fn may_sign(signature: &Signature) -> Option<bool> {
    signature.config()?.hashed_subpackets().find_map(|subpacket| match &subpacket.data {
        SubpacketData::KeyFlags(flags) => Some(flags.sign()),
        _ => None,
    })
}

/// The designated revokers in a self-signature (RFC 9580 section 5.2.3.23), as the bytes of their fingerprints.
pub(super) fn revokers(signature: &Signature) -> Vec<Vec<u8>> {
    let subpackets = signature.config().map(|config| config.hashed_subpackets.as_slice()).unwrap_or_default();
    let revoker = |data: &SubpacketData| match data {
        SubpacketData::RevocationKey(revoker) => Some(revoker.fingerprint.to_vec()),
        _ => None,
    };
    subpackets.iter().filter_map(|subpacket| revoker(&subpacket.data)).collect()
}
