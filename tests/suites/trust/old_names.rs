//! Names in the string types of old CAs, and in every spelling in which people have them.

use harness::list::ListBuilder;
use harness::pki::{CertificateSpec, Identity, Pki};
use harness::signer::{Form, sign};
use openssl::x509::X509Name;
use vmcatcher_operator::trust::{CredentialKind, DistinguishedName, Refusal, accept};

use super::{IDENTIFIER, PKI, ask_nothing, endorser, list_of, now, verdict};

const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const T61: u8 = 0x14;
const UNIVERSAL: u8 = 0x1c;
const BMP: u8 = 0x1e;

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    harness::der::tlv(tag, &[content])
}

/// `C=XX`, `O=Bars`, and a common name of any string type.
fn name(tag: u8, value: &[u8]) -> X509Name {
    let rdn = |number: u8, tag, value: &[u8]| {
        tlv(0x31, &tlv(0x30, &[tlv(0x06, &[0x55, 0x04, number]), tlv(tag, value)].concat()))
    };
    let rdns = [rdn(6, PRINTABLE, b"XX"), rdn(10, PRINTABLE, b"Bars"), rdn(3, tag, value)].concat();
    X509Name::from_der(&tlv(0x30, &rdns)).unwrap()
}

fn person(tag: u8, value: &[u8]) -> Identity {
    PKI.intermediate.issue(&CertificateSpec::person("/CN=x", now()).named(&name(tag, value)))
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn utf32(text: &str) -> Vec<u8> {
    text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect()
}

/// `Jörg Müller` in every string type that can hold it.
fn joerg() -> Vec<(&'static str, Identity)> {
    let text = "Jörg Müller";
    vec![
        ("UTF8String", person(UTF8, text.as_bytes())),
        ("T61String in Latin-1", person(T61, b"J\xf6rg M\xfcller")),
        ("BMPString", person(BMP, &utf16(text))),
        ("UniversalString", person(UNIVERSAL, &utf32(text))),
    ]
}

const SPELLINGS: [&str; 10] = [
    "/C=XX/O=Bars/CN=Jörg Müller",
    r"/C=XX/O=Bars/CN=J\xC3\xB6rg M\xC3\xBCller",
    r"/C=XX/O=Bars/CN=J\xF6rg M\xFCller",
    "CN=Jörg Müller,O=Bars,C=XX",
    "C = XX, O = Bars, CN = Jörg Müller",
    r"subject=C = XX, O = Bars, CN = J\C3\B6rg M\C3\BCller",
    "subject= /C=XX/O=Bars/CN=Jörg Müller",
    "subject=C=XX, O=Bars, CN=Jörg Müller",
    "subject=CN=Jörg Müller,O=Bars,C=XX",
    " /C=XX/O=Bars/CN=Jörg Müller \n",
];

fn accepted(signer: &Identity, named: &str, credential: &str) -> Result<(), Refusal> {
    let mut rule = endorser("joerg", signer);
    let CredentialKind::X509 { subject, .. } = &mut rule.credentials[0].kind else { panic!("a certificate") };
    *subject = credential.parse().unwrap_or_else(|error| panic!("{error}"));
    let list = ListBuilder::new(IDENTIFIER, now()).endorser(signer).images(1).json();
    let mut list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    list["hv:imagelist"]["hv:endorser"]["hv:x509"]["hv:dn"] = named.into();
    let message = sign(list.to_string().as_bytes(), signer, Form::Der);
    accept(verdict(&message, &[rule])?, &ask_nothing()).outcome.map(|_| ())
}

#[test]
fn one_name_in_every_string_type_and_spelling() {
    for (kind, signer) in joerg() {
        for spelling in SPELLINGS {
            let outcome = accepted(&signer, spelling, spelling);
            assert!(outcome.is_ok(), "{kind}, {spelling:?}: {outcome:?}");
        }
    }
}

/// What OpenSSL itself prints of a certificate, in each of its forms, is the certificate's name.
#[test]
fn what_openssl_prints_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, signer) in joerg() {
        let path = folder.path().join("certificate.pem");
        std::fs::write(&path, signer.certificate.to_pem().unwrap()).unwrap();
        let subject = DistinguishedName::of_subject(&signer.certificate.to_der().unwrap()).unwrap();
        for options in
            [&[][..], &["-nameopt", "RFC2253"], &["-nameopt", "oneline"], &["-nameopt", "oneline,-esc_msb,utf8"]]
        {
            let mut command = std::process::Command::new("openssl");
            command.args(["x509", "-noout", "-subject", "-in"]).arg(&path).args(options);
            let printed = String::from_utf8(command.output().unwrap().stdout).unwrap();
            // Bytes above 127 of another type than UTF8String are printed as \xNN only where they are escaped.
            assert_eq!(printed.parse(), Ok(subject.clone()), "{kind} {options:?}: {printed:?}");
        }
    }
}

