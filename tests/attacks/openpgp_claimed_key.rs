//! A signature says itself by which key it is. A stranger writes an endorser's key into it.

use data_encoding::HEXLOWER_PERMISSIVE;
use harness::gpg::{Gpg, PgpForm};

use crate::trust::now;
use crate::trust::openpgp::{endorser, list, told, verdict};

#[test]
fn what_a_signature_claims_proves_nothing() {
    let gpg = Gpg::at(now());
    let (key, stranger) = (gpg.key("Ann", "ed25519", "never"), gpg.key("Sid", "ed25519", "never"));
    let endorsers = [endorser("ann", &key, &gpg.export(&key))];
    let message = gpg.sign_as(&list(), &[&stranger], &["--sign", "--compress-algo", "none"]);
    assert_eq!(told(verdict(&message, &endorsers)), "EndorserNotTrusted Some(0) false");
    let (ours, theirs) =
        (HEXLOWER_PERMISSIVE.decode(key.as_bytes()).unwrap(), HEXLOWER_PERMISSIVE.decode(stranger.as_bytes()).unwrap());
    // Its fingerprint stands in the signature, and its last 8 bytes as the key's short name.
    for (from, to) in [(&theirs[..], &ours[..]), (&theirs[12..], &ours[12..])] {
        let mut forged = message.clone();
        for at in 0..forged.len() - from.len() {
            if forged[at..].starts_with(from) {
                forged[at..at + to.len()].copy_from_slice(to);
            }
        }
        assert_ne!(forged, message);
        assert_eq!(told(verdict(&forged, &endorsers)), "SignatureInvalid Some(0) false");
    }
    let own = gpg.sign(&list(), &key, PgpForm::Uncompressed);
    assert_eq!(told(verdict(&own, &endorsers)), "");
}
