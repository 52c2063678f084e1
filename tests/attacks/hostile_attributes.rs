//! The key of a signature with signed attributes signs those alone (RFC 5652 section 5.4): whoever brings them, repeats
//! them or leaves them out must not get another text believed.

use harness::der::{OCTET_STRING, SEQUENCE, SET, integer, oid, tlv};
use harness::pki::Identity;
use openssl::hash::MessageDigest;
use openssl::sha::sha256;
use openssl::sign::Signer;

use crate::trust::{PKI, endorser, list_of, verdict};

const DATA: &str = "1.2.840.113549.1.7.1";
const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
const UTF8_STRING: u8 = 0x0c;
const CONSTRUCTED_OCTET_STRING: u8 = 0x24;

fn attribute(kind: &str, values: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &[&oid(kind), &tlv(SET, values)])
}

fn content_type() -> Vec<u8> {
    attribute(CONTENT_TYPE, &[&oid(DATA)])
}

fn digest_of(text: &[u8]) -> Vec<u8> {
    attribute(MESSAGE_DIGEST, &[&tlv(OCTET_STRING, &[&sha256(text)])])
}

fn signature(by: &Identity, over: &[u8]) -> Vec<u8> {
    Signer::new(MessageDigest::sha256(), &by.key).unwrap().sign_oneshot_to_vec(over).unwrap()
}

/// A text with a signature of these parts: the signed attributes where there are any, the signature's value, and what is
/// behind it. It names the endorser.
fn message(text: &[u8], attributes: Option<&[u8]>, value: &[u8], behind: &[u8]) -> Vec<u8> {
    let endorser = &PKI.endorser;
    let own = &endorser.certificate;
    let serial = integer(&own.serial_number().to_bn().unwrap().to_vec());
    let named = tlv(SEQUENCE, &[&own.issuer_name().to_der().unwrap(), &serial]);
    let sha256 = tlv(SEQUENCE, &[&oid("2.16.840.1.101.3.4.2.1")]);
    let ecdsa = tlv(SEQUENCE, &[&oid("1.2.840.10045.4.3.2")]);
    let attributes = attributes.map(|attributes| tlv(0xa0, &[attributes])).unwrap_or_default();
    let value = tlv(OCTET_STRING, &[value]);
    let info = tlv(SEQUENCE, &[&integer(&[1]), &named, &sha256, &attributes, &ecdsa, &value, behind]);
    let all = std::iter::once(own).chain(&endorser.chain);
    let certificates: Vec<u8> = all.flat_map(|certificate| certificate.to_der().unwrap()).collect();
    let text = tlv(0xa0, &[&tlv(OCTET_STRING, &[text])]);
    let content = tlv(SEQUENCE, &[&oid(DATA), &text]);
    let (digests, carried) = (tlv(SET, &[&sha256]), tlv(0xa0, &[&certificates]));
    let signed = tlv(SEQUENCE, &[&integer(&[1]), &digests, &content, &carried, &tlv(SET, &[&info])]);
    tlv(SEQUENCE, &[&oid(SIGNED_DATA), &tlv(0xa0, &[&signed])])
}

/// The text with signed attributes that the endorser really signed.
fn with_attributes(text: &[u8], attributes: &[Vec<u8>]) -> Vec<u8> {
    let attributes = attributes.concat();
    message(text, Some(&attributes), &signature(&PKI.endorser, &tlv(SET, &[&attributes])), &[])
}

fn outcome(message: &[u8]) -> String {
    let outcome = verdict(message, &[endorser("erin", &PKI.endorser)]);
    outcome.map_or_else(|refusal| refusal.reason.to_string(), |_| "accepted".to_owned())
}

