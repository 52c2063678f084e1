//! Whether a list may replace the one in force. There is one small function for each rule, in a fixed order.

use std::cmp::Ordering;

use super::list::Succession;
use super::repository::settle;
use super::signer::SignerNames;
use super::{
    AcceptRequest, Acceptance, AcceptedList, Check, DistinguishedName, Fingerprint, Refusal, RefusalReason, Rule,
    Sha256Digest, Signer, VerifiedList,
};
use crate::imagelist::NamedEndorser;
use crate::trust::clock::SKEW;

/// The result of a rule that is not broken.
enum Finding {
    Holds(String),
    NotAsked(String),
}

type RuleFunction = fn(&VerifiedList, &AcceptRequest<'_>) -> Result<Finding, Refusal>;

/// The rules, in the order in which they are checked. The first broken rule is the refusal.
const RULES: [(Rule, RuleFunction); 7] = [
    (Rule::NamedEndorser, names_its_signers),
    (Rule::Identifier, keeps_its_identifier),
    (Rule::Created, is_not_from_the_future),
    (Rule::Expires, has_not_expired),
    (Rule::Age, is_not_stale),
    (Rule::Version, does_not_roll_back),
    (Rule::Replay, is_not_replayed),
];

/// Checks whether a verified list may replace the one in force.
pub fn accept(mut list: VerifiedList, request: &AcceptRequest<'_>) -> Acceptance {
    let mut checks = Vec::new();
    match &list.succession {
        Succession::Whole => {}
        Succession::Tags(_) | Succession::Pinned => {
            let before = comparable(&list, request).map(|last| last.tags.as_slice()).unwrap_or_default();
            let is_taken = is_taken_by_a_person(&list, request);
            settle(&mut list, before, is_taken);
        }
    }
    for (rule, holds) in RULES {
        match holds(&list, request) {
            Ok(Finding::Holds(found)) => checks.push(Check::passed(rule, found)),
            Ok(Finding::NotAsked(why)) => checks.push(Check::not_asked(rule, why)),
            Err(refusal) => {
                checks.push(Check::failed(rule, refusal.to_string()));
                return Acceptance { checks, outcome: Err(refusal) };
            }
        }
    }
    Acceptance { checks, outcome: Ok(AcceptedList { verified: list, accepted: request.now, revoked: Vec::new() }) }
}

/// `hv:dn` and `hv:ca` of `hv:endorser` are the signer's subject and issuer (HEPiX image list format). If more than one
/// endorsement is required, every endorser that the list names must have signed.
///
/// The format has no field for an OpenPGP key. If only OpenPGP keys signed, `hv:endorser` is compared only if its
/// `hv:dn` is a fingerprint (`openpgp4fpr:…`). Other names are not compared, because a name does not identify a key.
fn names_its_signers(verified: &VerifiedList, _: &AcceptRequest<'_>) -> Result<Finding, Refusal> {
    if verified.list.endorsers.is_empty() {
        return Ok(Finding::NotAsked("the source names no endorser".to_owned()));
    }
    let by_certificate = verified.names.iter().any(|names| matches!(names, SignerNames::X509(_)));
    let is_fingerprint = |endorser: &&NamedEndorser| endorser.subject.parse::<Fingerprint>().is_ok();
    let compared = verified.list.endorsers.iter().filter(|named| by_certificate || is_fingerprint(named));
    let named: Vec<&NamedEndorser> = compared.collect();
    if named.is_empty() {
        return Ok(Finding::NotAsked("signed with OpenPGP; hv:dn holds no fingerprint".to_owned()));
    }
    let signed = |endorser: &&NamedEndorser| verified.names.iter().any(|signer| is_named(endorser, signer));
    let absent = named.iter().find(|endorser| !signed(endorser));
    let nobody = !named.iter().any(signed);
    let Some(absent) = absent.filter(|_| nobody || verified.required > 1) else {
        return Ok(Finding::Holds(verified.signers.iter().map(|s| s.subject.as_str()).collect::<Vec<_>>().join(", ")));
    };
    let signers: Vec<String> = verified.signers.iter().map(described).collect();
    let message = format!(
        "expected the signer {} to be named, found hv:dn {} and hv:ca {}",
        signers.join(", "),
        as_name(&absent.subject),
        as_name(&absent.issuer)
    );
    let subject = verified.signers.first().map(|signer| signer.subject.clone()).unwrap_or_default();
    Err(Refusal::new(RefusalReason::EndorserMismatch, message).about(subject, 0))
}

/// A text of the list, parsed as a name so that it can be compared with the signer's name. Invisible characters are
/// escaped.
fn as_name(text: &str) -> String {
    let fingerprint = || text.parse::<Fingerprint>().map(|read| read.as_name());
    text.parse::<DistinguishedName>().map(|read| read.to_string()).or_else(|_| fingerprint()).unwrap_or_else(|_| {
        let shown: String = text.chars().take(200).collect();
        format!("{shown:?}, which is no name")
    })
}

fn described(signer: &Signer) -> String {
    let Signer { subject, issuer, .. } = signer;
    if issuer.is_empty() { subject.clone() } else { format!("{subject} (issuer {issuer})") }
}

/// Names are compared as lists of RDNs. A text that is not a name matches no signer.
fn is_named(endorser: &NamedEndorser, signer: &SignerNames) -> bool {
    let is = |text: &str, name: &DistinguishedName| text.parse::<DistinguishedName>().is_ok_and(|read| read == *name);
    match signer {
        SignerNames::X509(signer) => is(&endorser.subject, &signer.subject) && is(&endorser.issuer, &signer.issuer),
        SignerNames::OpenPgp(fingerprints) => endorser.subject.parse().is_ok_and(|named| fingerprints.contains(&named)),
        SignerNames::Cosign => false,
    }
}

/// `dc:identifier` must be the identifier in the subscription's `verify.identifier`. If that is not set, it must be the
/// identifier of the list in force.
fn keeps_its_identifier(verified: &VerifiedList, request: &AcceptRequest<'_>) -> Result<Finding, Refusal> {
    let found = &verified.list.identifier;
    let expected = request.identifier.or(request.last.map(|last| &last.identifier));
    match expected {
        None => Ok(Finding::NotAsked(format!("{found}, no identifier is expected yet"))),
        Some(expected) if expected == found => Ok(Finding::Holds(found.to_string())),
        Some(expected) => {
            let message = format!("expected dc:identifier {expected}, found {found}");
            Err(Refusal::new(RefusalReason::IdentifierMismatch, message))
        }
    }
}

/// A list is valid from `dc:date:created` (HEPiX image list format). A clock difference of up to [`SKEW`] is allowed.
fn is_not_from_the_future(verified: &VerifiedList, request: &AcceptRequest<'_>) -> Result<Finding, Refusal> {
    let created = verified.list.created;
    if created.duration_since(request.now) > SKEW {
        let message = format!("expected a list that exists already, found dc:date:created {created}, which lies ahead");
        return Err(Refusal::new(RefusalReason::CreatedInFuture, message));
    }
    Ok(Finding::Holds(created.to_string()))
}

/// A list is valid until `dc:date:expires` (HEPiX image list format).
fn has_not_expired(verified: &VerifiedList, request: &AcceptRequest<'_>) -> Result<Finding, Refusal> {
    let expires = verified.list.expires;
    if expires <= request.now {
        let message = format!("expected a list that has not expired, found dc:date:expires {expires}");
        return Err(Refusal::new(RefusalReason::ListExpired, message));
    }
    Ok(Finding::Holds(expires.to_string()))
}

/// `verify.maxListAge`: the site's limit on the age of a list.
fn is_not_stale(verified: &VerifiedList, request: &AcceptRequest<'_>) -> Result<Finding, Refusal> {
    let Some(most) = request.max_list_age else { return Ok(Finding::NotAsked("no greatest age is set".to_owned())) };
    let age = request.now.duration_since(verified.list.created);
    if age >= most {
        let message = format!("expected a list younger than {most:#}, found dc:date:created {}", verified.list.created);
        return Err(Refusal::new(RefusalReason::ListStale, message));
    }
    Ok(Finding::Holds(format!("{age:#} of {most:#}")))
}

/// `hv:version` must not decrease (vmcatcher: `new version is older`), unless `verify.acceptList` names this message.
fn does_not_roll_back(verified: &VerifiedList, request: &AcceptRequest<'_>) -> Result<Finding, Refusal> {
    let found = &verified.list.version;
    let Some(last) = comparable(verified, request) else {
        return Ok(Finding::NotAsked(format!("{found}, the first one")));
    };
    if let Some(finding) = each_tag_goes_on(verified, last) {
        return finding;
    }
    if found.compare(&last.version) != Ordering::Less {
        return Ok(Finding::Holds(format!("{found} after {}", last.version)));
    }
    if is_taken_by_a_person(verified, request) {
        return Ok(Finding::Holds(format!("{found} after {}, taken by acceptList", last.version)));
    }
    let message = format!("expected hv:version {} or newer, found {found}", last.version);
    Err(Refusal::new(RefusalReason::VersionRollback, message))
}

/// The tags of a repository were compared one by one, and those that went back are refused images. If no image is left,
/// the list is refused. `None` if the list must be compared as a whole, also because no tags are remembered.
fn each_tag_goes_on(verified: &VerifiedList, last: &super::LastAccepted) -> Option<Result<Finding, Refusal>> {
    match &verified.succession {
        Succession::Pinned => Some(Ok(Finding::NotAsked("the subscription names the digest".to_owned()))),
        Succession::Tags(_) if !last.tags.is_empty() => Some(match verified.list.refused.first() {
            Some(refused) if verified.list.images.is_empty() => {
                Err(Refusal::new(RefusalReason::VersionRollback, refused.message.clone()))
            }
            Some(_) | None => Ok(Finding::Holds("each tag by the time of its artefact".to_owned())),
        }),
        Succession::Whole | Succession::Tags(_) => None,
    }
}

/// Vmcatcher accepted an older signed list again if its version was the same. Here a message of the same version must
/// not be older, and it must be newer if its text differs. A message of a higher version must not have been created
/// before the list in force; that is possible only if `acceptList` accepted a list of a lower version in between. A
/// text that was withdrawn because its signer was revoked is refused if the same signer signed it, even if a later CRL
/// no longer lists the signer.
fn is_not_replayed(verified: &VerifiedList, request: &AcceptRequest<'_>) -> Result<Finding, Refusal> {
    let created = verified.list.created;
    let Some(last) = comparable(verified, request) else { return Ok(Finding::NotAsked("the first one".to_owned())) };
    if let Some(finding) = each_tag_goes_on(verified, last) {
        return finding;
    }
    let same_version = verified.list.version.compare(&last.version) == Ordering::Equal;
    let other_text = verified.payload != last.payload;
    let older = created < last.created || (same_version && other_text && created == last.created);
    let withdrawn = !other_text && left(verified, last) < verified.required;
    if !(older || withdrawn) || is_taken_by_a_person(verified, request) {
        return Ok(Finding::Holds(if other_text { format!("created {created}") } else { "the same list".to_owned() }));
    }
    let text = match (other_text, withdrawn) {
        (true, _) => "another text",
        (false, true) => "the text that was withdrawn when its signer was revoked",
        (false, false) => "the same text",
    };
    let after = last.created;
    let message = format!("expected a list created after {after}, found dc:date:created {created} with {text}");
    Err(Refusal::new(RefusalReason::Replay, message))
}

/// The number of signers that have not been revoked since they signed the list in force.
fn left(verified: &VerifiedList, last: &super::LastAccepted) -> usize {
    let revoked = |certificate: &&Sha256Digest| last.revoked.iter().any(|one| one.certificate == **certificate);
    verified.certificates.iter().filter(|certificate| !revoked(certificate)).count()
}

/// The list in force, if it has the same identifier. The versions of another list are not comparable.
fn comparable<'a>(verified: &VerifiedList, request: &AcceptRequest<'a>) -> Option<&'a super::LastAccepted> {
    request.last.filter(|last| last.identifier == verified.list.identifier)
}

/// Whether `verify.acceptList` names this message by its digest.
fn is_taken_by_a_person(verified: &VerifiedList, request: &AcceptRequest<'_>) -> bool {
    request.accept_list == Some(verified.message)
}
