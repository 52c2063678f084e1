//! Packets (RFC 9580 section 4), read to the last octet, and the structure of a signed message (section 10.3).

use std::io::Read;

use flate2::bufread::{DeflateDecoder, ZlibDecoder};
use pgp::packet::{CompressedData, Decompressor, OnePassSignature, Packet, PacketParser, Signature};

/// The maximum number of packets in a message or in a file with keys.
const MOST_PACKETS: usize = 20_000;
/// The maximum number of signatures in one message.
pub(super) const MOST_SIGNATURES: usize = 16;

/// A text and the signatures over it.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) text: Vec<u8>,
    pub(super) signatures: Vec<Signature>,
    pub(super) compressed: bool,
}

/// Reads all packets. Remaining bytes and unreadable packets are errors.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Packet>, String> {
    let mut rest = bytes;
    let mut packets = Vec::new();
    while !rest.is_empty() {
        if packets.len() == MOST_PACKETS {
            return Err(format!("more than {MOST_PACKETS} OpenPGP packets"));
        }
        match PacketParser::new(&mut rest).next() {
            Some(Ok(packet)) => packets.push(packet),
            Some(Err(error)) => return Err(format!("an OpenPGP packet that cannot be read: {error}")),
            None => return Err("an OpenPGP packet that is cut off".to_owned()),
        }
    }
    Ok(packets)
}

/// The signatures of a block that contains nothing else.
pub(super) fn signatures(bytes: &[u8]) -> Result<Vec<Signature>, String> {
    let signature = |packet| match packet {
        Packet::Signature(signature) => Ok(signature),
        other => Err(format!("{} where a signature was expected", name(&other))),
    };
    bounded(read(bytes)?.into_iter().filter(counts).map(signature).collect::<Result<_, _>>()?)
}

/// Parses a signed message that contains its text; `None` if the text is not signed. `largest` is the maximum size of
/// the decompressed data, in bytes.
pub(super) fn signed(bytes: &[u8], largest: usize) -> Result<Option<Signed>, String> {
    let packets = read(bytes)?;
    let mut found: Vec<Packet> = packets.into_iter().filter(counts).collect();
    if let [Packet::CompressedData(inner)] = found.as_slice() {
        let decompressed = decompress(inner, largest)?;
        found = read(&decompressed)?.into_iter().filter(counts).collect();
        return Ok(shape(found)?.map(|signed| Signed { compressed: true, ..signed }));
    }
    shape(found)
}

/// Whether the packet matters. Markers and padding are ignored (RFC 9580 sections 5.8 and 5.14).
fn counts(packet: &Packet) -> bool {
    !matches!(packet, Packet::Marker(_) | Packet::Padding(_))
}

/// Decompresses one layer, up to a maximum size. The content must not be compressed again, because a signed message
/// contains one literal data packet. Nothing may follow the compressed stream.
fn decompress(packet: &CompressedData, largest: usize) -> Result<Vec<u8>, String> {
    let kind = packet.decompress().map_err(|error| format!("compressed data that cannot be read: {error}"))?;
    let mut rest = packet.compressed_data();
    let bytes = match kind {
        Decompressor::Uncompressed(_) => read_bounded(&mut rest, largest),
        Decompressor::Zip(_) => read_bounded(DeflateDecoder::new(&mut rest), largest),
        Decompressor::Zlib(_) => read_bounded(ZlibDecoder::new(&mut rest), largest),
    }?;
    if rest.is_empty() { Ok(bytes) } else { Err("something after compressed data".to_owned()) }
}

fn read_bounded(reader: impl Read, largest: usize) -> Result<Vec<u8>, String> {
    let limit = u64::try_from(largest).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let read = reader.take(limit).read_to_end(&mut bytes);
    read.map_err(|error| format!("compressed data that cannot be read: {error}"))?;
    if bytes.len() > largest {
        return Err(format!("compressed data of more than {largest} bytes"));
    }
    Ok(bytes)
}

/// Checks the structure: one-pass signatures, one literal data packet, and the same number of signatures in reverse
/// order. Each signature must be over the literal data only.
fn shape(packets: Vec<Packet>) -> Result<Option<Signed>, String> {
    let mut announced: Vec<OnePassSignature> = Vec::new();
    let mut literal = None;
    let mut signatures = Vec::new();
    for packet in packets {
        match (packet, &literal) {
            (Packet::OnePassSignature(one), None) => announced.push(one),
            (Packet::LiteralData(data), None) => literal = Some(data.into_bytes().to_vec()),
            (Packet::Signature(signature), Some(_)) => signatures.push(signature),
            (Packet::LiteralData(_), Some(_)) => return Err("a second text in one OpenPGP message".to_owned()),
            (other, _) => return Err(format!("{} in a signed OpenPGP message", name(&other))),
        }
    }
    let Some(text) = literal else { return Err("an OpenPGP message without a text".to_owned()) };
    let matching = announced.len() == signatures.len()
        && announced.iter().zip(signatures.iter().rev()).all(|(one, signature)| one.matches(signature));
    if !matching {
        return Err("signatures that are not those which the OpenPGP message announces".to_owned());
    }
    // All one-pass signatures except the last must have the flag that another signature over the same text follows.
    if announced.iter().rev().skip(1).any(|one| !one.is_nested()) {
        return Err("a signature over a signed OpenPGP message, expected one over the text".to_owned());
    }
    if signatures.is_empty() {
        return Ok(None);
    }
    Ok(Some(Signed { text, signatures: bounded(signatures)?, compressed: false }))
}

fn bounded(signatures: Vec<Signature>) -> Result<Vec<Signature>, String> {
    match signatures.len() {
        0 => Err("no OpenPGP signature".to_owned()),
        1..=MOST_SIGNATURES => Ok(signatures),
        many => Err(format!("{many} OpenPGP signatures, expected at most {MOST_SIGNATURES}")),
    }
}

/// A description of a packet, for messages.
fn name(packet: &Packet) -> &'static str {
    match packet {
        Packet::CompressedData(_) => "compressed data",
        Packet::PublicKey(_) | Packet::PublicSubkey(_) => "a public key",
        Packet::SecretKey(_) | Packet::SecretSubkey(_) => "a secret key",
        Packet::LiteralData(_) => "a text",
        Packet::OnePassSignature(_) => "the announcement of a signature",
        Packet::Signature(_) => "a signature",
        Packet::PublicKeyEncryptedSessionKey(_)
        | Packet::SymKeyEncryptedSessionKey(_)
        | Packet::SymEncryptedData(_)
        | Packet::SymEncryptedProtectedData(_)
        | Packet::GnupgAeadData(_) => "encrypted data",
        Packet::Marker(_)
        | Packet::ModDetectionCode(_)
        | Packet::Trust(_)
        | Packet::UserAttribute(_)
        | Packet::UserId(_)
        | Packet::Padding(_) => "another packet",
    }
}
