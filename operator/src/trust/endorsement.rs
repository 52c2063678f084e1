//! Which signers are trusted, and for which endorser each of them counts.

use jiff::Timestamp;

use super::certificate::Certificate;
use super::chain::Path;
use super::signer::{AuthenticatedSigner, SignerNames};
use super::weak_digest::{allowed, describe_digests};
use super::{
    AlgorithmPolicy, Anchors, Check, Credential, CredentialKind, CrlPolicy, EndorserPolicy, EndorserRule, Purpose,
    Refusal, RefusalReason, Rule, Signer, SignerName, TrustLevel, VerifyRequest, openpgp, revocation, strength,
};

/// The times of the checks: certificate dates are checked at `path`, revocation at `crls`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) path: Timestamp,
    pub(super) crls: Timestamp,
}

/// A credential that matches a signer, and the settings for its path validation.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    endorser: Option<(usize, &'a EndorserRule, &'a Credential)>,
    anchors: &'a Anchors,
    crl_policy: CrlPolicy,
    purpose: Purpose,
}

/// The result of checking a signer against one candidate.
#[derive(Debug)]
pub(super) struct Judgement<'a> {
    pub(super) signer: &'a AuthenticatedSigner,
    candidate: Candidate<'a>,
    checks: Vec<Check>,
    /// Whether the signature counts.
    pub(super) outcome: Result<(), Refusal>,
    /// When the certificate or the key expires.
    ends: Option<Timestamp>,
}

/// Signatures of one person: with the same name, or with the same key. They count once.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) judgements: Vec<Judgement<'a>>,
}

/// Checks every signer against each credential that it matches.
pub(super) fn judge<'a>(
    signers: &'a [AuthenticatedSigner],
    request: &VerifyRequest<'a>,
    times: Times,
) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for signer in signers {
        let judged =
            candidates(signer, request).into_iter().map(|candidate| judge_one(signer, candidate, request, times));
        let same = |group: &&mut Group<'a>| group.judgements.iter().any(|other| signer.is_same(other.signer));
        match groups.iter_mut().find(same) {
            Some(group) => group.judgements.extend(judged),
            None => groups.push(Group { judgements: judged.collect() }),
        }
    }
    groups
}

/// The credentials that match the signer's names. If there is none, the signer is checked without one, so that the
/// first broken rule is reported.
fn candidates<'a>(signer: &AuthenticatedSigner, request: &VerifyRequest<'a>) -> Vec<Candidate<'a>> {
    let anyone =
        |crl_policy| Candidate { endorser: None, anchors: request.anchors, crl_policy, purpose: Purpose::default() };
    match request.policy {
        EndorserPolicy::NotAsked { crl_policy } | EndorserPolicy::AutoEndorse { crl_policy, .. } => {
            vec![anyone(crl_policy)]
        }
        EndorserPolicy::Enforce { endorsers, .. } => {
            let mut found = Vec::new();
            for (index, rule) in endorsers.iter().enumerate() {
                for credential in rule.credentials.iter().filter(|credential| credential.kind.names(signer)) {
                    let purpose = match &credential.kind {
                        CredentialKind::X509 { purpose, .. } => *purpose,
                        CredentialKind::OpenPgp(_) | CredentialKind::Cosign(_) => Purpose::default(),
                    };
                    let anchors = rule.anchors.as_deref().unwrap_or(request.anchors);
                    let endorser = Some((index, rule, credential));
                    found.push(Candidate { endorser, anchors, crl_policy: rule.crl_policy, purpose });
                }
            }
            if found.is_empty() { vec![anyone(CrlPolicy::Require)] } else { found }
        }
    }
}

/// Checks the rules for one signer, in order.
fn judge_one<'a>(
    signer: &'a AuthenticatedSigner,
    candidate: Candidate<'a>,
    request: &VerifyRequest<'a>,
    times: Times,
) -> Judgement<'a> {
    let mut checks = Vec::new();
    let outcome = judge_steps(signer, candidate, request, times, &mut checks);
    if let Err((rule, refusal)) = &outcome {
        checks.push(Check::failed(*rule, format!("{}: {}", refusal.reason, refusal.message)));
    }
    let ends = outcome.as_ref().ok().copied().flatten().or_else(|| signer.certificate_end());
    Judgement { signer, candidate, checks, outcome: outcome.map(|_| ()).map_err(|(_, refusal)| refusal), ends }
}

