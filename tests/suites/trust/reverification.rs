//! A list in force is verified again on each pass: what somebody says takes it out, what is missing freezes it.

use harness::list::ListBuilder;
use harness::pki::{CertificateSpec, Reason};
use harness::signer::{Form, sign, sign_as};
use jiff::SignedDuration;
use vmcatcher_operator::trust::{
    AcceptRequest, Anchors, EndorserRule, LastAccepted, RefusalReason, Reverification, Sha256Digest, TrustLevel,
    VerifyRequest, accept, reverify, verify,
};

use super::{IDENTIFIER, PKI, anchors, ask_nothing, endorser, list_of, now, request};

/// A list of the endorser that was accepted, and what was remembered of it.
fn accepted() -> (Vec<u8>, LastAccepted) {
    let message = sign(&list_of(&PKI.endorser), &PKI.endorser, Form::Detached);
    let (anchors, endorsers) = (anchors(), [endorser("erin", &PKI.endorser)]);
    let list = verify(&message, &request(&anchors, &endorsers, 1)).outcome.unwrap();
    let list = accept(list, &ask_nothing()).outcome.unwrap();
    let remembered = list.last_accepted();
    let written = serde_json::to_string(&remembered).unwrap();
    assert_eq!(serde_json::from_str::<LastAccepted>(&written).unwrap(), remembered);
    (message, remembered)
}

fn with_crls(crls: &[Vec<u8>], with_root: bool) -> Anchors {
    let mut builder = Anchors::builder();
    if with_root {
        builder.add_certificates(&PKI.root.certificate.to_pem().unwrap()).unwrap();
    }
    for crl in crls {
        builder.add_crls(crl).unwrap();
    }
    builder.build()
}

fn shown(standing: &Reverification) -> String {
    match standing {
        Reverification::InForce(_) => "InForce".to_owned(),
        Reverification::Frozen(_, refusal) => format!("Frozen {}", refusal.reason),
        Reverification::Withdrawn(_, refusal) => format!("Withdrawn {}", refusal.reason),
        Reverification::Broken(refusal) => format!("Broken {}", refusal.reason),
    }
}

#[test]
fn what_a_ca_says_later() {
    let (message, last) = accepted();
    let hour = SignedDuration::from_hours(1);
    let revoked = |reason| vec![PKI.root_crl(), PKI.intermediate.crl(now()).revoke(&PKI.endorser, reason).der()];
    let good = vec![PKI.root_crl(), PKI.intermediate_crl()];
    let old = vec![PKI.root_crl(), PKI.intermediate.crl(now()).valid(now() - hour * 9, now() - hour).der()];
    let table = [
        ("nothing", good.clone(), true, "InForce"),
        ("revoked", revoked(None), true, "Withdrawn CertificateRevoked"),
        ("key compromise", revoked(Some(Reason::KeyCompromise)), true, "Withdrawn CertificateRevoked"),
        ("on hold", revoked(Some(Reason::CertificateHold)), true, "Withdrawn CertificateRevoked"),
        ("superseded", revoked(Some(Reason::Superseded)), true, "Frozen CertificateRevoked"),
        ("out of operation", revoked(Some(Reason::CessationOfOperation)), true, "Frozen CertificateRevoked"),
        ("affiliation", revoked(Some(Reason::AffiliationChanged)), true, "Frozen CertificateRevoked"),
        ("CRL gone", vec![PKI.root_crl()], true, "Frozen CRLMissing"),
        ("CRL old", old, true, "Frozen CRLExpired"),
        ("anchor gone", good, false, "Frozen IssuerUnknown"),
    ];
    for (case, crls, with_root, expected) in table {
        let (anchors, endorsers) = (with_crls(&crls, with_root), [endorser("erin", &PKI.endorser)]);
        let stands = reverify(&message, &last, &request(&anchors, &endorsers, 1));
        assert_eq!(shown(&stands), expected, "{case}");
        if let Reverification::Frozen(list, _) | Reverification::Withdrawn(list, _) | Reverification::InForce(list) =
            stands
        {
            let LastAccepted { revoked, .. } = list.last_accepted();
            assert_eq!(revoked.len(), usize::from(expected.starts_with("Withdrawn")), "{case}");
            assert_eq!(LastAccepted { revoked: Vec::new(), ..list.last_accepted() }, last, "{case}");
        }
    }
}

/// What is remembered of a list after it was judged under these CRLs.
fn judged(message: &[u8], last: &LastAccepted, crls: &[Vec<u8>]) -> (String, LastAccepted) {
    let (anchors, endorsers) = (with_crls(crls, true), [endorser("erin", &PKI.endorser)]);
    let stands = reverify(message, last, &request(&anchors, &endorsers, 1));
    let told = shown(&stands);
    match stands {
        Reverification::InForce(stored) | Reverification::Frozen(stored, _) | Reverification::Withdrawn(stored, _) => {
            (told, stored.last_accepted())
        }
        Reverification::Broken(refusal) => panic!("{refusal}"),
    }
}

