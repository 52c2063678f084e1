//! Somebody binds an endorser's signing subkey to a key of their own, so that the endorser's lists seem to be theirs. The
//! subkey never agreed: its own signature in the binding is missing (RFC 9580 section 5.2.1.9).

use harness::gpg::{Gpg, PgpForm};

use crate::trust::now;
use crate::trust::openpgp::{endorser, list, told, verdict};

#[test]
fn a_subkey_must_agree_to_its_primary_key() {
    let gpg = Gpg::at(now());
    let key = gpg.key("Ann", "ed25519", "never");
    let subkey = gpg.subkey(&key, "ed25519", "never");
    let message = gpg.sign(&list(), &subkey, PgpForm::Clear);
    let mut exported = gpg.run(&["--export", &key], b"");
    assert_eq!(told(verdict(&message, &[endorser("ann", &key, &exported)])), "");
    // The embedded signature (subpacket 32; version 4, type 0x19) lies in the part that the primary key does not sign.
    let agreed: Vec<usize> = (0..exported.len()).filter(|at| exported[*at..].starts_with(&[32, 4, 0x19])).collect();
    assert_eq!(agreed.len(), 1);
    exported[agreed[0]] = 100;
    for credential in [&key, &subkey] {
        let endorsers = [endorser("ann", credential, &exported)];
        assert_eq!(told(verdict(&message, &endorsers)), "PurposeMismatch Some(0) false");
    }
    let by_primary = gpg.sign(&list(), &key, PgpForm::Clear);
    assert_eq!(
        told(verdict(&by_primary, &[endorser("ann", &key, &exported)])),
        "",
        "the primary key is as good as before"
    );
}
