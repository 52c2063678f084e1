//! Every form, and every way to change one.

use std::sync::LazyLock;

use harness::gpg::PgpForm;
use harness::list::ListBuilder;
use vmcatcher_operator::trust::{EndorserRule, SignedMessage, accept, join_detached};

use super::{GOOD, GPG, endorser, list, list_naming, told, verdict};
use crate::trust::{IDENTIFIER, ask_nothing, now};

/// The endorser whose key is good.
fn greta() -> EndorserRule {
    static KEY: LazyLock<Vec<u8>> = LazyLock::new(|| GPG.export(&GOOD));
    endorser("greta", &GOOD, &KEY)
}

fn judged(message: &[u8]) -> String {
    told(verdict(message, &[greta()]))
}

/// A list whose lines gpg must change: dashes at their beginning, white space at their end. JSON does not mind.
fn awkward() -> Vec<u8> {
    let text = ListBuilder::new(IDENTIFIER, now()).endorser_names("/CN=a", "/CN=b").with("ad:depth", (-17).into());
    let text = String::from_utf8(text.json()).unwrap().replacen("-17", "\n-17 \t \n", 1);
    assert!(text.contains("\n-17 \t \n"), "{text}");
    text.into_bytes()
}

#[test]
fn every_form_is_read_and_the_json_is_what_was_hashed() {
    for text in [list(), awkward(), [&list()[..], b"\n\n \n"].concat()] {
        for form in PgpForm::ALL {
            let message = GPG.sign(&text, &GOOD, form);
            let list = verdict(&message, &[greta()]);
            let list = list.unwrap_or_else(|refusal| panic!("{form:?}: {refusal}"));
            assert_eq!(list.list().identifier.as_str(), IDENTIFIER, "{form:?}");
            let signer = &list.signers()[0];
            let name = format!("openpgp4fpr:{}", *GOOD);
            assert_eq!((&signer.subject, signer.issuer.as_str(), signer.not_after), (&name, "", None), "{form:?}");
            let payload = SignedMessage::read(&message).and_then(SignedMessage::into_payload).unwrap();
            let spaceless =
                |bytes: &[u8]| bytes.iter().copied().filter(|c| !c.is_ascii_whitespace()).collect::<Vec<_>>();
            assert_eq!(spaceless(&payload), spaceless(&text), "{form:?}");
        }
    }
}

#[test]
fn signatures_beside_the_list() {
    for text in [list(), awkward(), String::from_utf8(list()).unwrap().replace('\n', "\r\n").into_bytes()] {
        for more in [&[][..], &["--textmode"], &["--digest-algo", "SHA512"]] {
            let signature = GPG.detached(&text, &GOOD, more);
            assert_eq!(judged(&join_detached(&text, std::slice::from_ref(&signature))), "", "{more:?}");
            let other = [&text[..text.len() - 2], b" \n}"].concat();
            assert_eq!(judged(&join_detached(&other, &[signature])), "SignatureInvalid Some(0) false", "{more:?}");
        }
    }
    assert_eq!(judged(&GPG.detached(&list(), &GOOD, &[])), "SignatureInvalid None false", "no text");
}

/// PGP/MIME (RFC 3156): the headers of the text are signed with it, with CRLF.
#[test]
fn mail() {
    let part = [b"Content-Type: application/json\r\n\r\n", &list()[..]].concat();
    let part = String::from_utf8(part).unwrap().replace("\r\n", "\n").replace('\n', "\r\n");
    for more in [&[][..], &["--textmode"]] {
        let signature = String::from_utf8(GPG.detached(part.as_bytes(), &GOOD, more)).unwrap();
        let message = format!(
            "MIME-Version: 1.0\r\nContent-Type: multipart/signed; micalg=pgp-sha512; \
             protocol=\"application/pgp-signature\"; boundary=\"b\"\r\n\r\n--b\r\n{part}\r\n--b\r\n\
             Content-Type: application/pgp-signature; name=\"signature.asc\"\r\n\r\n{signature}\r\n--b--\r\n"
        );
        assert_eq!(judged(message.as_bytes()), "");
        assert_eq!(judged(message.replace("\r\n", "\n").as_bytes()), "", "with LF on its way");
        let changed = message.replace("Images for tests", "Images for fools");
        assert_eq!(judged(changed.as_bytes()), "SignatureInvalid Some(0) false");
    }
}