fn judge_steps(
    signer: &AuthenticatedSigner,
    candidate: Candidate<'_>,
    request: &VerifyRequest<'_>,
    times: Times,
    checks: &mut Vec<Check>,
) -> Result<Option<Timestamp>, (Rule, Refusal)> {
    let ends = match signer {
        AuthenticatedSigner::X509 { certificate, carried, weak_digests } => {
            let algorithms = (weak_digests.as_slice(), request.algorithms);
            certificate_steps(certificate, carried, algorithms, candidate, times, checks)?;
            None
        }
        AuthenticatedSigner::OpenPgp(signer) => {
            let credential = candidate.endorser.map(|(_, _, credential)| &credential.kind);
            openpgp::judge(signer, credential, request.algorithms, times, checks)?
        }
        AuthenticatedSigner::Cosign(key) => {
            let weak = |why| (Rule::Strength, Refusal::new(RefusalReason::KeyTooWeak, why).about(key.as_name(), 0));
            key.judged().reaches(request.algorithms.weakest_key).map_err(weak)?;
            checks.push(Check::passed(Rule::Strength, format!("{} or more", request.algorithms.weakest_key)));
            None
        }
    };
    let check = trusted(signer, candidate, request).map_err(|refusal| (Rule::Endorser, refusal))?;
    checks.push(check);
    Ok(ends)
}

