//! Several signatures: M of N, strangers, certificates and keys together.

use harness::gpg::Gpg;
use harness::signer::detached;
use vmcatcher_operator::trust::{
    CredentialKind, EndorserRule, Refusal, TrustLevel, VerifiedList, VerifyRequest, accept, join_detached, verify,
};

use super::{credential, endorser, list, told, verdict};
use crate::trust::{self, PKI, anchors, ask_nothing, now, request};

fn required(message: &[u8], endorsers: &[EndorserRule], required: usize) -> Result<VerifiedList, Refusal> {
    verify(message, &request(&anchors(), endorsers, required)).outcome
}

#[test]
fn different_endorsers_by_different_keys() {
    let gpg = Gpg::at(now());
    let (first, second) = (gpg.key("Ann", "ed25519", "never"), gpg.key("Bob", "rsa2048", "never"));
    let subkey = gpg.subkey(&first, "ed25519", "never");
    let stranger = gpg.key("Sid", "ed25519", "never");
    let (ann, bob) = (endorser("ann", &first, &gpg.export(&first)), endorser("bob", &second, &gpg.export(&second)));
    let ann_again = endorser("ann-again", &first, &gpg.export(&first));
    let ann_subkey = endorser("ann-subkey", &subkey, &gpg.export(&first));
    for more in [&["--clear-sign"][..], &["--sign"], &["--sign", "--textmode", "--armor"]] {
        let sign = |keys: &[&str]| gpg.sign_as(&list(), keys, more);
        let both = sign(&[&first, &second]);
        let ask = |message: &[u8], endorsers: &[&EndorserRule], count| {
            let endorsers: Vec<EndorserRule> = endorsers.iter().map(|rule| (*rule).clone()).collect();
            told(required(message, &endorsers, count))
        };
        assert_eq!(ask(&both, &[&ann, &bob], 2), "", "{more:?}");
        assert!(ask(&sign(&[&first]), &[&ann, &bob], 2).starts_with("EndorsementsMissing"), "{more:?}");
        let stranger_beside = sign(&[&stranger, &first]);
        assert_eq!(ask(&stranger_beside, &[&ann, &bob], 1), "", "{more:?}: a stranger beside one who is trusted");
        assert!(ask(&stranger_beside, &[&ann, &bob], 2).starts_with("EndorsementsMissing"), "{more:?}");
        assert_eq!(ask(&sign(&[&stranger]), &[&ann], 1), "EndorserNotTrusted Some(0) false", "{more:?}");
        let key_and_subkey = sign(&[&first, &subkey]);
        let one_person = [&ann, &ann_again, &ann_subkey];
        assert!(ask(&key_and_subkey, &one_person, 2).starts_with("EndorsementsMissing"), "one key is one person");
    }
}

/// One list, a CMS signature and an OpenPGP signature beside it.
#[test]
fn a_certificate_and_a_key() {
    let gpg = Gpg::at(now());
    let key = gpg.key("Ann", "ed25519", "never");
    let endorsers = [trust::endorser("erin", &PKI.endorser), endorser("ann", &key, &gpg.export(&key))];
    let text = trust::list_of(&PKI.endorser);
    for (cms, pgp) in [(&["-binary"][..], &[][..]), (&[], &[]), (&[], &["--textmode"]), (&["-binary"], &["--textmode"])]
    {
        let signatures =
            [detached(&text, &PKI.endorser, &[cms, &["-outform", "DER"]].concat()), gpg.detached(&text, &key, pgp)];
        let both = join_detached(&text, &signatures);
        let taken = required(&both, &endorsers, 2).unwrap_or_else(|refusal| panic!("{cms:?} {pgp:?}: {refusal}"));
        assert_eq!(taken.signers().len(), 2);
        assert!(accept(taken, &ask_nothing()).outcome.is_ok(), "hv:endorser names the certificate");
        let pgp_alone = join_detached(&text, &signatures[1..]);
        assert_eq!(told(required(&pgp_alone, &endorsers, 1)), "");
        assert!(told(required(&pgp_alone, &endorsers, 2)).starts_with("EndorsementsMissing"));
        let other = gpg.detached(b"{}", &key, pgp);
        let one_bad = join_detached(&text, &[signatures[0].clone(), other]);
        assert_eq!(
            told(required(&one_bad, &endorsers, 1)),
            "SignatureInvalid Some(0) false",
            "one of two does not fit"
        );
    }
}

/// A person's word, about a credential or about an endorser, here or elsewhere in the namespace.
#[test]
fn hold_and_revoked() {
    let gpg = Gpg::at(now());
    let key = gpg.key("Ann", "ed25519", "never");
    let subkey = gpg.subkey(&key, "ed25519", "never");
    let ann = endorser("ann", &key, &gpg.export(&key));
    let level = |trust| EndorserRule { trust, ..ann.clone() };
    let message = gpg.sign_as(&list(), &[&subkey], &["--clear-sign"]);
    assert_eq!(told(verdict(&message, &[level(TrustLevel::Hold)])), "EndorserOnHold Some(0) false");
    assert_eq!(told(verdict(&message, &[level(TrustLevel::Revoked)])), "EndorserNotTrusted Some(0) true");
    let of = |fingerprint: &str, key: &[u8]| -> CredentialKind { credential(fingerprint, key).kind };
    let elsewhere =
        [(&key, b"".to_vec(), true), (&subkey, gpg.export(&key), true), (&"0".repeat(40), Vec::new(), false)];
    for (fingerprint, exported, counts) in elsewhere {
        let (anchors, endorsers, revoked) = (anchors(), [ann.clone()], [of(fingerprint, &exported)]);
        let ask = VerifyRequest { revoked: &revoked, ..request(&anchors, &endorsers, 1) };
        let expected = if counts { "EndorserNotTrusted Some(0) true" } else { "" };
        assert_eq!(told(verify(&message, &ask).outcome), expected, "{fingerprint}");
    }
}
