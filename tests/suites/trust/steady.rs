//! A refusal says the same in every pass: it is in a status, and a status that changes wakes whoever watches it.

use harness::list::ListBuilder;
use harness::signer::{Form, sign};
use jiff::{SignedDuration, Timestamp};
use vmcatcher_operator::trust::{
    AcceptRequest, Anchors, CrlPolicy, EndorserRule, Refusal, RefusalReason, VerifyRequest, accept, verify,
};

use super::{IDENTIFIER, PKI, anchors, ask_nothing, endorser, now, request};

fn refusal(message: &[u8], anchors: &Anchors, crl_policy: CrlPolicy, at: Timestamp) -> Refusal {
    let endorsers = [EndorserRule { crl_policy, ..endorser("erin", &PKI.endorser) }];
    let verified = verify(message, &VerifyRequest { at, ..request(anchors, &endorsers, 1) }).outcome;
    let day = SignedDuration::from_hours(24);
    let judge = AcceptRequest { now: at, max_list_age: Some(day), ..ask_nothing() };
    verified.and_then(|list| accept(list, &judge).outcome).unwrap_err()
}

#[test]
fn a_refusal_says_the_same_a_moment_later() {
    let day = SignedDuration::from_hours(24);
    let year = day * 366;
    let list = |created: Timestamp, expires: Timestamp| {
        let text = ListBuilder::new(IDENTIFIER, now()).endorser(&PKI.endorser).images(1);
        sign(&text.created(created).expires(expires).json(), &PKI.endorser, Form::Detached)
    };
    let (anchors, good) = (anchors(), list(now() - day * 2, now() + year * 100));
    let (require, ignore) = (CrlPolicy::Require, CrlPolicy::Ignore);
    let cases = [
        (RefusalReason::CreatedInFuture, list(now() + day, now() + day * 2), require, now()),
        (RefusalReason::ListExpired, list(now() - day * 2, now() - day), require, now()),
        (RefusalReason::ListStale, good.clone(), require, now()),
        (RefusalReason::CRLExpired, good.clone(), require, now() + day * 40),
        (RefusalReason::CRLNotYetValid, good.clone(), require, now() - day * 20),
        (RefusalReason::CertificateExpired, good.clone(), ignore, now() + year * 40),
        (RefusalReason::CertificateNotYetValid, good, ignore, now() - year * 40),
    ];
    for (reason, message, crl_policy, at) in cases {
        let first = refusal(&message, &anchors, crl_policy, at);
        assert_eq!(first.reason, reason, "{first}");
        assert_eq!(first, refusal(&message, &anchors, crl_policy, at + SignedDuration::from_secs(7)));
    }
}
