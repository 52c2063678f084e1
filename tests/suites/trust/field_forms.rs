//! Messages as mail programs, archives and older tools leave them: what `openssl` reads, we read, and the same text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::signer::{Form, detached, sign};
use std::process::Command;

use super::{PKI, endorser, list_of, verdict};

/// The payload digest of a good message, which is that of the list's own text.
fn read(message: &[u8]) -> Result<String, String> {
    let outcome = verdict(message, &[endorser("erin", &PKI.endorser)]);
    outcome.map(|list| list.payload_digest().to_string()).map_err(|refusal| refusal.to_string())
}

/// Whether `openssl` takes it, and the text that it read.
fn openssl(command: &str, format: &str, message: &[u8]) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("message"), message).unwrap();
    std::fs::write(at("root"), PKI.root.certificate.to_pem().unwrap()).unwrap();
    let mut tool = Command::new("openssl");
    tool.args([command, "-verify", "-inform", format, "-no_check_time", "-in"]).arg(at("message"));
    tool.arg("-CAfile").arg(at("root")).arg("-out").arg(at("text"));
    tool.output().unwrap().status.success().then(|| std::fs::read(at("text")).unwrap())
}

fn lines(bytes: &[u8]) -> String {
    let digits = STANDARD.encode(bytes);
    let lines: Vec<&str> = digits.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join("\n") + "\n"
}

fn pem(label: &str) -> Vec<u8> {
    let der = sign(&list_of(&PKI.endorser), &PKI.endorser, Form::Der);
    format!("-----BEGIN {label}-----\n{}-----END {label}-----\n", lines(&der)).into_bytes()
}

/// A message whose signed part is this entity, signed as it is.
fn multipart(entity: &str) -> Vec<u8> {
    let signature = detached(entity.as_bytes(), &PKI.endorser, &["-binary", "-outform", "DER"]);
    let kind = "Content-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64";
    let encoded = lines(&signature).replace('\n', "\r\n");
    let head = "MIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=\"boundary42\"";
    format!("{head}\r\n\r\n--boundary42\r\n{entity}\r\n--boundary42\r\n{kind}\r\n\r\n{encoded}\r\n--boundary42--\r\n")
        .into_bytes()
}

fn quoted_printable(text: &[u8]) -> String {
    let mut out = String::new();
    let mut column = 0;
    for byte in text {
        let piece = match byte {
            b'\n' => "\r\n".to_owned(),
            b' '..=b'~' if *byte != b'=' => char::from(*byte).to_string(),
            other => format!("={other:02X}"),
        };
        if column + piece.len() > 70 && piece != "\r\n" {
            out.push_str("=\r\n");
            column = 0;
        }
        column = if piece == "\r\n" { 0 } else { column + piece.len() };
        out.push_str(&piece);
    }
    out
}

fn encoded(encoding: &str, body: &str) -> Vec<u8> {
    multipart(&format!(
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}"
    ))
}

#[test]
fn what_openssl_reads_is_read_and_is_the_same_list() {
    let text = list_of(&PKI.endorser);
    let smime = sign(&text, &PKI.endorser, Form::Detached);
    let opaque = sign(&text, &PKI.endorser, Form::Opaque);
    let plain = read(&smime).unwrap();
    let before = |bytes: &[u8], message: &[u8]| [bytes, message].concat();
    let from = b"From erin@example.org Sun Nov 29 11:34:03 2026\n";
    let around = [b"Our list, signed:\n\n".as_slice(), &pem("CMS"), b"\n-- \nErin\n"].concat();
    let table: Vec<(&str, &str, &str, Vec<u8>)> = vec![
        ("a mark before the header", "cms", "SMIME", before(b"\xef\xbb\xbf", &smime)),
        ("a From line", "cms", "SMIME", before(from, &smime)),
        ("a From line, opaque", "cms", "SMIME", before(from, &opaque)),
        ("a mark before PEM", "cms", "PEM", before(b"\xef\xbb\xbf", &pem("CMS"))),
        ("PKCS7", "cms", "PEM", pem("PKCS7")),
        ("PKCS #7 SIGNED DATA", "smime", "PEM", pem("PKCS #7 SIGNED DATA")),
        ("text around PEM", "cms", "PEM", around),
        ("base64", "cms", "SMIME", encoded("base64", lines(&text).replace('\n', "\r\n").trim_end())),
        ("Base64 in capitals", "cms", "SMIME", encoded("BASE64", lines(&text).replace('\n', "\r\n").trim_end())),
        ("quoted-printable", "cms", "SMIME", encoded("quoted-printable", &quoted_printable(&text))),
    ];
    for (case, command, format, message) in table {
        assert!(openssl(command, format, &message).is_some(), "{case}: openssl refuses it");
        assert_eq!(read(&message), Ok(plain.clone()), "{case}");
    }
}

