//! May a list replace the one in force? One table over the rules.

use harness::list::ListBuilder;
use harness::signer::{Form, sign};
use jiff::SignedDuration;
use vmcatcher_operator::trust::{AcceptRequest, CheckResult, LastAccepted, Rule, Sha256Digest, accept};

use super::{IDENTIFIER, PKI, endorser, now, verdict};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn builder() -> ListBuilder {
    ListBuilder::new(IDENTIFIER, now()).endorser(&PKI.endorser)
}

fn message(list: &ListBuilder) -> Vec<u8> {
    sign(&list.json(), &PKI.endorser, Form::Der)
}

fn ask(last: Option<&LastAccepted>) -> AcceptRequest<'_> {
    AcceptRequest { identifier: None, last, max_list_age: None, accept_list: None, now: now() }
}

fn judge(message: &[u8], request: &AcceptRequest<'_>) -> String {
    let list = verdict(message, &[endorser("erin", &PKI.endorser)]).unwrap();
    match accept(list, request).outcome {
        Ok(_) => "accepted".to_owned(),
        Err(refusal) => refusal.reason.to_string(),
    }
}

/// What is remembered of a list.
fn remembered(list: &ListBuilder) -> LastAccepted {
    let verified = verdict(&message(list), &[endorser("erin", &PKI.endorser)]).unwrap();
    accept(verified, &ask(None)).outcome.unwrap().last_accepted()
}

#[test]
fn what_the_list_says_of_itself() {
    let far = |hours| now() + HOUR * hours;
    let table: [(&str, ListBuilder, &str); 8] = [
        ("fresh", builder(), "accepted"),
        ("a clock four minutes ahead", builder().created(now() + SignedDuration::from_mins(4)), "accepted"),
        ("a clock six minutes ahead", builder().created(now() + SignedDuration::from_mins(6)), "CreatedInFuture"),
        ("the last second", builder().expires(now() + SignedDuration::from_secs(1)), "accepted"),
        ("expired this second", builder().expires(now()), "ListExpired"),
        ("long expired", builder().created(far(-99)).expires(far(-9)), "ListExpired"),
        ("the year 2499", builder().expires("2499-12-31T22:00:00Z".parse().unwrap()), "accepted"),
        ("names nobody", ListBuilder::new(IDENTIFIER, now()).endorser_names("", ""), "EndorserMismatch"),
    ];
    for (case, list, expected) in table {
        assert_eq!(judge(&message(&list), &ask(None)), expected, "{case}");
    }
}

#[test]
fn identifier_and_age() {
    let fresh = message(&builder());
    let (own, other) = (IDENTIFIER.parse().unwrap(), "other".parse().unwrap());
    let last = remembered(&ListBuilder::new("other", now()).endorser(&PKI.endorser));
    assert_eq!(judge(&fresh, &AcceptRequest { identifier: Some(&own), ..ask(None) }), "accepted");
    assert_eq!(judge(&fresh, &AcceptRequest { identifier: Some(&other), ..ask(None) }), "IdentifierMismatch");
    assert_eq!(judge(&fresh, &ask(Some(&last))), "IdentifierMismatch", "learned from the list in force");
    assert_eq!(judge(&fresh, &AcceptRequest { identifier: Some(&own), ..ask(Some(&last)) }), "accepted", "a pin wins");
    for (hours, expected) in [(2, "accepted"), (1, "ListStale")] {
        let request = AcceptRequest { max_list_age: Some(HOUR * hours), ..ask(None) };
        assert_eq!(judge(&fresh, &request), expected, "{hours} h");
    }
}

/// Version, created (hours from now) and another text, against a list in force of version 2.0, created ten hours ago.
#[test]
fn rollback_and_replay() {
    let at = |hours| now() + HOUR * hours;
    let in_force = builder().version("2.0").created(at(-10));
    let last = remembered(&in_force);
    let table = [
        ("2.0", -10, false, "accepted"),
        ("2.0", -10, true, "Replay"),
        ("2.0", -11, true, "Replay"),
        ("2.0", -9, true, "accepted"),
        ("2-0", -10, true, "Replay"),
        ("2.0.1", -9, true, "accepted"),
        ("2.0.1", -10, true, "accepted"),
        ("2.0.1", -11, true, "Replay"),
        ("10.0", -9, true, "accepted"),
        ("1.9", -9, true, "VersionRollback"),
        ("1.9", -11, true, "VersionRollback"),
    ];
    for (version, hours, other, expected) in table {
        let next = builder().version(version).created(at(hours));
        let next = if other { next.with("ad:note", "other".into()) } else { next };
        let message = message(&next);
        assert_eq!(judge(&message, &ask(Some(&last))), expected, "{version} {hours} {other}");
        assert_eq!(judge(&message, &ask(None)), "accepted", "{version}: nothing is in force");
        let named = AcceptRequest { accept_list: Some(Sha256Digest::of(&message)), ..ask(Some(&last)) };
        assert_eq!(judge(&message, &named), "accepted", "{version} {hours}: a person takes it");
        let another = AcceptRequest { accept_list: Some(Sha256Digest::of(b"another")), ..ask(Some(&last)) };
        assert_eq!(judge(&message, &another), expected, "{version} {hours}: a person takes another one");
    }
}

/// What a person takes never makes up for a signature, an expiry or a name.
#[test]
fn accept_list_takes_nothing_but_a_rollback() {
    let expired = message(&builder().expires(now() - HOUR));
    let request = AcceptRequest { accept_list: Some(Sha256Digest::of(&expired)), ..ask(None) };
    assert_eq!(judge(&expired, &request), "ListExpired");
    let other = message(&builder());
    let pinned = "other".parse().unwrap();
    let request = AcceptRequest { accept_list: Some(Sha256Digest::of(&other)), identifier: Some(&pinned), ..ask(None) };
    assert_eq!(judge(&other, &request), "IdentifierMismatch");
}

#[test]
fn each_check_is_told_in_its_order() {
    let list = verdict(&message(&builder()), &[endorser("erin", &PKI.endorser)]).unwrap();
    let checks = accept(list, &ask(None)).checks;
    let rules: Vec<(Rule, CheckResult)> = checks.iter().map(|check| (check.rule, check.result)).collect();
    let expected = [
        (Rule::NamedEndorser, CheckResult::Passed),
        (Rule::Identifier, CheckResult::NotAsked),
        (Rule::Created, CheckResult::Passed),
        (Rule::Expires, CheckResult::Passed),
        (Rule::Age, CheckResult::NotAsked),
        (Rule::Version, CheckResult::NotAsked),
        (Rule::Replay, CheckResult::NotAsked),
    ];
    assert_eq!(rules, expected);
}