/// A CA may drop a certificate from its CRL once it has expired (RFC 5280 section 3.3): what was withdrawn must not
/// stand again then. That a certificate went out of use is no accusation, and is not remembered.
#[test]
fn what_a_ca_said_once_counts_from_then_on() {
    let (message, last) = accepted();
    let (root, below) = (PKI.root_crl(), PKI.intermediate_crl());
    let leaf = |reason| vec![root.clone(), PKI.intermediate.crl(now()).revoke(&PKI.endorser, reason).der()];
    let authority = PKI.root.crl(now()).revoke(&PKI.intermediate, Some(Reason::CaCompromise)).der();
    let good = [root.clone(), below.clone()];
    let table = [
        ("revoked", leaf(None), "Withdrawn CertificateRevoked"),
        ("on hold", leaf(Some(Reason::CertificateHold)), "Withdrawn CertificateRevoked"),
        ("a CA above", vec![authority, below.clone()], "Withdrawn CertificateRevoked"),
        ("superseded", leaf(Some(Reason::Superseded)), "InForce"),
        ("nothing", good.to_vec(), "InForce"),
    ];
    for (case, crls, later) in table {
        let (_, remembered) = judged(&message, &last, &crls);
        let written = serde_json::to_string(&remembered).unwrap();
        let remembered: LastAccepted = serde_json::from_str(&written).unwrap();
        let (told, again) = judged(&message, &remembered, &good);
        assert_eq!(told, later, "{case}");
        assert_eq!(again, remembered, "{case}: nothing is forgotten");
        assert_eq!(judged(&message, &remembered, &[]).0.starts_with("Withdrawn"), later.starts_with("With"), "{case}");
    }
    let (_, remembered) = judged(&message, &last, &leaf(None));
    let [revoked] = remembered.revoked.as_slice() else { panic!("{remembered:?}") };
    assert_eq!((revoked.depth, revoked.seen), (0, now()));
    assert!(revoked.subject.ends_with("CN=Erin Endorser"), "{revoked:?}");
}

/// Of a list that two signed, the one who was revoked first does not count again when the other is revoked too.
#[test]
fn who_was_revoked_does_not_count_again() {
    let message = sign_as(&list_of(&PKI.endorser), &[&PKI.endorser, &PKI.second], Form::Detached, "sha256");
    let endorsers = [endorser("erin", &PKI.endorser), endorser("sam", &PKI.second)];
    let anchors = anchors();
    let verified = verify(&message, &request(&anchors, &endorsers, 1)).outcome.unwrap();
    let last = accept(verified, &ask_nothing()).outcome.unwrap().last_accepted();
    let ask = |last: &LastAccepted, identity| {
        let crl = PKI.intermediate.crl(now()).revoke(identity, Some(Reason::KeyCompromise)).der();
        reverify(&message, last, &request(&with_crls(&[PKI.root_crl(), crl], true), &endorsers, 1))
    };
    let Reverification::InForce(stored) = ask(&last, &PKI.endorser) else { panic!("one is left") };
    let remembered = LastAccepted { revoked: stored.revoked().to_vec(), ..last.clone() };
    assert_eq!(shown(&ask(&last, &PKI.second)), "InForce");
    assert_eq!(shown(&ask(&remembered, &PKI.second)), "Withdrawn CertificateRevoked");
}

/// Only a newer list, or another certificate, brings back what was withdrawn; or a person.
#[test]
fn what_brings_a_withdrawn_list_back() {
    let (message, last) = accepted();
    let crl = PKI.intermediate.crl(now()).revoke(&PKI.endorser, Some(Reason::CertificateHold)).der();
    let (_, last) = judged(&message, &last, &[PKI.root_crl(), crl]);
    let renewed = PKI.intermediate.issue(&CertificateSpec::person(harness::pki::ENDORSER, now()));
    let newer = ListBuilder::new(IDENTIFIER, now()).endorser(&PKI.endorser).images(2).version("9.9").json();
    let take = |message: &[u8], accept_list| {
        let (anchors, endorsers) = (anchors(), [endorser("erin", &PKI.endorser)]);
        let verified = verify(message, &request(&anchors, &endorsers, 1)).outcome.unwrap();
        let request = AcceptRequest { last: Some(&last), accept_list, ..ask_nothing() };
        accept(verified, &request).outcome.map(|list| list.revoked().len()).map_err(|refusal| refusal.to_string())
    };
    let again = sign(&list_of(&PKI.endorser), &PKI.endorser, Form::Opaque);
    for same in [&message, &again] {
        let refused = take(same, None).unwrap_err();
        assert!(refused.starts_with("Replay: ") && refused.contains("was withdrawn"), "{refused}");
    }
    assert_eq!(take(&again, Some(Sha256Digest::of(&again))), Ok(0), "a person takes it");
    assert_eq!(take(&sign(&list_of(&PKI.endorser), &renewed, Form::Opaque), None), Ok(0), "a new certificate");
    assert_eq!(take(&sign(&newer, &PKI.endorser, Form::Opaque), None), Ok(0), "released, and a newer list");
}

