//! Every defect: reason, subject and depth tell each from the others.

use harness::list::ListBuilder;
use harness::pki::{CertificateSpec, Identity, Pki, Reason};
use harness::signer::{Form, sign, sign_as};
use jiff::SignedDuration;
use vmcatcher_operator::trust::{
    AlgorithmPolicy, Anchors, CredentialKind, CrlPolicy, EndorserRule, Purpose, Refusal, RefusalReason, TrustLevel,
    VerifiedList, accept, verify,
};

use super::{PKI, anchors, ask_nothing, credential, endorser, list_of, now, request, told, verdict};

/// Reason, common name of the one to blame, depth.
type Told<'a> = (&'a str, &'a str, Option<u32>);

/// Which CRLs there are, how they are asked, and what comes out; `None` is a list that is taken.
type CrlCase<'a> = (&'a str, Vec<&'a Vec<u8>>, CrlPolicy, Option<(&'a str, (&'a str, Option<u32>))>);

/// What one signer's list is told, with everything in its place.
fn signed_by(identity: &Identity) -> Result<VerifiedList, Refusal> {
    verdict(&sign(&list_of(identity), identity, Form::Detached), &[endorser("only", identity)])
}

fn with_crls(crls: &[Vec<u8>], crl_policy: CrlPolicy) -> Result<VerifiedList, Refusal> {
    let mut builder = Anchors::builder();
    builder.add_certificates(&PKI.root.certificate.to_pem().unwrap()).unwrap();
    for crl in crls {
        builder.add_crls(crl).unwrap();
    }
    let message = sign(&list_of(&PKI.endorser), &PKI.endorser, Form::Opaque);
    let endorsers = [EndorserRule { crl_policy, ..endorser("erin", &PKI.endorser) }];
    verify(&message, &request(&builder.build(), &endorsers, 1)).outcome
}

fn assert_told(case: &str, outcome: Result<VerifiedList, Refusal>, expected: Told<'_>) {
    let refusal = outcome.expect_err(case);
    let told = told(&refusal);
    assert_eq!((told.0.as_str(), told.1.as_str(), told.2), expected, "{case}: {refusal}");
}

#[test]
fn signers_with_something_wrong() {
    assert!(signed_by(&PKI.endorser).is_ok());
    assert!(signed_by(&PKI.direct).is_ok());
    let table: [(&Identity, Told<'_>); 9] = [
        (&PKI.stranger, ("IssuerUnknown", "Sid Stranger", Some(0))),
        (&PKI.expired, ("CertificateExpired", "Eve Expired", Some(0))),
        (&PKI.not_yet_valid, ("CertificateNotYetValid", "Nora Notyet", Some(0))),
        (&PKI.revoked, ("CertificateRevoked", "Rita Revoked", Some(0))),
        (&PKI.superseded, ("CertificateRevoked", "Sue Superseded", Some(0))),
        (&PKI.host, ("PurposeMismatch", "lists.example.org", Some(0))),
        (&PKI.encryption_only, ("PurposeMismatch", "Olga Onlyencrypts", Some(0))),
        (&PKI.weak, ("DigestNotAllowed", "Will Weak", Some(0))),
        (&PKI.proxy, ("ProxyCertificate", "1234567890", Some(0))),
    ];
    for (identity, expected) in table {
        assert_told(expected.1, signed_by(identity), expected);
    }
}

/// An authority below the root with something wrong, and a good endorser below it.
#[test]
fn authorities_with_something_wrong() {
    let day = SignedDuration::from_hours(24);
    let below = |authority: &Identity| authority.issue(&CertificateSpec::person("/DC=org/CN=Below", now()));
    let spec = || CertificateSpec::authority("/DC=org/DC=example/CN=Old CA", now());
    let expired = below(&PKI.root.issue(&spec().valid(now() - day * 9, now() - day)));
    assert_told("expired", signed_by(&expired), ("CertificateExpired", "Old CA", Some(1)));
    let future = below(&PKI.root.issue(&spec().valid(now() + day, now() + day * 9)));
    assert_told("future", signed_by(&future), ("CertificateNotYetValid", "Old CA", Some(1)));
    let weak = below(&PKI.root.issue(&spec().signed_over(openssl::hash::MessageDigest::sha1())));
    assert_told("SHA-1", signed_by(&weak), ("DigestNotAllowed", "Old CA", Some(1)));
    let no_authority = below(&PKI.endorser);
    assert_told("no CA", signed_by(&no_authority), ("IssuerUnknown", "Erin Endorser", Some(1)));
    let impostor = PKI.impostor.issue(&CertificateSpec::person("/DC=org/CN=Below", now()));
    assert_told("another root of that name", signed_by(&impostor), ("IssuerUnknown", "Below", Some(0)));
    let mut without_chain = PKI.endorser.clone();
    without_chain.chain.clear();
    assert_told("no intermediate", signed_by(&without_chain), ("IssuerUnknown", "Erin Endorser", Some(0)));
}

#[test]
fn crls_with_something_wrong() {
    use CrlPolicy::{IfPresent, Ignore, Require};
    let hour = SignedDuration::from_hours(1);
    let (root, below) = (PKI.root_crl(), PKI.intermediate_crl());
    let crl = || PKI.intermediate.crl(now());
    let old = crl().valid(now() - hour * 9, now() - hour).der();
    let future = crl().valid(now() + hour, now() + hour * 9).der();
    let foreign = crl().signed_by(&PKI.stranger).der();
    let revoked = PKI.root.crl(now()).revoke(&PKI.intermediate, Some(Reason::CaCompromise)).der();
    let stale_revoked = crl().valid(now() - hour * 9, now() - hour).revoke(&PKI.endorser, None).der();
    let released = crl().revoke(&PKI.endorser, Some(Reason::RemoveFromCrl)).der();
    let users_only = PKI.root.crl(now()).extension("2.5.29.28", true, &[0x30, 3, 0x81, 1, 0xff]).der();
    let erin = ("Erin Endorser", Some(0));
    let table: Vec<CrlCase<'_>> = vec![
        ("both", vec![&root, &below], Require, None),
        ("none", vec![], Require, Some(("CRLMissing", erin))),
        ("none, none asked", vec![], IfPresent, None),
        ("the root's only", vec![&root], Require, Some(("CRLMissing", erin))),
        ("the root's only, if present", vec![&root], IfPresent, None),
        ("the issuer's only", vec![&below], Require, Some(("CRLMissing", ("Issuing CA", Some(1))))),
        ("old", vec![&root, &old], Require, Some(("CRLExpired", erin))),
        ("old, if present", vec![&root, &old], IfPresent, Some(("CRLExpired", erin))),
        ("old and new", vec![&root, &old, &below], Require, None),
        ("future", vec![&root, &future], Require, Some(("CRLNotYetValid", erin))),
        ("future and now", vec![&root, &future, &below], Require, None),
        ("foreign signature", vec![&root, &foreign], Require, Some(("CRLInvalid", erin))),
        ("foreign signature, if present", vec![&root, &foreign], IfPresent, Some(("CRLInvalid", erin))),
        ("foreign signature, ignored", vec![&root, &foreign], Ignore, None),
        ("foreign beside a good one", vec![&root, &foreign, &below], Require, None),
        (
            "revoked intermediate",
            vec![&revoked, &below],
            Require,
            Some(("CertificateRevoked", ("Issuing CA", Some(1)))),
        ),
        (
            "revoked intermediate, if present",
            vec![&revoked],
            IfPresent,
            Some(("CertificateRevoked", ("Issuing CA", Some(1)))),
        ),
        (
            "revoked, issuer's CRL missing",
            vec![&revoked],
            Require,
            Some(("CertificateRevoked", ("Issuing CA", Some(1)))),
        ),
        ("revoked, ignored", vec![&revoked, &below], Ignore, None),
        ("revoked on an old CRL", vec![&root, &stale_revoked], Require, Some(("CertificateRevoked", erin))),
        ("released", vec![&root, &released], Require, None),
        (
            "the root's speaks of users only",
            vec![&users_only, &below],
            Require,
            Some(("CRLInvalid", ("Issuing CA", Some(1)))),
        ),
    ];
    for (case, crls, policy, expected) in table {
        let crls: Vec<Vec<u8>> = crls.into_iter().cloned().collect();
        let outcome = with_crls(&crls, policy);
        match expected {
            None => assert!(outcome.is_ok(), "{case}: {}", outcome.unwrap_err()),
            Some((reason, (name, depth))) => assert_told(case, outcome, (reason, name, depth)),
        }
    }
}

#[test]
fn crls_that_cannot_be_used_are_refused_when_they_are_loaded() {
    let crl = || PKI.intermediate.crl(now());
    let cases = [
        ("delta", crl().extension("2.5.29.27", true, &[2, 1, 1]).der()),
        ("unknown critical extension", crl().extension("1.2.3.4", true, &[5, 0]).der()),
        ("indirect", crl().extension("2.5.29.28", true, &[0x30, 3, 0x84, 1, 0xff]).der()),
        ("some reasons", crl().extension("2.5.29.28", true, &[0x30, 4, 0x83, 2, 1, 6]).der()),
        ("cut off", crl().der()[..200].to_vec()),
        ("garbage", b"garbage".to_vec()),
    ];
    for (case, bytes) in cases {
        assert!(Anchors::builder().add_crls(&bytes).is_err(), "{case}");
    }
    assert_eq!(Anchors::builder().add_crls(&crl().pem()), Ok(1));
}

#[test]
fn a_host_certificate_signs_where_its_credential_allows_any_purpose() {
    let message = sign(&list_of(&PKI.host), &PKI.host, Form::Detached);
    let mut rule = endorser("host", &PKI.host);
    let CredentialKind::X509 { purpose, .. } = &mut rule.credentials[0].kind else { panic!("a certificate") };
    *purpose = Purpose::Any;
    assert!(verdict(&message, &[rule.clone()]).is_ok());
    let refusal = verdict(&message, &[endorser("host", &PKI.host)]).unwrap_err();
    assert!(refusal.message.contains("emailProtection") && refusal.message.contains("serverAuth"), "{refusal}");
    let encrypts = sign(&list_of(&PKI.encryption_only), &PKI.encryption_only, Form::Detached);
    let mut any = endorser("olga", &PKI.encryption_only);
    let CredentialKind::X509 { purpose, .. } = &mut any.credentials[0].kind else { panic!("a certificate") };
    *purpose = Purpose::Any;
    assert_told("key usage", verdict(&encrypts, &[any]), ("PurposeMismatch", "Olga Onlyencrypts", Some(0)));
    let below = PKI.endorser.issue(&CertificateSpec::person("/DC=org/CN=Below", now()));
    let mut any = endorser("below", &below);
    let CredentialKind::X509 { purpose, .. } = &mut any.credentials[0].kind else { panic!("a certificate") };
    *purpose = Purpose::Any;
    let message = sign(&list_of(&below), &below, Form::Der);
    assert_told("no CA", verdict(&message, &[any]), ("IssuerUnknown", "Erin Endorser", Some(1)));
}

#[test]
fn several_signers_count_once_each_and_one_bad_signature_spoils_the_message() {
    let text = list_of(&PKI.endorser);
    let both = sign_as(&text, &[&PKI.endorser, &PKI.second], Form::Detached, "sha256");
    let (erin, sam) = (endorser("erin", &PKI.endorser), endorser("sam", &PKI.second));
    let anchors = anchors();
    let ask = |message: &[u8], endorsers: &[EndorserRule], required| {
        verify(message, &request(&anchors, endorsers, required)).outcome
    };
    let list = ask(&both, &[erin.clone(), sam.clone()], 2).unwrap();
    assert_eq!(list.signers().len(), 2);
    assert_told(
        "one of two",
        ask(&both, std::slice::from_ref(&erin), 2),
        ("EndorsementsMissing", "Sam Second", Some(0)),
    );
    assert!(ask(&both, std::slice::from_ref(&sam), 1).is_ok(), "one who is trusted is enough where one is asked for");
    let twice = EndorserRule { name: "erin-too".to_owned(), ..erin.clone() };
    let alone = sign(&text, &PKI.endorser, Form::Detached);
    assert_told(
        "one name in two endorsers",
        ask(&alone, &[erin.clone(), twice.clone()], 2),
        ("EndorsementsMissing", "", None),
    );
    let renewed = PKI.intermediate.issue(&CertificateSpec::person(harness::pki::ENDORSER, now()));
    let signed_twice = sign_as(&text, &[&PKI.endorser, &renewed], Form::Detached, "sha256");
    assert_told(
        "signed twice",
        ask(&signed_twice, &[erin.clone(), twice.clone()], 2),
        ("EndorsementsMissing", "", None),
    );
    let both_of_one =
        EndorserRule { credentials: vec![credential(&PKI.endorser), credential(&PKI.second)], ..erin.clone() };
    assert_told(
        "two credentials of one",
        ask(&both, std::slice::from_ref(&both_of_one), 2),
        ("EndorsementsMissing", "", None),
    );
    assert_eq!(ask(&both, &[both_of_one, twice], 2).unwrap().signers().len(), 2, "the one that fits both makes room");
    let spoiled = forge_second_signature(&text);
    assert_told("one bad", ask(&spoiled, &[erin], 1), ("SignatureInvalid", "Sam Second", Some(0)));
}

/// A message of two signatures, the last octet of the second's changed.
fn forge_second_signature(text: &[u8]) -> Vec<u8> {
    let mut message = sign_as(text, &[&PKI.endorser, &PKI.second], Form::Der, "sha256");
    let position = (0..message.len()).rev().find(|index| {
        let mut changed = message.clone();
        changed[*index] ^= 1;
        let refusal = verdict(&changed, &[]).unwrap_err();
        refusal.reason == RefusalReason::SignatureInvalid && told(&refusal).1 == "Sam Second"
    });
    message[position.unwrap()] ^= 1;
    message
}

#[test]
fn a_key_under_two_names_is_one_signer() {
    let alias = CertificateSpec::person("/DC=org/CN=Alias", now()).key(&PKI.endorser.key);
    let alias = PKI.intermediate.issue(&alias);
    let message = sign_as(&list_of(&PKI.endorser), &[&PKI.endorser, &alias], Form::Detached, "sha256");
    let endorsers = [endorser("erin", &PKI.endorser), endorser("alias", &alias)];
    let outcome = verify(&message, &request(&anchors(), &endorsers, 2)).outcome;
    assert_told("one key", outcome, ("EndorsementsMissing", "", None));
}

#[test]
fn trust_levels_are_kept() {
    let message = sign(&list_of(&PKI.endorser), &PKI.endorser, Form::Detached);
    for (level, reason) in [(TrustLevel::Hold, "EndorserOnHold"), (TrustLevel::Revoked, "EndorserNotTrusted")] {
        let whole = EndorserRule { trust: level, ..endorser("erin", &PKI.endorser) };
        let mut one = endorser("erin", &PKI.endorser);
        one.credentials[0].trust = level;
        for rule in [whole, one] {
            let refusal = verdict(&message, &[rule]).unwrap_err();
            assert_eq!(told(&refusal), (reason.to_owned(), "Erin Endorser".to_owned(), Some(0)));
            assert_eq!(refusal.is_statement(), level == TrustLevel::Revoked);
        }
    }
    let revoked = [credential(&PKI.endorser).kind];
    let (anchors, endorsers) = (anchors(), [endorser("erin", &PKI.endorser)]);
    let mut request = request(&anchors, &endorsers, 1);
    request.revoked = &revoked;
    let refusal = verify(&message, &request).outcome.unwrap_err();
    assert!(refusal.is_statement(), "revoked by another endorser: {refusal}");
}

#[test]
fn sha1_is_taken_only_where_it_is_listed() {
    let message = sign_as(&list_of(&PKI.weak), &[&PKI.weak], Form::Detached, "sha1");
    let (anchors, endorsers) = (anchors(), [endorser("will", &PKI.weak)]);
    let mut request = request(&anchors, &endorsers, 1);
    assert_told("not listed", verify(&message, &request).outcome, ("DigestNotAllowed", "Will Weak", Some(0)));
    request.algorithms = AlgorithmPolicy { allow_sha1: true, ..AlgorithmPolicy::default() };
    assert!(verify(&message, &request).outcome.is_ok());
    request.algorithms = AlgorithmPolicy { allow_md5: true, ..AlgorithmPolicy::default() };
    assert!(verify(&message, &request).outcome.is_err());
}

/// A digest by a number that nobody gave out: OpenSSL would fail too, and lose memory each time (found by fuzzing).
#[test]
fn a_digest_that_is_not_known_is_no_signature() {
    let message = sign(&list_of(&PKI.endorser), &PKI.endorser, Form::Der);
    let sha256 = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
    let mut unknown = message;
    for start in 0..unknown.len() - sha256.len() {
        if unknown[start..].starts_with(&sha256) {
            unknown[start + 8] = 0x63;
        }
    }
    let outcome = verdict(&unknown, &[endorser("erin", &PKI.endorser)]);
    assert!(outcome.as_ref().unwrap_err().message.contains("a digest that is not known"), "{outcome:?}");
    assert_told("unknown", outcome, ("SignatureInvalid", "Erin Endorser", Some(0)));
}

#[test]
fn hv_endorser_must_name_the_signer() {
    let other = sign(&list_of(&PKI.second), &PKI.endorser, Form::Detached);
    let list = verdict(&other, &[endorser("erin", &PKI.endorser)]).unwrap();
    let refusal = accept(list, &ask_nothing()).outcome.unwrap_err();
    assert_eq!(told(&refusal), ("EndorserMismatch".to_owned(), "Erin Endorser".to_owned(), Some(0)));
}

/// An array of endorsers: one of them is enough for one endorsement; for more, each who is named must have signed.
#[test]
fn everyone_whom_a_list_names_must_sign_where_more_than_one_is_required() {
    let named = |identities: &[&Identity]| {
        let list = ListBuilder::new(super::IDENTIFIER, now()).images(1);
        identities.iter().fold(list, |list, identity| list.endorser(identity)).json()
    };
    let endorsers = [endorser("erin", &PKI.endorser), endorser("sam", &PKI.second)];
    let ask = |text: &[u8], required| {
        let message = sign_as(text, &[&PKI.endorser, &PKI.second], Form::Detached, "sha256");
        let list = verify(&message, &request(&anchors(), &endorsers, required)).outcome.unwrap();
        accept(list, &ask_nothing()).outcome.map(|_| ()).map_err(|refusal| refusal.reason.as_str())
    };
    assert_eq!(ask(&named(&[&PKI.endorser, &PKI.second]), 2), Ok(()));
    assert_eq!(ask(&named(&[&PKI.endorser]), 2), Ok(()), "a second signature needs no name in the list");
    assert_eq!(ask(&named(&[&PKI.endorser, &PKI.direct]), 1), Ok(()));
    assert_eq!(ask(&named(&[&PKI.endorser, &PKI.direct]), 2), Err("EndorserMismatch"));
    assert_eq!(ask(&named(&[&PKI.direct]), 1), Err("EndorserMismatch"));
}

#[test]
fn another_infrastructure_of_the_same_names_is_a_stranger() {
    let twin = Pki::at(now());
    let outcome =
        verdict(&sign(&list_of(&twin.endorser), &twin.endorser, Form::Detached), &[endorser("e", &PKI.endorser)]);
    assert_eq!(told(&outcome.unwrap_err()).0, "IssuerUnknown");
}