/// Only what was hashed is read: nothing beside the signed part, and no second way to read it.
#[test]
fn nothing_beside_what_was_signed_is_read() {
    let text = list_of(&PKI.endorser);
    let other = String::from_utf8(text.clone()).unwrap().replace("Images for tests", "Other images");
    let evil = lines(other.as_bytes());
    let good = pem("CMS");
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("two PEM blocks", [good.clone(), pem("PKCS7")].concat()),
        ("two PEM blocks of two labels", [good.clone(), b"\n".to_vec(), pem("PKCS #7 SIGNED DATA")].concat()),
        ("a list before PEM", [other.as_bytes(), b"\n", &good].concat()),
        ("PEM that is cut off", good[..good.len() - 20].to_vec()),
        ("bad base64", encoded("base64", "e30=!")),
        ("base64 with text behind its end", encoded("base64", "e30=e30=")),
        ("bad quoted-printable", encoded("quoted-printable", "{=7}")),
        ("an unknown encoding", encoded("x-uuencode", "{}")),
        (
            "two encodings",
            multipart(&format!("Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit\r\n\r\n{evil}")),
        ),
    ];
    for (case, message) in table {
        let refused = read(&message).expect_err(case);
        assert!(!refused.contains("Other images"), "{case}: {refused}");
    }
    // What stands around one block of PEM is read by nobody.
    let beside = [b"hv:imagelist\n".as_slice(), &good, other.as_bytes()].concat();
    assert_eq!(read(&beside), read(&good));
}

#[test]
fn what_is_refused_is_told_by_what_it_is() {
    let text = String::from_utf8(list_of(&PKI.endorser)).unwrap();
    // As it stands: in text mode openssl ends at a zero octet.
    let sign = |bytes: &[u8]| sign(bytes, &PKI.endorser, Form::DetachedBinary);
    let utf16 = |order: fn(u16) -> [u8; 2], mark: bool| {
        let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
        units.flat_map(order).collect::<Vec<u8>>()
    };
    let table = [
        ("a mark", sign(format!("\u{feff}{text}").as_bytes()), "a byte order mark"),
        ("UTF-16 with a mark", sign(&utf16(u16::to_le_bytes, true)), "UTF-16"),
        ("UTF-16", sign(&utf16(u16::to_be_bytes, false)), "UTF-16"),
        ("an encoding", encoded("x-uuencode", "{}"), "x-uuencode"),
        ("two PEM blocks", [pem("CMS"), pem("PKCS7")].concat(), "2 PEM blocks"),
        ("another PEM", b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n".to_vec(), "CERTIFICATE"),
        ("a gzip file", b"\x1f\x8b\x08\x00abc".to_vec(), "gzip"),
        ("a mark before nothing", b"\xef\xbb\xbf".to_vec(), "nothing"),
    ];
    for (case, message, expected) in table {
        let refused = read(&message).expect_err(case);
        assert!(refused.contains(expected), "{case}: {refused}");
    }
}