#[test]
fn attributes_that_do_not_say_one_digest_of_the_text() {
    let text = list_of(&PKI.endorser);
    let digest = tlv(OCTET_STRING, &[&sha256(&text)]);
    let long = [&[OCTET_STRING, 0x81, 32][..], &sha256(&text)].concat();
    let (own, other) = (digest_of(&text), digest_of(b"another text"));
    let [twice, mixed] = [&digest, &tlv(OCTET_STRING, &[&sha256(b"another text")])]
        .map(|second| attribute(MESSAGE_DIGEST, &[&digest, second]));
    let in_pieces = tlv(CONSTRUCTED_OCTET_STRING, &[&digest]);
    let table = [
        ("as they must be", vec![content_type(), own.clone()], "accepted"),
        ("in another order", vec![own.clone(), content_type()], "accepted"),
        ("of another text", vec![content_type(), other.clone()], "MessageDigestMismatch"),
        (
            "of no text",
            vec![content_type(), attribute(MESSAGE_DIGEST, &[&tlv(OCTET_STRING, &[])])],
            "MessageDigestMismatch",
        ),
        ("without a digest", vec![content_type()], "SignatureInvalid"),
        ("none", vec![], "SignatureInvalid"),
        ("the digest twice", vec![content_type(), own.clone(), own.clone()], "SignatureInvalid"),
        ("another digest first", vec![content_type(), other.clone(), own.clone()], "SignatureInvalid"),
        ("another digest behind", vec![content_type(), own, other], "SignatureInvalid"),
        ("a digest with two values", vec![content_type(), twice], "SignatureInvalid"),
        ("a digest with another value", vec![content_type(), mixed], "SignatureInvalid"),
        ("without a value", vec![content_type(), attribute(MESSAGE_DIGEST, &[])], "SignatureInvalid"),
        (
            "as a text",
            vec![content_type(), attribute(MESSAGE_DIGEST, &[&tlv(UTF8_STRING, &[&sha256(&text)])])],
            "SignatureInvalid",
        ),
        ("in pieces", vec![content_type(), attribute(MESSAGE_DIGEST, &[&in_pieces])], "SignatureInvalid"),
        // The octets that are there are those that were signed.
        ("with a length that is no DER", vec![content_type(), attribute(MESSAGE_DIGEST, &[&long])], "accepted"),
    ];
    for (name, attributes, expected) in table {
        assert_eq!(outcome(&with_attributes(&text, &attributes)), expected, "{name}");
    }
}

/// What somebody without the endorser's key can make of two signatures of the endorser.
#[test]
fn attributes_that_somebody_else_put_in_or_took_away() {
    let (text, other) = (list_of(&PKI.endorser), [list_of(&PKI.endorser), b"\n".to_vec()].concat());
    let attributes = |text: &[u8]| [content_type(), digest_of(text)].concat();
    let over_text = signature(&PKI.endorser, &text);
    let over_attributes = signature(&PKI.endorser, &tlv(SET, &[&attributes(&text)]));
    let behind = tlv(0xa1, &[&attribute("1.2.840.113549.1.9.16.2.47", &[&attributes(&other)])]);
    let by_stranger = signature(&PKI.stranger, &tlv(SET, &[&attributes(&text)]));
    let set = tlv(SET, &[&attributes(&text)]);
    let table = [
        ("a signature over the text", message(&text, None, &over_text, &[]), "accepted"),
        ("with attributes put in", message(&text, Some(&attributes(&text)), &over_text, &[]), "SignatureInvalid"),
        ("and another text", message(&other, Some(&attributes(&other)), &over_text, &[]), "SignatureInvalid"),
        ("a signature over attributes", message(&text, Some(&attributes(&text)), &over_attributes, &[]), "accepted"),
        ("by a stranger", message(&text, Some(&attributes(&text)), &by_stranger, &[]), "SignatureInvalid"),
        ("of none", message(&text, Some(&attributes(&text)), &[], &[]), "SignatureInvalid"),
        ("with its attributes taken away", message(&text, None, &over_attributes, &[]), "SignatureInvalid"),
        ("with its attributes as the text", message(&set, None, &over_attributes, &[]), "ListMalformed"),
        ("and another text", message(&other, Some(&attributes(&text)), &over_attributes, &[]), "MessageDigestMismatch"),
        (
            "and attributes of another text",
            message(&other, Some(&attributes(&other)), &over_attributes, &[]),
            "SignatureInvalid",
        ),
        // They may say anything: nobody signed them.
        (
            "with attributes that are not signed",
            message(&text, Some(&attributes(&text)), &over_attributes, &behind),
            "accepted",
        ),
        ("with those alone", message(&text, None, &over_attributes, &behind), "SignatureInvalid"),
        ("of another text alone", message(&other, None, &over_text, &behind), "SignatureInvalid"),
    ];
    for (name, message, expected) in table {
        assert_eq!(outcome(&message), expected, "{name}");
    }
}
