//! A list in force is verified again on each pass: what somebody says takes it out, what is missing freezes it.

use harness::pki::Reason;
use harness::signer::{Form, sign, sign_as};
use jiff::SignedDuration;
use vmcatcher_operator::trust::{
    Anchors, EndorserRule, LastAccepted, RefusalReason, Standing, TrustLevel, VerifyRequest, accept, standing, verify,
};

use super::{PKI, anchors, ask_nothing, endorser, list_of, now, request};

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

fn shown(standing: &Standing) -> String {
    match standing {
        Standing::InForce(_) => "InForce".to_owned(),
        Standing::Frozen(_, refusal) => format!("Frozen {}", refusal.reason),
        Standing::Withdrawn(_, refusal) => format!("Withdrawn {}", refusal.reason),
        Standing::Broken(refusal) => format!("Broken {}", refusal.reason),
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
        let stands = standing(&message, &last, &request(&anchors, &endorsers, 1));
        assert_eq!(shown(&stands), expected, "{case}");
        if let Standing::Frozen(list, _) | Standing::Withdrawn(list, _) | Standing::InForce(list) = stands {
            assert_eq!(list.last_accepted(), last, "{case}");
        }
    }
}

#[test]
fn the_dates_of_certificates_are_those_of_the_acceptance() {
    let (message, last) = accepted();
    let later = now() + SignedDuration::from_hours(24 * 365 * 2);
    let crls = [PKI.root.crl(later).der(), PKI.intermediate.crl(later).der()];
    let (anchors, endorsers) = (with_crls(&crls, true), [endorser("erin", &PKI.endorser)]);
    let request = VerifyRequest { at: later, ..request(&anchors, &endorsers, 1) };
    assert_eq!(shown(&standing(&message, &last, &request)), "InForce");
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
        ("hold", vec![with(TrustLevel::Hold)], "Frozen EndorserNotTrusted"),
        ("hold of the credential", vec![of_credential(TrustLevel::Hold)], "Frozen EndorserNotTrusted"),
        ("revoked", vec![with(TrustLevel::Revoked)], "Withdrawn EndorserNotTrusted"),
        ("credential revoked", vec![of_credential(TrustLevel::Revoked)], "Withdrawn EndorserNotTrusted"),
        ("revoked by another", vec![erin(), with(TrustLevel::Revoked)], "Withdrawn EndorserNotTrusted"),
    ];
    for (case, endorsers, expected) in table {
        assert_eq!(shown(&standing(&message, &last, &request(&anchors, &endorsers, 1))), expected, "{case}");
    }
    let revoked = with_crls(&[PKI.root_crl(), PKI.intermediate_crl()], false);
    let gone_and_revoked = [with(TrustLevel::Revoked)];
    let stands = standing(&message, &last, &request(&revoked, &gone_and_revoked, 1));
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
        assert_eq!(shown(&standing(&message, &last, &request(&anchors, &revoked(index), 1))), "InForce");
        let stands = standing(&message, &last, &request(&anchors, &revoked(index), 2));
        assert_eq!(shown(&stands), "Withdrawn EndorserNotTrusted");
    }
}

#[test]
fn other_bytes_than_those_accepted_are_broken() {
    let (message, last) = accepted();
    let (anchors, endorsers) = (anchors(), [endorser("erin", &PKI.endorser)]);
    let request = request(&anchors, &endorsers, 1);
    let other = harness::list::ListBuilder::new("other", now()).endorser(&PKI.endorser).json();
    let other = sign(&other, &PKI.endorser, Form::Detached);
    assert_eq!(shown(&standing(&other, &last, &request)), "Broken SignatureInvalid");
    assert_eq!(shown(&standing(&message[..message.len() / 2], &last, &request)), "Broken SignatureInvalid");
    assert_eq!(shown(&standing(b"", &last, &request)), "Broken Unsigned");
    let again = sign(&list_of(&PKI.endorser), &PKI.endorser, Form::Opaque);
    assert_eq!(shown(&standing(&again, &last, &request)), "InForce", "the same list in another form");
}
