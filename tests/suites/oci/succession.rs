//! What a message of a repository may replace, and what a stored one is worth later.

use harness::oci::{Artefact, SigningKey};
use jiff::Timestamp;
use vmcatcher_operator::imagelist::ListFormat;
use vmcatcher_operator::imagelist::oci::{OciRule, TaggedManifest};
use vmcatcher_operator::trust::{AcceptedList, Reverification, TrustLevel};

use super::judge::{Judge, REPOSITORY, ago, disk, endorser, message, shown, signed, tagged};

#[test]
fn a_tag_moves_forward_only() {
    let key = SigningKey::new();
    let judge = Judge::of(vec![endorser("ann", TrustLevel::Trusted, &key)]);
    let of = |one: Timestamp, two: Timestamp| {
        message(vec![signed("a", &disk(one), &[&key]), signed("b", &disk(two), &[&key])])
    };
    let remembered = judge.accepts(&of(ago(4), ago(2)), None).unwrap().last_accepted();
    let moved = judge.accepts(&of(ago(3), ago(2)), Some(&remembered)).unwrap();
    assert_eq!(
        (moved.list().images.len(), moved.list().version.as_str()),
        (2, "20261129100000"),
        "b is the newest still"
    );
    let back = judge.accepts(&of(ago(3), ago(5)), Some(&remembered)).unwrap();
    assert_eq!(back.list().images.len(), 1);
    assert_eq!(back.list().refused[0].reason.as_str(), "VersionRollback", "{}", shown(back.list()));
    assert_eq!(back.list().created, ago(3));
    let later = judge.accepts(&of(ago(3), ago(3)), Some(&back.last_accepted())).unwrap();
    assert_eq!(later.list().refused[0].reason.as_str(), "VersionRollback", "what was accepted is remembered");
    let other = disk(ago(2)).annotated("org.opencontainers.image.revision", "another");
    let replaced = message(vec![signed("a", &disk(ago(4)), &[&key]), signed("b", &other, &[&key])]);
    assert_eq!(judge.accepts(&replaced, Some(&remembered)).unwrap().list().refused[0].reason.as_str(), "Replay");
    let all_back = judge.accepts(&of(ago(9), ago(9)), Some(&remembered)).unwrap_err();
    assert_eq!(all_back.reason.as_str(), "VersionRollback", "{all_back}");
}

#[test]
fn tags_come_and_go_though_nothing_is_newer_and_what_is_gone_stays() {
    let key = SigningKey::new();
    let judge = Judge::of(vec![endorser("ann", TrustLevel::Trusted, &key)]);
    let (old, new) = (signed("a", &disk(ago(4)), &[&key]), signed("b", &disk(ago(2)), &[&key]));
    let older = signed("c", &disk(ago(8)), &[&key]);
    let remembered = judge.accepts(&message(vec![old.clone(), new]), None).unwrap().last_accepted();
    let less = judge.accepts(&message(vec![old.clone()]), Some(&remembered)).unwrap();
    assert_eq!(less.list().created, ago(4), "the newest tag is gone");
    let gone = |list: &AcceptedList| {
        let refused = list.list().refused.iter().map(|one| (one.identifier.clone(), one.reason.as_str()));
        refused.collect::<Vec<_>>()
    };
    let newest = &remembered.tags[0].identifier;
    assert_eq!(gone(&less), [(newest.to_string(), "TagGone")], "no signature says that it is withdrawn");
    let still = judge.accepts(&message(vec![old.clone()]), Some(&less.last_accepted())).unwrap();
    assert_eq!(gone(&still), gone(&less));
    let narrow = Judge { format: ListFormat::Oci(OciRule::new(REPOSITORY, false, Some("a"), None).unwrap()), ..judge };
    let narrower = narrow.accepts(&message(vec![old.clone()]), Some(&less.last_accepted())).unwrap();
    assert_eq!(gone(&narrower), [], "the subscription no longer takes it");
    let judge = Judge::of(vec![endorser("ann", TrustLevel::Trusted, &key)]);
    let more = judge.accepts(&message(vec![old, older]), Some(&less.last_accepted())).unwrap();
    assert_eq!(more.list().images.len(), 2);
    let again = message(vec![signed("b", &disk(ago(3)), &[&key])]);
    let refused = judge.accepts(&again, Some(&more.last_accepted())).unwrap_err();
    assert_eq!(refused.reason.as_str(), "VersionRollback", "a tag that was gone is remembered");
}

#[test]
fn a_digest_that_the_subscription_names_may_be_any() {
    let key = SigningKey::new();
    let pinned = |artefact: &Artefact| {
        let rule = OciRule::new(REPOSITORY, false, None, Some(&artefact.digest())).unwrap();
        let judge =
            Judge { format: ListFormat::Oci(rule), ..Judge::of(vec![endorser("ann", TrustLevel::Trusted, &key)]) };
        (judge, message(vec![TaggedManifest { tag: None, ..signed("a", artefact, &[&key]) }]))
    };
    let (judge, first) = pinned(&disk(ago(1)));
    let remembered = judge.accepts(&first, None).unwrap().last_accepted();
    let (judge, older) = pinned(&disk(ago(9)));
    let list = judge.accepts(&older, Some(&remembered)).unwrap();
    assert_eq!(list.list().images.len(), 1, "{}", shown(list.list()));
}

