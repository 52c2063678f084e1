//! Lists with signatures beside them, and lists that are encrypted to the site.

use harness::pki::Identity;
use harness::signer::{Form, detached, encrypted, sign};
use vmcatcher_operator::trust::{DecryptionKey, decrypt, is_encrypted, join_detached, verify};

use super::{IDENTIFIER, PKI, anchors, endorser, list_of, request, told, verdict};

fn key_of(identity: &Identity) -> DecryptionKey {
    let (certificate, key) = identity.pem();
    DecryptionKey::from_pem(&certificate, &key).unwrap()
}

#[test]
fn signatures_beside_the_list_count_like_those_inside() {
    let text = list_of(&PKI.endorser);
    let endorsers = [endorser("erin", &PKI.endorser), endorser("sam", &PKI.second)];
    for more in [&["-binary", "-outform", "DER"][..], &["-outform", "PEM"], &["-binary", "-outform", "PEM"]] {
        let signature = detached(&text, &PKI.endorser, more);
        let list = verdict(&join_detached(&text, &[signature]), &endorsers).unwrap();
        assert_eq!(list.list().identifier.as_str(), IDENTIFIER, "{more:?}");
    }
    let binary = &["-binary", "-outform", "DER"][..];
    let (first, second) = (detached(&text, &PKI.endorser, binary), detached(&text, &PKI.second, binary));
    let both = join_detached(&text, &[first.clone(), second.clone()]);
    let ask = |message: &[u8]| verify(message, &request(&anchors(), &endorsers, 2)).outcome;
    assert_eq!(ask(&both).unwrap().signers().len(), 2);
    assert_eq!(told(&ask(&join_detached(&text, std::slice::from_ref(&first))).unwrap_err()).0, "EndorsementsMissing");
    let twice = [first.clone(), first.clone()];
    assert_eq!(told(&ask(&join_detached(&text, &twice)).unwrap_err()).0, "EndorsementsMissing");
    let other = detached(b"another text", &PKI.second, binary);
    assert_eq!(told(&ask(&join_detached(&text, &[first, other])).unwrap_err()).0, "MessageDigestMismatch");
    assert_eq!(told(&ask(&join_detached(&text, &[b"garbage".to_vec()])).unwrap_err()).0, "SignatureInvalid");
    assert_eq!(told(&ask(&text).unwrap_err()).0, "Unsigned");
}

/// Each signature is proved over the whole text, so their number is bounded over all parts.
#[test]
fn a_message_has_so_many_signatures_and_no_more() {
    let text = list_of(&PKI.endorser);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("second");
    let (certificate, key) = PKI.second.pem();
    std::fs::write(&path, [certificate, key].concat()).unwrap();
    let by_two = detached(
        &text,
        &PKI.endorser,
        &["-binary", "-outform", "DER", "-signer", path.to_str().unwrap(), "-inkey", path.to_str().unwrap()],
    );
    let endorsers = [endorser("erin", &PKI.endorser), endorser("sam", &PKI.second)];
    let ask = |parts: usize| {
        let message = join_detached(&text, &vec![by_two.clone(); parts]);
        verify(&message, &request(&anchors(), &endorsers, 2)).outcome
    };
    assert_eq!(ask(8).unwrap().signers().len(), 2);
    let refusal = ask(9).unwrap_err();
    assert_eq!(told(&refusal).0, "SignatureInvalid");
    assert!(refusal.message.contains("at most 16 signatures, found 18"), "{refusal}");
}

#[test]
fn an_encrypted_list_is_opened_with_the_sites_key_and_then_verified() {
    let signed = sign(&list_of(&PKI.endorser), &PKI.endorser, Form::Detached);
    let (site, other) = (key_of(&PKI.host), key_of(&PKI.second));
    let endorsers = [endorser("erin", &PKI.endorser)];
    for more in [
        &["-outform", "SMIME", "-aes256"][..],
        &["-outform", "SMIME", "-aes-128-cbc"],
        &["-outform", "DER", "-aes-256-gcm"],
        &["-outform", "PEM", "-aes256"],
        &["-outform", "DER", "-aes256", "-stream", "-indef"],
    ] {
        let message = encrypted(&signed, &PKI.host, more);
        assert!(is_encrypted(&message), "{more:?}");
        let opened = decrypt(&message, Some(&site)).unwrap();
        assert!(verdict(&opened, &endorsers).is_ok(), "{more:?}");
        assert_eq!(told(&decrypt(&message, Some(&other)).unwrap_err()).0, "DecryptionFailed", "{more:?}");
        assert_eq!(told(&decrypt(&message, None).unwrap_err()).0, "DecryptionFailed", "{more:?}");
        assert_eq!(told(&verdict(&message, &endorsers).unwrap_err()).0, "DecryptionFailed", "{more:?}");
    }
    assert!(!is_encrypted(&signed));
    assert_eq!(decrypt(&signed, None).unwrap(), signed);
}

#[test]
fn what_was_encrypted_must_be_signed_inside() {
    let text = list_of(&PKI.endorser);
    let site = key_of(&PKI.host);
    let plain = encrypted(&text, &PKI.host, &["-outform", "DER", "-aes256"]);
    let opened = decrypt(&plain, Some(&site)).unwrap();
    assert_eq!(told(&verdict(&opened, &[endorser("erin", &PKI.endorser)]).unwrap_err()).0, "Unsigned");
    let twice = encrypted(&plain, &PKI.host, &["-outform", "DER", "-aes256"]);
    assert_eq!(told(&decrypt(&twice, Some(&site)).unwrap_err()).0, "DecryptionFailed");
    let mut changed = encrypted(&sign(&text, &PKI.endorser, Form::Der), &PKI.host, &["-outform", "DER", "-aes256"]);
    let last = changed.len() - 40;
    changed[last] ^= 1;
    let outcome = decrypt(&changed, Some(&site)).and_then(|opened| verdict(&opened, &[endorser("e", &PKI.endorser)]));
    assert!(outcome.is_err());
}