#[test]
fn the_dates_of_certificates_are_those_of_the_acceptance() {
    let (message, last) = accepted();
    let later = now() + SignedDuration::from_hours(24 * 365 * 2);
    let crls = [PKI.root.crl(later).der(), PKI.intermediate.crl(later).der()];
    let (anchors, endorsers) = (with_crls(&crls, true), [endorser("erin", &PKI.endorser)]);
    let request = VerifyRequest { at: later, ..request(&anchors, &endorsers, 1) };
    assert_eq!(shown(&reverify(&message, &last, &request)), "InForce");
    assert_eq!(verify(&message, &request).outcome.unwrap_err().reason, RefusalReason::CertificateExpired);
}

#[test]
fn what_people_say_later() {
    let (message, last) = accepted();
    let anchors = anchors();
    let erin = || endorser("erin", &PKI.endorser);
    let with = |trust| EndorserRule { trust, ..erin() };
    let of_credential = |trust| {
        let mut rule = erin();
        rule.credentials[0].trust = trust;
        rule
    };
    let table = [
        ("nothing", vec![erin()], "InForce"),
        ("the endorser is gone", vec![], "Frozen EndorserNotTrusted"),
        ("the credential is gone", vec![endorser("erin", &PKI.second)], "Frozen EndorserNotTrusted"),
        ("hold", vec![with(TrustLevel::Hold)], "Frozen EndorserOnHold"),
        ("hold of the credential", vec![of_credential(TrustLevel::Hold)], "Frozen EndorserOnHold"),
        ("revoked", vec![with(TrustLevel::Revoked)], "Withdrawn EndorserNotTrusted"),
        ("credential revoked", vec![of_credential(TrustLevel::Revoked)], "Withdrawn EndorserNotTrusted"),
        ("revoked by another", vec![erin(), with(TrustLevel::Revoked)], "Withdrawn EndorserNotTrusted"),
    ];
    for (case, endorsers, expected) in table {
        assert_eq!(shown(&reverify(&message, &last, &request(&anchors, &endorsers, 1))), expected, "{case}");
    }
    let revoked = with_crls(&[PKI.root_crl(), PKI.intermediate_crl()], false);
    let gone_and_revoked = [with(TrustLevel::Revoked)];
    let stands = reverify(&message, &last, &request(&revoked, &gone_and_revoked, 1));
    assert_eq!(shown(&stands), "Withdrawn EndorserNotTrusted", "a person's word holds without an anchor too");
}

#[test]
fn of_two_signers_the_one_that_is_left_decides() {
    let text = list_of(&PKI.endorser);
    let message = sign_as(&text, &[&PKI.endorser, &PKI.second], Form::Detached, "sha256");
    let anchors = anchors();
    let endorsers = [endorser("erin", &PKI.endorser), endorser("sam", &PKI.second)];
    let verified = verify(&message, &request(&anchors, &endorsers, 2)).outcome.unwrap();
    let last = accept(verified, &ask_nothing()).outcome.unwrap().last_accepted();
    let revoked = |index: usize| {
        let mut endorsers = endorsers.clone();
        endorsers[index].trust = TrustLevel::Revoked;
        endorsers
    };
    for index in [0, 1] {
        assert_eq!(shown(&reverify(&message, &last, &request(&anchors, &revoked(index), 1))), "InForce");
        let stands = reverify(&message, &last, &request(&anchors, &revoked(index), 2));
        assert_eq!(shown(&stands), "Withdrawn EndorserNotTrusted");
    }
}

#[test]
fn other_bytes_than_those_accepted_are_broken() {
    let (message, last) = accepted();
    let (anchors, endorsers) = (anchors(), [endorser("erin", &PKI.endorser)]);
    let request = request(&anchors, &endorsers, 1);
    let other = ListBuilder::new("other", now()).endorser(&PKI.endorser).json();
    let other = sign(&other, &PKI.endorser, Form::Detached);
    assert_eq!(shown(&reverify(&other, &last, &request)), "Broken MessageDigestMismatch");
    assert_eq!(shown(&reverify(&message[..message.len() / 2], &last, &request)), "Broken SignatureInvalid");
    assert_eq!(shown(&reverify(b"", &last, &request)), "Broken Unsigned");
    let again = sign(&list_of(&PKI.endorser), &PKI.endorser, Form::Opaque);
    assert_eq!(shown(&reverify(&again, &last, &request)), "InForce", "the same list in another form");
}
