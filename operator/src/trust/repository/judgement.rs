//! Whether one tag is endorsed.

use crate::imagelist::oci::{RepositoryMessage, TaggedManifest};
use crate::trust::cosign::evidence;
use crate::trust::endorsement::{self, Group, Times};
use crate::trust::signer::{AuthenticatedSigner, SignerNames};
use crate::trust::{CosignKey, Refusal, Sha256Digest, Signer, VerifyRequest};

/// The result for one tag.
pub(super) enum Judged {
    /// Enough different endorsers signed it.
    Endorsed(Vec<Endorsement>),
    /// They did not.
    Refused(Refusal),
}

/// A signature that counts.
pub(super) struct Endorsement {
    pub(super) signer: Signer,
    pub(super) names: SignerNames,
    pub(super) key: Sha256Digest,
}

/// Judges one tag. The refusal is a statement if signers were revoked and too few are left.
pub(super) fn judge(
    message: &RepositoryMessage,
    tagged: &TaggedManifest,
    keys: &[CosignKey],
    request: &VerifyRequest<'_>,
) -> Judged {
    let signed = match evidence(tagged, &message.repository, keys) {
        Ok(signed) => signed,
        Err(refusal) => return Judged::Refused(refusal),
    };
    let signers: Vec<AuthenticatedSigner> = signed.into_iter().map(AuthenticatedSigner::Cosign).collect();
    let groups = endorsement::judge(&signers, request, Times { path: request.at, crls: request.at });
    let (counted, required) = (endorsement::assign(&groups), request.policy.required());
    if counted.len() >= required {
        let counted = counted.iter().map(|one| Endorsement {
            signer: one.signer(),
            names: one.signer.names(),
            key: one.signer.digest(),
        });
        return Judged::Endorsed(counted.collect());
    }
    let statements: Vec<Refusal> = groups.iter().filter_map(|group| statement(group, request)).collect();
    let left = groups.len() - statements.len();
    match statements.into_iter().next() {
        Some(refusal) if left < required => Judged::Refused(refusal),
        Some(_) | None => Judged::Refused(endorsement::missing(&groups, &counted, required)),
    }
}

fn statement(group: &Group<'_>, request: &VerifyRequest<'_>) -> Option<Refusal> {
    group.judgements.iter().find_map(|judgement| judgement.revoked_by_a_person(request))
}
