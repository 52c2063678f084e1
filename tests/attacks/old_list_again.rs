//! The list server, or whoever stands between, sends an older list that the endorser did sign: with images whose holes
//! are known. The original took it again as long as its version was the same.

use harness::list::ListBuilder;
use harness::signer::{Form, sign};
use jiff::SignedDuration;
use vmcatcher_operator::trust::{AcceptRequest, accept};

use crate::trust::{IDENTIFIER, PKI, ask_nothing, endorser, now, verdict};

#[test]
fn an_older_list_of_the_same_version_is_refused() {
    let signed = |hours: i64, note: &str| {
        let created = now() - SignedDuration::from_hours(hours);
        let list = ListBuilder::new(IDENTIFIER, now()).endorser(&PKI.endorser).created(created);
        sign(&list.with("ad:note", note.into()).json(), &PKI.endorser, Form::Detached)
    };
    let verified = |message: &[u8]| verdict(message, &[endorser("erin", &PKI.endorser)]).unwrap();
    let last = accept(verified(&signed(1, "new")), &ask_nothing()).outcome.unwrap().last_accepted();
    let ask = AcceptRequest { last: Some(&last), ..ask_nothing() };
    assert_eq!(accept(verified(&signed(2, "old")), &ask).outcome.unwrap_err().reason.as_str(), "Replay");
    assert!(accept(verified(&signed(1, "new")), &ask).outcome.is_ok(), "the list in force itself");
}
