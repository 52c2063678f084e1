//! Every form crossed with the defects for which the form matters.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use harness::pki::{CertificateSpec, Identity};
use harness::signer::{Form, sign, sign_as};
use openssl::base64::{decode_block, encode_block};
use openssl::pkey::PKey;
use openssl::rsa::Rsa;

use super::{PKI, endorser, list_of, now, told, verdict};

/// Changes one octet: inside the base64 of a part where the form has one, else in the bytes themselves.
fn change(message: &[u8], of: &[u8]) -> Option<Vec<u8>> {
    if let Some(at) = message.windows(of.len()).position(|window| window == of) {
        let mut changed = message.to_vec();
        changed[at + of.len() / 2] ^= 1;
        return Some(changed);
    }
    let text = std::str::from_utf8(message).ok()?;
    let (start, end) = longest_base64(text)?;
    let der = decode_block(&text[start..end].replace(['\n', '\r'], "")).ok()?;
    let at = der.windows(of.len()).position(|window| window == of)?;
    let mut changed = der;
    changed[at + of.len() / 2] ^= 1;
    Some([&text[..start], &encode_block(&changed), &text[end..]].concat().into_bytes())
}

/// Where the longest run of base64 lines stands.
fn longest_base64(text: &str) -> Option<(usize, usize)> {
    let is_base64 =
        |line: &str| !line.is_empty() && line.bytes().all(|c| c.is_ascii_alphanumeric() || b"+/=".contains(&c));
    let (mut best, mut start, mut position) = (None::<(usize, usize)>, None, 0);
    for line in text.split_inclusive('\n') {
        let inside = is_base64(line.trim_end());
        start = if inside { start.or(Some(position)) } else { None };
        position += line.len();
        if let Some(start) = start
            && best.is_none_or(|(from, to)| position - start > to - from)
        {
            best = Some((start, position));
        }
    }
    best
}

/// A signer with an RSA key: only such signatures are over MD5 too.
fn rasmus() -> Identity {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    PKI.intermediate.issue(&CertificateSpec::person("/DC=org/CN=Rasmus Rsa", now()).key(&key))
}

/// The value of the last RSA signature of 2,048 bits in a message.
fn signature_value(message: &[u8]) -> Vec<u8> {
    const HEADER: [u8; 4] = [0x04, 0x82, 0x01, 0x00];
    let text = std::str::from_utf8(message).ok();
    let decoded = text.and_then(longest_base64).zip(text).map(|((start, end), text)| &text[start..end]);
    let der = decoded.map_or_else(|| message.to_vec(), |text| decode_block(&text.replace(['\n', '\r'], "")).unwrap());
    let at = der.windows(4).rposition(|window| window == HEADER).unwrap() + HEADER.len();
    der[at..at + 256].to_vec()
}

/// Whatever the form: each defect is told by its reason and its signer, and no two alike.
#[test]
fn each_defect_tells_itself_from_the_others_in_every_form() {
    let signer = rasmus();
    let key = signer.certificate.public_key().unwrap().rsa().unwrap().n().to_vec();
    let endorsers = [&signer, &PKI.revoked, &PKI.expired, &PKI.not_yet_valid].map(|who| endorser("one", who));
    let [stranger, revoked, expired, future, proxy] =
        ["Sid Stranger", "Rita Revoked", "Eve Expired", "Nora Notyet", "1234567890"];
    for form in Form::ALL {
        let by = |who: &Identity| sign(&list_of(who), who, form);
        let over = |digest| sign_as(&list_of(&signer), &[&signer], form, digest);
        let good = by(&signer);
        assert!(verdict(&good, &endorsers).is_ok(), "{form:?}");
        let changed = |of: &[u8]| change(&good, of).unwrap_or_else(|| panic!("{form:?}"));
        let table = [
            ("MessageDigestMismatch", "Rasmus Rsa", changed(b"Images for tests")),
            ("SignatureInvalid", "Rasmus Rsa", changed(&signature_value(&good))),
            ("DigestNotAllowed", "Rasmus Rsa", over("sha1")),
            ("DigestBroken", "Rasmus Rsa", over("md5")),
            ("IssuerUnknown", stranger, by(&PKI.stranger)),
            ("CertificateRevoked", revoked, by(&PKI.revoked)),
            ("CertificateExpired", expired, by(&PKI.expired)),
            ("CertificateNotYetValid", future, by(&PKI.not_yet_valid)),
            ("ProxyCertificate", proxy, by(&PKI.proxy)),
        ];
        let mut cells = BTreeSet::new();
        for (reason, name, message) in table {
            let refusal = verdict(&message, &endorsers).unwrap_err();
            assert_eq!(told(&refusal), (reason.to_owned(), name.to_owned(), Some(0)), "{form:?}: {refusal}");
            assert!(cells.insert(told(&refusal)), "{form:?} {reason}: told like another one");
        }
        let forged = verdict(&changed(&key), &endorsers).unwrap_err();
        assert_eq!(forged.reason.as_str(), "SignatureInvalid", "{form:?}: the signer's key");
    }
}

/// What was signed and what was found stand in the message, and a key that shows nothing of it is told as it is.
#[test]
fn a_changed_text_tells_both_digests() {
    let text = list_of(&PKI.endorser);
    let digest = |text: &[u8]| HEXLOWER.encode(&openssl::sha::sha256(text));
    let good = sign(&text, &PKI.endorser, Form::DetachedBinary);
    let changed = change(&good, b"Images for tests").unwrap();
    let refusal = verdict(&changed, &[endorser("erin", &PKI.endorser)]).unwrap_err();
    let other = change(&text, b"Images for tests").unwrap();
    for shown in [digest(&text), digest(&other)] {
        assert!(refusal.message.contains(&shown[..32]), "{refusal}");
    }
    let bare = change(&sign(&text, &PKI.endorser, Form::NoAttributes), b"Images for tests").unwrap();
    let refusal = verdict(&bare, &[endorser("erin", &PKI.endorser)]).unwrap_err();
    assert_eq!(refusal.reason.as_str(), "SignatureInvalid", "ECDSA without signed attributes: {refusal}");
}
