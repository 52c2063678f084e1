//! `Content-Encoding` (RFC 9110 section 8.4). The client never requests it, but some servers and proxies compress
//! anyway.

use std::io::{BufRead, ErrorKind, Read};

use bytes::{Buf, Bytes};
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

use crate::text::one_line;

/// The maximum number of decoded bytes that are returned at once, so that a small response cannot become a large one in
/// memory.
const PIECE: usize = 64 * 1024;

/// The encoding of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Not encoded.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1950.
    Deflate,
    /// An unsupported encoding, with the name that the server uses.
    Other(String),
}

impl Encoding {
    /// The encoding in the headers of a response.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let all = headers.get_all(CONTENT_ENCODING).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let all: Vec<String> = all.flat_map(|value| value.split(',').map(str::to_owned).collect::<Vec<_>>()).collect();
        let mut coded =
            all.iter().map(|one| one.trim().to_ascii_lowercase()).filter(|one| !one.is_empty() && one != "identity");
        match (coded.next().as_deref(), coded.next()) {
            (None, _) => Self::Identity,
            (Some("gzip" | "x-gzip"), None) => Self::Gzip,
            (Some("deflate"), None) => Self::Deflate,
            (Some(_), _) => Self::Other(one_line(all.join(",").as_bytes(), 40)),
        }
    }

    /// The name of the encoding.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Deflate => Some("deflate"),
            Self::Other(name) => Some(name),
        }
    }

    /// Whether it can be decoded here.
    pub(super) fn is_known(&self) -> bool {
        match self {
            Self::Gzip | Self::Deflate => true,
            Self::Identity | Self::Other(_) => false,
        }
    }

    /// The decoder; `None` if the encoding is unknown. Some servers write other values into the header (a character
    /// set, `none`). So a body with an unknown encoding is not decoded, and signatures and digests are verified later
    /// anyway.
    pub(super) fn decoder(&self) -> Option<Decoder> {
        let input = Input { bytes: Bytes::new(), ended: false };
        match self {
            Self::Identity | Self::Other(_) => None,
            Self::Gzip => Some(Decoder(Inner::Gzip(Box::new(MultiGzDecoder::new(input))))),
            Self::Deflate => Some(Decoder(Inner::Deflate(Box::new(ZlibDecoder::new(input))))),
        }
    }
}

/// Decodes a body piece by piece.
#[derive(Debug)]
pub(super) struct Decoder(Inner);

#[derive(Debug)]
enum Inner {
    Gzip(Box<MultiGzDecoder<Input>>),
    Deflate(Box<ZlibDecoder<Input>>),
}

/// The output of a decoder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// At most [`PIECE`] bytes.
    Piece(Bytes),
    /// It needs more input.
    Hungry,
    /// The end of the encoded data.
    End,
}

/// Input that has not been decoded yet.
#[derive(Debug)]
struct Input {
    bytes: Bytes,
    ended: bool,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.bytes.is_empty() && !self.ended { Err(ErrorKind::WouldBlock.into()) } else { Ok(&self.bytes) }
    }

    fn consume(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

impl Decoder {
    /// Whether the first bytes can have this encoding. Some servers declare gzip for a file that is not compressed.
    pub(super) fn takes(&self, first: &[u8]) -> bool {
        match self.0 {
            Inner::Gzip(_) => first.first() == Some(&0x1f),
            Inner::Deflate(_) => true,
        }
    }

    /// Adds input. May only be called after [`Decoded::Hungry`].
    pub(super) fn feed(&mut self, bytes: Bytes) {
        self.input().bytes = bytes;
    }

    /// Marks the end of the input.
    pub(super) fn end(&mut self) {
        self.input().ended = true;
    }

    /// The next piece; an error if the input does not have the encoding, or is incomplete.
    pub(super) fn next(&mut self) -> Result<Decoded, String> {
        let mut piece = vec![0; PIECE];
        let read = match &mut self.0 {
            Inner::Gzip(decoder) => decoder.read(&mut piece),
            Inner::Deflate(decoder) => decoder.read(&mut piece),
        };
        match read {
            Ok(0) => Ok(Decoded::End),
            Ok(count) => {
                piece.truncate(count);
                Ok(Decoded::Piece(piece.into()))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Decoded::Hungry),
            Err(error) => Err(format!("expected what the Content-Encoding says, found other bytes: {error}")),
        }
    }

    fn input(&mut self) -> &mut Input {
        match &mut self.0 {
            Inner::Gzip(decoder) => decoder.get_mut(),
            Inner::Deflate(decoder) => decoder.get_mut(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Decodes bytes that come in steps of that size.
    fn decode(encoding: &Encoding, encoded: &[u8], step: usize) -> Result<Vec<u8>, String> {
        let mut decoder = encoding.decoder().unwrap();
        let mut steps = encoded.chunks(step);
        let mut all = Vec::new();
        loop {
            match decoder.next()? {
                Decoded::Piece(piece) => {
                    assert!(piece.len() <= PIECE);
                    all.extend_from_slice(&piece);
                }
                Decoded::Hungry => match steps.next() {
                    Some(bytes) => decoder.feed(Bytes::copy_from_slice(bytes)),
                    None => decoder.end(),
                },
                Decoded::End => return Ok(all),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_was_encoded_comes_back_however_it_is_cut(
            bytes in proptest::collection::vec(0_u8..4, 0..20_000), step in 1_usize..5_000, cut in 0_usize..20_000,
        ) {
            for (encoding, encoded) in [(Encoding::Gzip, gzip(&bytes)), (Encoding::Deflate, zlib(&bytes))] {
                prop_assert_eq!(&decode(&encoding, &encoded, step).unwrap(), &bytes);
                let cut = cut % encoded.len();
                prop_assert!(decode(&encoding, &encoded[..cut], step).is_err(), "{:?} cut at {}", encoding, cut);
            }
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), step in 1_usize..500) {
            let _decoded = (decode(&Encoding::Gzip, &bytes, step), decode(&Encoding::Deflate, &bytes, step));
        }
    }

    #[test]
    fn members_behind_each_other_are_one_answer_and_anything_else_behind_is_none() {
        let both = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(decode(&Encoding::Gzip, &both, 7).unwrap(), b"one two");
        assert!(
            Encoding::Gzip.decoder().unwrap().takes(&both) && !Encoding::Gzip.decoder().unwrap().takes(b"MIME-Version")
        );
        assert!(decode(&Encoding::Gzip, &[gzip(b"one"), b"junk behind it".to_vec()].concat(), 7).is_err());
    }

    #[test]
    fn what_a_server_says_is_read_and_never_guessed() {
        let cases: [(&[&str], Encoding); 9] = [
            (&[], Encoding::Identity),
            (&["identity"], Encoding::Identity),
            (&["gzip"], Encoding::Gzip),
            (&[" X-GZIP "], Encoding::Gzip),
            (&["identity, gzip"], Encoding::Gzip),
            (&["deflate"], Encoding::Deflate),
            (&["br"], Encoding::Other("br".to_owned())),
            (&["gzip, gzip"], Encoding::Other("gzip, gzip".to_owned())),
            (&["gzip", "br"], Encoding::Other("gzip,br".to_owned())),
        ];
        for (values, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            assert_eq!(Encoding::of(&headers), expected, "{values:?}");
        }
        assert!(Encoding::Other("br".to_owned()).decoder().is_none());
    }
}
