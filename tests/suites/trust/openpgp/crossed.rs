//! Every form crossed with the defects for which the form could matter.

use harness::gpg::{Gpg, PgpForm};
use jiff::SignedDuration;
use vmcatcher_operator::trust::EndorserRule;

use super::{endorser, list, told, verdict};
use crate::trust::now;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// One octet is another one: of the text where it stands openly; else in turn every fifth of the packets or the armour.
fn changes(message: &[u8]) -> Vec<Vec<u8>> {
    let text = b"Images for tests";
    let open = message.windows(text.len()).position(|window| window == text);
    let places = open.map_or_else(|| (0..message.len()).step_by(5).collect(), |at| vec![at]);
    let change = |at: usize| {
        let mut changed = message.to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        changed
    };
    places.into_iter().map(change).collect()
}

#[test]
fn each_defect_tells_itself_from_the_others_in_every_form() {
    let gpg = Gpg::at(now() - DAY * 40);
    let good = gpg.key("Greta", "ed25519", "never");
    let expired = gpg.key("Eve", "ed25519", "30d");
    let revoked = gpg.key("Rita", "ed25519", "never");
    let retired = gpg.key("Rob", "ed25519", "never");
    let weak = gpg.key("Will", "rsa2048", "never");
    let stranger = gpg.key("Sid", "ed25519", "never");
    let with = |name: &str, key: &str, more: Vec<u8>| endorser(name, key, &[gpg.export(key), more].concat());
    let endorsers: [EndorserRule; 5] = [
        with("greta", &good, Vec::new()),
        with("eve", &expired, Vec::new()),
        with("rita", &revoked, gpg.revocation(&revoked, 1)),
        with("rob", &retired, gpg.revocation(&retired, 3)),
        with("will", &weak, Vec::new()),
    ];
    let judged = |message: &[u8]| told(verdict(message, &endorsers));
    for form in PgpForm::ALL {
        let message = gpg.sign(&list(), &good, form);
        assert_eq!(judged(&message), "", "{form:?}");
        // Some octets are of no matter (a line of the armour), or name another key.
        let changed: Vec<String> = changes(&message).iter().map(|changed| judged(changed)).collect();
        let invalid = changed.iter().filter(|told| told.starts_with("SignatureInvalid")).count();
        assert!(invalid * 10 >= changed.len() * 9, "{form:?}: {changed:?}");
        assert!(judged(&message[..message.len() - 80]).starts_with("SignatureInvalid"), "{form:?}: cut off");
        assert_eq!(judged(&gpg.sign(&list(), &expired, form)), "CertificateExpired Some(0) false", "{form:?}");
        assert_eq!(judged(&gpg.sign(&list(), &revoked, form)), "CertificateRevoked Some(0) true", "{form:?}");
        assert_eq!(judged(&gpg.sign(&list(), &retired, form)), "CertificateRevoked Some(0) false", "{form:?}");
        assert_eq!(judged(&gpg.sign(&list(), &stranger, form)), "EndorserNotTrusted Some(0) false", "{form:?}");
        let sha1 = gpg.sign_as(&list(), &[&weak], &[form.arguments(), &["--digest-algo", "SHA1"]].concat());
        assert_eq!(judged(&sha1), "DigestNotAllowed Some(0) false", "{form:?}");
    }
}
