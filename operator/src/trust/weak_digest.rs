//! Whether a policy allows weak digests, and how they are reported.

use super::{AlgorithmPolicy, Refusal, RefusalReason};

/// Allows SHA-2 and better. SHA-1 and MD5 are allowed only if the policy allows them.
pub(super) fn allowed(weak: &[&'static str], policy: AlgorithmPolicy, shown: &str, depth: u32) -> Result<(), Refusal> {
    let forbidden = |name: &&&str| match **name {
        "SHA-1" => !policy.allow_sha1,
        "MD5" => !policy.allow_md5,
        _ => true,
    };
    match weak.iter().find(forbidden) {
        None => Ok(()),
        Some(name) => {
            let reason = weak_reason(name);
            Err(Refusal::new(reason, format!("expected SHA-2 or better, found {name}")).about(shown, depth))
        }
    }
}

/// The refusal reason for a weak digest. SHA-1 is costly to forge; MD5 and older digests are not.
pub(super) fn weak_reason(name: &str) -> RefusalReason {
    if name.starts_with("MD") { RefusalReason::DigestBroken } else { RefusalReason::DigestNotAllowed }
}

pub(super) fn describe_digests(weak: &[&'static str]) -> String {
    if weak.is_empty() { "SHA-2 or better".to_owned() } else { format!("{}, which is allowed here", weak.join(", ")) }
}
