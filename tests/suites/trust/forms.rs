//! Every form of S/MIME and CMS, made by the `openssl` command.

use harness::pki::CertificateSpec;
use harness::signer::{Form, sign, sign_as, sign_with};
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use vmcatcher_operator::trust::{RefusalReason, SignedMessage};

use super::{IDENTIFIER, PKI, endorser, list_of, now, told, verdict};

#[test]
fn every_form_gives_the_same_list_and_signer() {
    let text = list_of(&PKI.endorser);
    let mut payloads = Vec::new();
    for form in Form::ALL {
        let message = sign(&text, &PKI.endorser, form);
        let list = verdict(&message, &[endorser("erin", &PKI.endorser)]).unwrap_or_else(|e| panic!("{form:?}: {e}"));
        assert_eq!(list.list().identifier.as_str(), IDENTIFIER, "{form:?}");
        assert_eq!(list.list().images.len(), 2, "{form:?}");
        let signer = &list.signers()[0];
        assert_eq!(
            (signer.endorser.as_deref(), signer.credential.as_deref()),
            (Some("erin"), Some("only")),
            "{form:?}"
        );
        assert_eq!((&signer.subject, &signer.issuer), (&PKI.endorser.subject(), &PKI.endorser.issuer()), "{form:?}");
        payloads.push(list.payload_digest());
    }
    payloads.dedup();
    assert_eq!(payloads.len(), 1, "one list in any form is one payload");
}

#[test]
fn every_digest_has_its_verdict_in_every_form() {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let signer = PKI.intermediate.issue(&CertificateSpec::person("/DC=org/CN=Rasmus Rsa", now()).key(&key));
    let text = list_of(&signer);
    let endorsers = [endorser("rasmus", &signer)];
    for form in [Form::Detached, Form::Opaque, Form::NoAttributes, Form::DetachedSmime] {
        for digest in ["sha256", "sha384", "sha512", "sha224"] {
            let message = sign_as(&text, &[&signer], form, digest);
            assert!(verdict(&message, &endorsers).is_ok(), "{form:?} {digest}");
        }
        let weak = [("sha1", "SHA-1", RefusalReason::DigestNotAllowed), ("md5", "MD5", RefusalReason::DigestBroken)];
        for (digest, name, reason) in weak {
            let message = sign_as(&text, &[&signer], form, digest);
            let refusal = verdict(&message, &endorsers).unwrap_err();
            assert_eq!(refusal.reason, reason, "{form:?} {digest}");
            assert!(refusal.message.contains(name), "{refusal}");
        }
    }
}

/// RSA-PSS with every parameter that `openssl` writes, over the attributes and over the text itself.
#[test]
fn every_parameter_of_pss_is_read() {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let signer = PKI.intermediate.issue(&CertificateSpec::person("/DC=org/CN=Rasmus Rsa", now()).key(&key));
    let text = list_of(&signer);
    let endorsers = [endorser("rasmus", &signer)];
    let pss = |form, digest, more: &[&str]| {
        let options = more.iter().flat_map(|option| ["-keyopt", option]);
        let options: Vec<&str> = ["-keyopt", "rsa_padding_mode:pss"].into_iter().chain(options).collect();
        verdict(&sign_with(&text, &[&signer], form, digest, &options), &endorsers)
    };
    for form in [Form::Detached, Form::Opaque, Form::NoAttributes] {
        for digest in ["sha256", "sha512"] {
            for salt in ["0", "20", "127", "128", "digest", "max"] {
                for mask in ["sha1", "sha256", "sha384"] {
                    let more = [format!("rsa_pss_saltlen:{salt}"), format!("rsa_mgf1_md:{mask}")];
                    let outcome = pss(form, digest, &[&more[0], &more[1]]);
                    assert!(outcome.is_ok(), "{form:?} {digest} {salt} {mask}: {outcome:?}");
                }
            }
        }
        let weak = pss(form, "sha1", &[]).unwrap_err();
        assert_eq!(weak.reason, RefusalReason::DigestNotAllowed, "{form:?}");
    }
}

/// Any byte of the text, the signature or the frame may change on the way: never another list, never a panic.
#[test]
fn a_changed_byte_is_refused_or_changes_nothing() {
    let text = list_of(&PKI.endorser);
    let endorsers = [endorser("erin", &PKI.endorser)];
    for form in [Form::Detached, Form::DetachedText, Form::Opaque, Form::Der] {
        let message = sign(&text, &PKI.endorser, form);
        let good = verdict(&message, &endorsers).unwrap();
        let step = message.len() / 150 + 1;
        for index in (0..message.len()).step_by(step) {
            let mut changed = message.clone();
            changed[index] ^= 0x04;
            if let Ok(list) = verdict(&changed, &endorsers) {
                assert_eq!(list.payload_digest(), good.payload_digest(), "{form:?} at {index}");
            }
        }
        for length in (0..message.len()).step_by(step) {
            let cut = verdict(&message[..length], &endorsers);
            assert!(
                cut.is_err() || cut.is_ok_and(|l| l.payload_digest() == good.payload_digest()),
                "{form:?} {length}"
            );
        }
    }
}

#[test]
fn what_is_not_signed_is_told_apart_from_what_is_signed_badly() {
    let text = list_of(&PKI.endorser);
    let detached = sign(&text, &PKI.endorser, Form::Detached);
    let boundary_cut = &detached[..detached.len() - 60];
    let nested = sign(&detached, &PKI.endorser, Form::Opaque);
    let table: [(&str, &[u8], &str); 10] = [
        ("OpenPGP", b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{}\n", "SignatureInvalid"),
        ("plain JSON", &text, "Unsigned"),
        ("nothing", b"", "Unsigned"),
        ("HTML", b"<html><body>404</body></html>", "Unsigned"),
        ("plain mail", b"Content-Type: text/plain\n\nhello", "Unsigned"),
        ("cut off", boundary_cut, "SignatureInvalid"),
        ("no CMS", b"0\x03abc", "SignatureInvalid"),
        ("PEM of nothing", b"-----BEGIN CMS-----\nMAA=\n-----END CMS-----\n", "SignatureInvalid"),
        (
            "two PEM blocks",
            &[sign(&text, &PKI.endorser, Form::Pem), sign(&text, &PKI.second, Form::Pem)].concat(),
            "SignatureInvalid",
        ),
        ("a message in a message", &nested, "ListMalformed"),
    ];
    for (name, message, reason) in table {
        let refusal = verdict(message, &[endorser("erin", &PKI.endorser)]).unwrap_err();
        assert_eq!(refusal.reason.as_str(), reason, "{name}: {refusal}");
    }
}

/// A message may carry any certificates: another one of the signer's issuer and serial number is not taken for it.
#[test]
fn a_certificate_that_only_looks_like_the_signers_is_not_judged() {
    let text = list_of(&PKI.endorser);
    let mut forged = PKI.stranger.clone();
    forged.chain = vec![PKI.endorser.certificate.clone(), PKI.intermediate.certificate.clone()];
    let message = sign(&text, &forged, Form::Detached);
    let refusal = verdict(&message, &[endorser("erin", &PKI.endorser)]).unwrap_err();
    assert_eq!(told(&refusal), ("IssuerUnknown".to_owned(), "Sid Stranger".to_owned(), Some(0)));
    let read = SignedMessage::read(&message);
    assert!(read.is_ok());
}