#[test]
fn any_octet_that_is_changed_is_seen() {
    for form in PgpForm::ALL {
        let message = GPG.sign(&list(), &GOOD, form);
        let step = message.len() / 97 + 1;
        for at in (0..message.len()).step_by(step) {
            let mut changed = message.clone();
            changed[at] ^= 4;
            let outcome = verdict(&changed, &[greta()]);
            if let Ok(taken) = outcome {
                // What is not signed may change: armour headers, the checksum, the name of the file inside.
                let payload = |bytes: &[u8]| SignedMessage::read(bytes).and_then(SignedMessage::into_payload).unwrap();
                assert_eq!(payload(&changed), payload(&message), "{form:?} at {at}");
                assert_eq!(taken.list().identifier.as_str(), IDENTIFIER);
            }
        }
    }
}

#[test]
fn what_stands_beside_the_signed_text_is_refused() {
    let clear = String::from_utf8(GPG.sign(&list(), &GOOD, PgpForm::Clear)).unwrap();
    let armor = String::from_utf8(GPG.sign(&list(), &GOOD, PgpForm::Armor)).unwrap();
    let binary = GPG.sign(&list(), &GOOD, PgpForm::Binary);
    let plain = GPG.sign(&list(), &GOOD, PgpForm::Uncompressed);
    let invalid = "SignatureInvalid None false";
    let cases: [(&str, Vec<u8>, &str); 11] = [
        ("before clear", format!("{{}}\n{clear}").into_bytes(), "Unsigned None false"),
        ("after clear", format!("{clear}{{}}\n").into_bytes(), invalid),
        ("another header", clear.replacen("\n\n", "\nComment: good\n\n", 1).into_bytes(), invalid),
        ("another digest", clear.replacen("Hash: SHA256", "Hash: SHA384", 1).into_bytes(), invalid),
        ("a dash", clear.replacen("\n\n", "\n\n-", 1).into_bytes(), invalid),
        ("two", format!("{clear}{clear}").into_bytes(), invalid),
        ("after armour", format!("{armor}{{}}\n").into_bytes(), invalid),
        ("two in armour", format!("{armor}{armor}").into_bytes(), invalid),
        ("after packets", [&binary[..], b"\x88"].concat(), invalid),
        ("two in packets", [&binary[..], &binary].concat(), invalid),
        ("cut off", plain[..plain.len() / 2].to_vec(), invalid),
    ];
    for (case, message, expected) in cases {
        assert_eq!(judged(&message), expected, "{case}");
    }
}

#[test]
fn a_message_inside_a_message_is_refused() {
    let inner = GPG.sign(&list(), &GOOD, PgpForm::Binary);
    for form in PgpForm::ALL {
        let outer = match form {
            PgpForm::Clear | PgpForm::ClearCrlf => GPG.sign(&GPG.sign(&list(), &GOOD, form), &GOOD, form),
            PgpForm::Binary | PgpForm::Armor | PgpForm::Uncompressed | PgpForm::Text => GPG.sign(&inner, &GOOD, form),
        };
        assert_eq!(judged(&outer), "ListMalformed None false", "{form:?}");
    }
    let unsigned = GPG.run(&["--store", "--output", "-"], &list());
    assert_eq!(judged(&unsigned), "Unsigned None false");
    let encrypted = GPG.run(&["--symmetric", "--passphrase", "secret", "--output", "-"], &list());
    assert_eq!(judged(&encrypted), "SignatureInvalid None false");
}

/// One hundred megabytes of zeros compress to a hundred kilobytes.
#[test]
fn compression_is_bounded() {
    let bomb = GPG.sign(&vec![b' '; 80 << 20], &GOOD, PgpForm::Binary);
    assert!(bomb.len() < 1 << 20, "{}", bomb.len());
    assert_eq!(judged(&bomb), "SignatureInvalid None false");
}

#[test]
fn a_fingerprint_in_the_list_must_be_the_signers() {
    let accepted = |list: &[u8]| {
        let message = GPG.sign(list, &GOOD, PgpForm::Clear);
        let list = verdict(&message, &[greta()]).unwrap();
        accept(list, &ask_nothing()).outcome.map(|_| ()).map_err(|refusal| refusal.reason.to_string())
    };
    assert_eq!(accepted(&list()), Ok(()), "a certificate's names are not compared");
    assert_eq!(accepted(&list_naming(&format!("openpgp4fpr:{}", *GOOD))), Ok(()));
    assert_eq!(accepted(&list_naming(&GOOD.to_lowercase())), Ok(()));
    assert_eq!(accepted(&list_naming(&"0".repeat(40))), Err("EndorserMismatch".to_owned()));
}