/// What a stored message is worth when endorsers change.
#[test]
fn a_stored_message_is_verified_again() {
    let (ann, bob) = (SigningKey::new(), SigningKey::new());
    let trusted = |name: &str, key: &SigningKey| endorser(name, TrustLevel::Trusted, key);
    let both = Judge::of(vec![trusted("ann", &ann), trusted("bob", &bob)]);
    let message = message(vec![signed("a", &disk(ago(4)), &[&ann]), signed("b", &disk(ago(2)), &[&bob])]);
    let remembered = both.accepts(&message, None).unwrap().last_accepted();
    assert!(
        matches!(both.again(&message, &remembered), Reverification::InForce(list) if list.last_accepted() == remembered)
    );

    let without = Judge::of(vec![trusted("ann", &ann)]);
    match without.again(&message, &remembered) {
        Reverification::Frozen(list, refusal) => {
            assert_eq!((list.list().images.len(), refusal.reason.as_str()), (2, "EndorserNotTrusted"));
        }
        other => panic!("{other:?}"),
    }
    let hold = Judge::of(vec![trusted("ann", &ann), endorser("bob", TrustLevel::Hold, &bob)]);
    assert!(
        matches!(hold.again(&message, &remembered), Reverification::Frozen(list, _) if list.list().images.len() == 2)
    );

    let revoked = Judge::of(vec![trusted("ann", &ann), endorser("bob", TrustLevel::Revoked, &bob)]);
    let left = match revoked.again(&message, &remembered) {
        Reverification::InForce(list) => list,
        other => panic!("{other:?}"),
    };
    assert_eq!(shown(left.list()), "EGI Ubuntu 22.04: listed", "what bob signed is neither listed nor kept");
    let remembered = left.last_accepted();
    assert!(
        matches!(revoked.again(&message, &remembered), Reverification::InForce(list) if list.last_accepted() == remembered)
    );

    let neither =
        Judge::of(vec![endorser("ann", TrustLevel::Revoked, &ann), endorser("bob", TrustLevel::Revoked, &bob)]);
    match neither.again(&message, &remembered) {
        Reverification::Withdrawn(list, refusal) => {
            assert!(refusal.is_statement() && !list.list().images.is_empty(), "{refusal}");
        }
        other => panic!("{other:?}"),
    }
    let tampered = String::from_utf8(message).unwrap().replace("\"tag\":\"a\"", "\"tag\":\"A\"").into_bytes();
    assert!(matches!(both.again(&tampered, &remembered), Reverification::Broken(_)));
}

/// Someone who can push, but not sign, puts an unsigned artefact in the place of one whose signer is then revoked.
#[test]
fn nothing_stays_of_a_revoked_signer_behind_an_unsigned_tag() {
    let (ann, bob) = (SigningKey::new(), SigningKey::new());
    let trusted = |name: &str, key: &SigningKey| endorser(name, TrustLevel::Trusted, key);
    let both = Judge::of(vec![trusted("ann", &ann), trusted("bob", &bob)]);
    let first = message(vec![signed("a", &disk(ago(4)), &[&ann]), signed("b", &disk(ago(3)), &[&bob])]);
    let remembered = both.accepts(&first, None).unwrap().last_accepted();
    let hidden = message(vec![signed("a", &disk(ago(4)), &[&ann]), tagged("b", &disk(ago(2)), Vec::new())]);
    let list = both.accepts(&hidden, Some(&remembered)).unwrap();
    assert_eq!(list.list().refused.len(), 1, "what was accepted of it stays");
    let revoked = Judge::of(vec![trusted("ann", &ann), endorser("bob", TrustLevel::Revoked, &bob)]);
    match revoked.again(&hidden, &list.last_accepted()) {
        Reverification::InForce(list) => assert_eq!(shown(list.list()), "EGI Ubuntu 22.04: listed"),
        other => panic!("{other:?}"),
    }
    // The key was lost, and its finder signed a later artefact: the publisher may go back behind that one.
    let stolen = message(vec![signed("a", &disk(ago(4)), &[&ann]), signed("b", &disk(ago(1)), &[&bob])]);
    let remembered = both.accepts(&stolen, Some(&remembered)).unwrap().last_accepted();
    let Reverification::InForce(without) = revoked.again(&stolen, &remembered) else { panic!("it is in force") };
    let mended = message(vec![signed("a", &disk(ago(4)), &[&ann]), signed("b", &disk(ago(2)), &[&ann])]);
    let list = revoked.accepts(&mended, Some(&without.last_accepted())).unwrap();
    assert_eq!(list.list().images.len(), 2, "{}", shown(list.list()));
}