/// What differs to a person differs, whatever it is made of.
#[test]
fn other_names_stay_others() {
    let signer = person(UTF8, "Jörg Müller".as_bytes());
    let zero_width = "/C=XX/O=Bars/CN=Jörg\u{200b} Müller";
    let others = [
        "/C=XX/O=Bars/CN=Jorg Muller",
        "/C=XX/O=Bars/CN=JörgMüller",
        "/C=XX/CN=Bars/O=Jörg Müller",
        "/O=Bars/C=XX/CN=Jörg Müller",
        zero_width,
        "/C=XX/O=Bars/CN=Jörg Müller\u{ad}",
        "/C=XX/O=Bars/CN=Jörg\u{a0}Müller",
        "/C=XX/O=Bars/CN=Ｊörg Müller",
        "/C=XX/O=Bars/CN=Jörg Müller\\x00",
    ];
    for other in others {
        let refusal = accepted(&signer, other, "/C=XX/O=Bars/CN=Jörg Müller").unwrap_err();
        assert_eq!(refusal.reason.as_str(), "EndorserMismatch", "{other:?}");
        let refusal = accepted(&signer, "/C=XX/O=Bars/CN=Jörg Müller", other).unwrap_err();
        assert_eq!(refusal.reason.as_str(), "EndorserNotTrusted", "{other:?}");
    }
    let refusal = accepted(&signer, zero_width, "/C=XX/O=Bars/CN=Jörg Müller").unwrap_err();
    for shown in
        [r"/C=XX/O=Bars/CN=J\xC3\xB6rg\xE2\x80\x8B M\xC3\xBCller", r"/C=XX/O=Bars/CN=J\xC3\xB6rg M\xC3\xBCller"]
    {
        assert!(refusal.message.contains(shown), "{refusal}");
    }
}

/// A refusal quotes the name that was expected beside the one that was found.
#[test]
fn a_signer_whom_nobody_names_is_told_with_the_names_that_were_expected() {
    let refusal =
        verdict(&sign(&list_of(&PKI.second), &PKI.second, Form::Der), &[endorser("erin", &PKI.endorser)]).unwrap_err();
    for shown in [PKI.endorser.subject(), PKI.second.subject(), PKI.second.issuer()] {
        assert!(refusal.message.contains(&shown), "{refusal}");
    }
    let twin = Pki::at(now());
    let mut rule = endorser("erin", &PKI.endorser);
    let CredentialKind::X509 { issuer, .. } = &mut rule.credentials[0].kind else { panic!("a certificate") };
    *issuer = Some(twin.root.subject().parse().unwrap());
    let refusal = verdict(&sign(&list_of(&PKI.endorser), &PKI.endorser, Form::Der), &[rule]).unwrap_err();
    for shown in [PKI.root.subject(), PKI.endorser.issuer()] {
        assert!(refusal.message.contains(&format!("issuer {shown}")), "{refusal}");
    }
}