fn certificate_steps(
    certificate: &Certificate,
    carried: &[Certificate],
    algorithms: (&[&'static str], AlgorithmPolicy),
    candidate: Candidate<'_>,
    times: Times,
    checks: &mut Vec<Check>,
) -> Result<(), (Rule, Refusal)> {
    let signature = signature_algorithms(certificate, algorithms, checks);
    let path = Path::build(certificate, carried, candidate.anchors, candidate.purpose, times.path);
    let path = match (path, signature) {
        (Ok(path), Ok(())) => path,
        (Err(refusal), Ok(())) => return Err((Rule::Chain, refusal)),
        (Err(_), Err(outdated)) => return Err(outdated),
        (Ok(path), Err(outdated)) => return Err(said(&path, candidate, times).unwrap_or(outdated)),
    };
    path_algorithms(&path, algorithms.1, times, checks)
        .map_err(|outdated| said(&path, candidate, times).unwrap_or(outdated))?;
    let found = revocation::check(&path, candidate.anchors, candidate.crl_policy, times.crls)
        .map_err(|refusal| (Rule::Revocation, refusal))?;
    checks.push(match candidate.crl_policy {
        CrlPolicy::Ignore => Check::not_asked(Rule::Revocation, found),
        CrlPolicy::Require | CrlPolicy::IfPresent => Check::passed(Rule::Revocation, found),
    });
    let found = path.keeps_to_namespaces(candidate.anchors).map_err(|refusal| (Rule::Namespace, refusal))?;
    checks.push(match found {
        Some(found) => Check::passed(Rule::Namespace, found),
        None => Check::not_asked(Rule::Namespace, "there are no signing policies for these anchors"),
    });
    Ok(())
}

/// Checks the digests of the signature and the strength of the signer's key.
fn signature_algorithms(
    certificate: &Certificate,
    (weak_digests, policy): (&[&'static str], AlgorithmPolicy),
    checks: &mut Vec<Check>,
) -> Result<(), (Rule, Refusal)> {
    allowed(weak_digests, policy, &certificate.shown(), 0).map_err(|refusal| (Rule::Digest, refusal))?;
    checks.push(Check::passed(Rule::Digest, describe_digests(weak_digests)));
    strength::strong(certificate, 0, policy.weakest_key).map_err(|refusal| (Rule::Strength, refusal))
}

/// Checks the digests and the keys of the CAs' signatures.
fn path_algorithms(
    path: &Path,
    policy: AlgorithmPolicy,
    times: Times,
    checks: &mut Vec<Check>,
) -> Result<(), (Rule, Refusal)> {
    path.digests_are_allowed(policy).map_err(|refusal| (Rule::Digest, refusal))?;
    checks.push(Check::passed(Rule::Chain, describe_path(path, times.path)));
    path.keys_are_strong(policy).map_err(|refusal| (Rule::Strength, refusal))?;
    checks.push(Check::passed(Rule::Strength, format!("{} or more", policy.weakest_key)));
    Ok(())
}

/// A revocation of a certificate of the path by its CA. It takes precedence over a refusal about weak algorithms: a
/// revocation withdraws a list that was accepted under a weaker rule, while a weak algorithm only freezes it.
fn said(path: &Path, candidate: Candidate<'_>, times: Times) -> Option<(Rule, Refusal)> {
    let found = revocation::check(path, candidate.anchors, candidate.crl_policy, times.crls);
    found.err().filter(Refusal::is_statement).map(|refusal| (Rule::Revocation, refusal))
}

fn describe_path(path: &Path, at: Timestamp) -> String {
    let names: Vec<String> = path.certificates().iter().map(Certificate::shown).collect();
    format!("{} (valid at {at})", names.join(" ← "))
}

/// Whether the subscription trusts the signer.
fn trusted(
    signer: &AuthenticatedSigner,
    candidate: Candidate<'_>,
    request: &VerifyRequest<'_>,
) -> Result<Check, Refusal> {
    if let Some(refusal) = revoked_by_a_person(signer, candidate, request) {
        return Err(refusal);
    }
    let shown = signer.shown();
    let refused = |why: String| Refusal::new(RefusalReason::EndorserNotTrusted, why).about(shown.clone(), 0);
    match (request.policy, candidate.endorser) {
        (EndorserPolicy::NotAsked { .. }, _) => Ok(Check::not_asked(Rule::Endorser, format!("signed by {shown}"))),
        (EndorserPolicy::AutoEndorse { pinned: None, .. }, _) => {
            Ok(Check::passed(Rule::Endorser, format!("{shown} is the first signer that was seen")))
        }
        (EndorserPolicy::AutoEndorse { pinned: Some(pinned), .. }, _) => {
            if matches!(signer.names(), SignerNames::X509(names) if names == *pinned && !pinned.subject.is_empty()) {
                return Ok(Check::passed(Rule::Endorser, format!("{shown} is the signer that was seen first")));
            }
            let SignerName { subject, issuer } = pinned;
            let found = signer.described();
            Err(refused(format!("expected {subject} (issuer {issuer}), who signed first, found {found}")))
        }
        (EndorserPolicy::Enforce { endorsers, .. }, None) => {
            let expected = closest(endorsers, signer).unwrap_or_else(|| "an endorser, and there is none".to_owned());
            Err(refused(format!("expected a credential of {expected}, found {}", signer.described())))
        }
        (EndorserPolicy::Enforce { .. }, Some((_, rule, credential))) => {
            if rule.trust == TrustLevel::Trusted && credential.trust == TrustLevel::Trusted {
                return Ok(Check::passed(Rule::Endorser, format!("{shown} is {}/{}", rule.name, credential.name)));
            }
            let why = format!("expected a trusted endorser, found {}/{} on hold", rule.name, credential.name);
            Err(Refusal::new(RefusalReason::EndorserOnHold, why).about(shown, 0))
        }
    }
}

/// The names of the endorsers, and the credential whose name has the longest common prefix with the signer's name. If a
/// name is misspelt, it is the credential that was meant.
fn closest(endorsers: &[EndorserRule], signer: &AuthenticatedSigner) -> Option<String> {
    let found = signer.described();
    let alike = |text: &str| text.bytes().zip(found.bytes()).take_while(|(one, other)| one == other).count();
    let credentials = endorsers.iter().flat_map(|rule| &rule.credentials);
    let nearest = credentials.map(|credential| credential.kind.to_string()).max_by_key(|shown| alike(shown));
    let names: Vec<&str> = endorsers.iter().map(|rule| rule.name.as_str()).collect();
    let several = endorsers.iter().map(|rule| rule.credentials.len()).sum::<usize>() > 1;
    let nearest = nearest.map(|shown| format!(", {}{shown}", if several { "such as " } else { "which is " }));
    (!names.is_empty()).then(|| format!("{}{}", names.join(", "), nearest.unwrap_or_default()))
}

/// The refusal if an administrator revoked the signer: the endorser or the credential is revoked, or another endorser
/// marks this credential as revoked.
fn revoked_by_a_person(
    signer: &AuthenticatedSigner,
    candidate: Candidate<'_>,
    request: &VerifyRequest<'_>,
) -> Option<Refusal> {
    let says_so = |rule: &EndorserRule| rule.revoked_credentials().any(|kind| kind.names(signer));
    let elsewhere =
        request.revoked.iter().any(|kind| kind.names(signer)) || request.policy.endorsers().iter().any(says_so);
    let of = match candidate.endorser {
        Some((_, rule, credential)) if rule.trust == TrustLevel::Revoked || credential.trust == TrustLevel::Revoked => {
            format!("{}/{} is revoked", rule.name, credential.name)
        }
        Some(_) | None if elsewhere => "an endorser calls this credential revoked".to_owned(),
        Some(_) | None => return None,
    };
    Some(Refusal::new(RefusalReason::EndorserNotTrusted, of).about(signer.shown(), 0).stated())
}

impl<'a> Judgement<'a> {
    /// The refusal if an administrator revoked this signer, regardless of other failures.
    pub(super) fn revoked_by_a_person(&self, request: &VerifyRequest<'a>) -> Option<Refusal> {
        revoked_by_a_person(self.signer, self.candidate, request)
    }

    /// The index of the endorser that this counts for. It is 0 if no endorser is required.
    fn place(&self) -> usize {
        self.candidate.endorser.map_or(0, |(index, _, _)| index)
    }

    /// The signer as it is written to the status.
    pub(super) fn signer(&self) -> Signer {
        let credential = self.candidate.endorser.map(|(_, _, credential)| credential);
        let (subject, issuer) = self.signer.status_names(credential.map(|credential| &credential.kind));
        Signer {
            endorser: self.candidate.endorser.map(|(_, rule, _)| rule.name.clone()),
            credential: credential.map(|credential| credential.name.clone()),
            subject,
            issuer,
            not_after: self.ends,
        }
    }

    /// The number of checks that were made. More checks mean a later failure.
    fn progress(&self) -> usize {
        self.checks.len()
    }
}

impl<'a> Group<'a> {
    /// The judgement to report: one that holds, or else the one that failed last in the order of the rules.
    pub(super) fn best(&self) -> Option<&Judgement<'a>> {
        let good = self.judgements.iter().find(|judgement| judgement.outcome.is_ok());
        good.or_else(|| self.judgements.iter().rev().max_by_key(|judgement| judgement.progress()))
    }
}

/// Assigns each group that holds to one endorser, as many groups as possible. Different endorsers need different
/// signatures.
pub(super) fn assign<'j, 'a>(groups: &'j [Group<'a>]) -> Vec<&'j Judgement<'a>> {
    let mut taken: Vec<(usize, usize, &'j Judgement<'a>)> = Vec::new();
    for group in 0..groups.len() {
        place(groups, group, &mut taken, &mut Vec::new());
    }
    taken.sort_by_key(|(_, group, _)| *group);
    taken.into_iter().map(|(_, _, judgement)| judgement).collect()
}

/// Finds an endorser for one group. Groups that already have one are moved if they match another (augmenting paths).
fn place<'j, 'a>(
    groups: &'j [Group<'a>],
    group: usize,
    taken: &mut Vec<(usize, usize, &'j Judgement<'a>)>,
    tried: &mut Vec<usize>,
) -> bool {
    for judgement in groups[group].judgements.iter().filter(|judgement| judgement.outcome.is_ok()) {
        let endorser = judgement.place();
        if tried.contains(&endorser) {
            continue;
        }
        tried.push(endorser);
        let holder = taken.iter().position(|(place, _, _)| *place == endorser);
        match holder.map(|index| taken[index].1) {
            None => {
                taken.push((endorser, group, judgement));
                return true;
            }
            Some(other) => {
                if place(groups, other, taken, tried) {
                    taken.retain(|(place, of, _)| !(*place == endorser && *of == other));
                    taken.push((endorser, group, judgement));
                    return true;
                }
            }
        }
    }
    false
}

/// Adds the checks of each signer. If there are several signers, each check contains the signer's name.
pub(super) fn tell(groups: &[Group<'_>], checks: &mut Vec<Check>) {
    for judgement in groups.iter().filter_map(Group::best) {
        checks.extend(judgement.checks.iter().cloned().map(|mut check| {
            if groups.len() > 1 {
                check.found = format!("{}: {}", judgement.signer.shown(), check.found);
            }
            check
        }));
    }
}

/// The refusal if too few endorsers signed.
pub(super) fn missing(groups: &[Group<'_>], counted: &[&Judgement<'_>], required: usize) -> Refusal {
    let refusal = furthest_refused(groups).and_then(|judgement| judgement.outcome.as_ref().err());
    match (refusal, counted.is_empty()) {
        (Some(refusal), true) => refusal.clone(),
        (refusal, _) => {
            let names: Vec<String> = counted.iter().map(|judgement| judgement.signer.shown()).collect();
            let others =
                refusal.map(|r| format!("; not counted: {} ({})", r.subject.as_deref().unwrap_or("?"), r.reason));
            let message = format!(
                "expected signatures of {required} different endorsers, found {} ({}){}",
                counted.len(),
                names.join(", "),
                others.unwrap_or_default()
            );
            let mut missing = Refusal::new(RefusalReason::EndorsementsMissing, message);
            if let Some(refusal) = refusal {
                (missing.subject, missing.depth) = (refusal.subject.clone(), refusal.depth);
            }
            missing
        }
    }
}

/// The refused judgement that failed last in the order of the rules; the first of equal ones.
fn furthest_refused<'j, 'a>(groups: &'j [Group<'a>]) -> Option<&'j Judgement<'a>> {
    let refused = groups.iter().filter_map(Group::best).filter(|judgement| judgement.outcome.is_err());
    refused.reduce(|best, next| if next.progress() > best.progress() { next } else { best })
}
