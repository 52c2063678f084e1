//! OpenPGP has room for text that nobody signed, and `gpg` says "Good signature" over it: before and after a message, in
//! a second message, in the name of the file inside. Only what was hashed is a list.

use harness::gpg::{Gpg, PgpForm};
use harness::list::ListBuilder;
use vmcatcher_operator::trust::{SignedMessage, join_detached};

use crate::trust::openpgp::{endorser, verdict};
use crate::trust::{IDENTIFIER, now};

#[test]
fn only_what_was_hashed_is_read() {
    let gpg = Gpg::at(now());
    let key = gpg.key("Ann", "ed25519", "never");
    let endorsers = [endorser("ann", &key, &gpg.export(&key))];
    let list = |title: &str| {
        ListBuilder::new(IDENTIFIER, now()).endorser_names("/CN=a", "/CN=b").with("dc:title", title.into()).json()
    };
    let evil = String::from_utf8(list("evil")).unwrap();
    let clear = String::from_utf8(gpg.sign(&list("good"), &key, PgpForm::Clear)).unwrap();
    let armor = String::from_utf8(gpg.sign(&list("good"), &key, PgpForm::Armor)).unwrap();
    let attacks = [
        format!("{evil}\n{clear}"),
        format!("{clear}\n{evil}"),
        format!("Content-Type: text/plain\n\n{evil}\n{clear}"),
        format!("{evil}\n{armor}"),
        format!("{armor}\n{evil}"),
    ];
    for attack in attacks {
        assert!(gpg.verifies(attack.as_bytes(), None), "gpg is content with\n{attack}");
        assert!(verdict(attack.as_bytes(), &endorsers).is_err(), "{attack}");
    }
    for good in [&clear, &armor] {
        assert_eq!(verdict(good.as_bytes(), &endorsers).unwrap().list().title, "good");
        let payload = SignedMessage::read(good.as_bytes()).and_then(SignedMessage::into_payload).unwrap();
        assert!(!String::from_utf8(payload).unwrap().contains("evil"));
    }
    let signature = gpg.detached(&list("good"), &key, &[]);
    assert!(verdict(&join_detached(evil.as_bytes(), std::slice::from_ref(&signature)), &endorsers).is_err());
    assert!(verdict(&join_detached(&list("good"), &[signature]), &endorsers).is_ok());
}
