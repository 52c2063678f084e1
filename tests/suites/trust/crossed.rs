//! Every form crossed with the defects for which the form matters.

use harness::pki::{CertificateSpec, Identity};
use harness::signer::{Form, sign, sign_as};
use openssl::base64::{decode_block, encode_block};
use openssl::pkey::PKey;
use openssl::rsa::Rsa;

use super::{PKI, endorser, list_of, now, told, verdict};

type Told = (String, String, Option<u32>);

fn judged(message: &[u8]) -> Option<Told> {
    let endorsers = [endorser("erin", &PKI.endorser), endorser("rita", &PKI.revoked), endorser("eve", &PKI.expired)];
    verdict(message, &endorsers).err().map(|refusal| told(&refusal))
}

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

#[test]
fn a_changed_text_and_a_changed_signature_are_seen_in_every_form() {
    let text = list_of(&PKI.endorser);
    for form in Form::ALL {
        let good = sign(&text, &PKI.endorser, form);
        assert_eq!(judged(&good), None, "{form:?}");
        let changed = change(&good, b"Images for tests").unwrap_or_else(|| panic!("{form:?}"));
        assert_eq!(judged(&changed).unwrap().0, "SignatureInvalid", "{form:?}: text");
        let key = PKI.endorser.certificate.public_key().unwrap().public_key_to_der().unwrap();
        let forged = change(&good, &key[key.len() - 40..]).unwrap_or_else(|| panic!("{form:?}"));
        assert_eq!(judged(&forged).unwrap().0, "SignatureInvalid", "{form:?}: the signer's key");
    }
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

/// A digest that is not allowed is named, and a signature whose value was changed is its signer's, in every form.
#[test]
fn weak_digests_and_changed_signature_values_are_seen_in_every_form() {
    let signer = rasmus();
    let endorsers = [endorser("rasmus", &signer)];
    let expected = |reason: &str| (reason.to_owned(), "Rasmus Rsa".to_owned(), Some(0));
    for form in Form::ALL {
        let by = |digest| sign_as(&list_of(&signer), &[&signer], form, digest);
        for (digest, name) in [("sha1", "SHA-1"), ("md5", "MD5")] {
            let refusal = verdict(&by(digest), &endorsers).unwrap_err();
            assert_eq!(told(&refusal), expected("DigestNotAllowed"), "{form:?} {digest}");
            assert!(refusal.message.contains(name), "{form:?}: {refusal}");
        }
        let good = by("sha256");
        assert!(verdict(&good, &endorsers).is_ok(), "{form:?}");
        let forged = change(&good, &signature_value(&good)).unwrap_or_else(|| panic!("{form:?}"));
        let refusal = verdict(&forged, &endorsers).unwrap_err();
        assert_eq!(told(&refusal), expected("SignatureInvalid"), "{form:?}: {refusal}");
    }
}

/// Whatever the form, the signer's certificate is found and judged: each defect tells itself from the others.
#[test]
fn the_signer_is_judged_in_every_form() {
    let expected = |reason: &str, name: &str| Some((reason.to_owned(), name.to_owned(), Some(0)));
    for form in Form::ALL {
        let by = |identity| judged(&sign(&list_of(identity), identity, form));
        assert_eq!(by(&PKI.stranger), expected("IssuerUnknown", "Sid Stranger"), "{form:?}");
        assert_eq!(by(&PKI.revoked), expected("CertificateRevoked", "Rita Revoked"), "{form:?}");
        assert_eq!(by(&PKI.expired), expected("CertificateExpired", "Eve Expired"), "{form:?}");
        assert_eq!(by(&PKI.proxy), expected("ProxyCertificate", "1234567890"), "{form:?}");
        let weak = sign_as(&list_of(&PKI.endorser), &[&PKI.endorser], form, "sha1");
        assert_eq!(judged(&weak), expected("DigestNotAllowed", "Erin Endorser"), "{form:?}");
    }
}
