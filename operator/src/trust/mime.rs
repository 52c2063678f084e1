//! The parts of MIME (RFC 2045, 2046) that signed lists need. No library is used, because the signed part must keep its
//! exact bytes.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use data_encoding::HEXLOWER_PERMISSIVE;

/// Headers and a body.
#[derive(Debug, Clone)]
pub(super) struct Entity<'a> {
    /// The headers as UTF-8. Other bytes (such as names in Latin-1) are replaced; they are not needed here.
    headers: Cow<'a, str>,
    /// The bytes after the empty line, not decoded.
    pub(super) body: &'a [u8],
}

/// The maximum number of octets of headers that are read.
const LONGEST_HEADERS: usize = 64 << 10;

impl<'a> Entity<'a> {
    /// Splits headers from body. `None` if the bytes do not begin with a header.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let begin = &bytes[..bytes.len().min(LONGEST_HEADERS)];
        let mut end = 0;
        loop {
            let line = line(&begin[end..])?;
            let text = line.strip_suffix(b"\n")?;
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if text.is_empty() {
                let headers = String::from_utf8_lossy(&begin[..end]);
                let body = &bytes[end + line.len()..];
                return (end > 0).then_some(Self { headers, body });
            }
            if !continues(text) && !begins_header(text) {
                return None;
            }
            end += line.len();
        }
    }

    /// A header's value, unfolded. If there are several, the first one.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.values(name).into_iter().next()
    }

    /// The values of a header, unfolded, in order.
    fn values(&self, name: &str) -> Vec<String> {
        let mut values: Vec<String> = Vec::new();
        let mut inside = false;
        for line in self.headers.lines() {
            if line.starts_with([' ', '\t']) {
                if let Some(value) = values.last_mut().filter(|_| inside) {
                    value.push(' ');
                    value.push_str(line.trim());
                }
                continue;
            }
            let header = line.split_once(':').filter(|(found, _)| found.trim().eq_ignore_ascii_case(name));
            inside = header.is_some();
            values.extend(header.map(|(_, text)| text.trim().to_owned()));
        }
        values
    }

    /// The body, with its `Content-Transfer-Encoding` (RFC 2045 section 6) decoded. Two such headers are an error,
    /// because they are ambiguous.
    pub(super) fn decoded_body(&self) -> Result<Cow<'a, [u8]>, String> {
        let encodings = self.values("Content-Transfer-Encoding");
        let [encoding] = encodings.as_slice() else {
            let several = || format!("{} transfer encodings, expected one", encodings.len());
            return if encodings.is_empty() { Ok(Cow::Borrowed(self.body)) } else { Err(several()) };
        };
        match encoding.to_ascii_lowercase().as_str() {
            "7bit" | "8bit" | "binary" | "" => Ok(Cow::Borrowed(self.body)),
            "base64" => decode_base64(self.body).map(Cow::Owned),
            "quoted-printable" => decode_quoted_printable(self.body).map(Cow::Owned),
            other => {
                Err(format!("the transfer encoding {other:?}, expected base64, quoted-printable, 7bit, 8bit or binary"))
            }
        }
    }
}

/// The message without what editors and mail programs put before it: a byte order mark, white space, and the `From …`
/// line of an mbox (RFC 4155).
pub(super) fn without_preface(bytes: &[u8]) -> &[u8] {
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    match start.starts_with(b"From ").then(|| line(start)).flatten() {
        Some(from) => start[from.len()..].trim_ascii_start(),
        None => start,
    }
}

fn line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|c| *c == b'\n')?;
    Some(&bytes[..=end])
}

fn continues(line: &[u8]) -> bool {
    line.starts_with(b" ") || line.starts_with(b"\t")
}

fn begins_header(line: &[u8]) -> bool {
    // RFC 5322 section 2.2 allows all printable characters. The first one must be alphanumeric here, to tell headers
    // from JSON and HTML.
    let name = line.iter().position(|c| *c == b':').map_or(&[][..], |colon| &line[..colon]);
    name.first().is_some_and(u8::is_ascii_alphanumeric) && name.iter().all(u8::is_ascii_graphic)
}

/// `Content-Type`: the type in lower case, and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ContentType {
    pub(super) kind: String,
    parameters: Vec<(String, String)>,
}

impl ContentType {
    pub(super) fn read(value: &str) -> Self {
        let mut parts = cut_parameters(value).into_iter();
        let kind = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let parameter = |part: String| {
            let (name, value) = part.split_once('=')?;
            Some((name.trim().to_ascii_lowercase(), unquote(value.trim())))
        };
        Self { kind, parameters: parts.filter_map(parameter).collect() }
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// Splits at each `;` outside quotation marks.
fn cut_parameters(value: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in value.chars() {
        if c == ';' && !quoted {
            parts.push(String::new());
            continue;
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && !escaped;
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) else { return value.to_owned() };
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        text.push(if c == '\\' { characters.next().unwrap_or(c) } else { c });
    }
    text
}

/// The parts of a multipart body (RFC 2046 section 5.1.1). Each is the exact bytes between two delimiter lines, without
/// the line break before the second delimiter, which belongs to the delimiter.
pub(super) fn parts<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<&'a [u8]>, String> {
    let delimiter = [b"--", boundary.as_bytes()].concat();
    if boundary.is_empty() || boundary.len() > 200 {
        return Err("no boundary of 1 to 200 characters".to_owned());
    }
    let mut parts = Vec::new();
    let mut open: Option<usize> = None;
    let mut position = 0;
    while position < body.len() {
        let length = line(&body[position..]).map_or(body.len() - position, <[u8]>::len);
        let text = body[position..position + length].trim_ascii_end();
        if let Some(rest) = text.strip_prefix(delimiter.as_slice())
            && (rest.is_empty() || rest == b"--")
        {
            if let Some(start) = open {
                parts.push(without_line_break(&body[start..position]));
            }
            if rest == b"--" {
                return Ok(parts);
            }
            open = Some(position + length);
        }
        position += length;
    }
    Err("the closing boundary is missing: the message is cut off".to_owned())
}

fn without_line_break(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}

/// Decodes Base64 (RFC 2045 section 6.8). Line breaks and spaces are ignored, and padding may be missing.
pub(super) fn decode_base64(text: &[u8]) -> Result<Vec<u8>, String> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let digits: Vec<u8> = text.iter().copied().filter(|c| !c.is_ascii_whitespace()).collect();
    GeneralPurpose::new(&alphabet::STANDARD, LENIENT)
        .decode(digits)
        .map_err(|error| format!("base64 that cannot be read: {error}"))
}

/// Decodes quoted-printable (RFC 2045 section 6.7). `=XX` is an octet, `=` at the end of a line joins the next line,
/// and white space at the end of a line is ignored.
fn decode_quoted_printable(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|c| *c == b'\n') {
        let content = line.trim_ascii_end();
        let (content, joined) = content.strip_suffix(b"=").map_or((content, false), |content| (content, true));
        let mut rest = content;
        while let Some((first, tail)) = rest.split_first() {
            let octet =
                (*first == b'=').then(|| tail.get(..2).and_then(|digits| HEXLOWER_PERMISSIVE.decode(digits).ok()));
            match octet {
                None => {
                    bytes.push(*first);
                    rest = tail;
                }
                Some(Some(octet)) => {
                    bytes.extend(octet);
                    rest = &tail[2..];
                }
                Some(None) => return Err("quoted-printable that cannot be read".to_owned()),
            }
        }
        if !joined && line.ends_with(b"\n") {
            bytes.push(b'\n');
        }
    }
    Ok(bytes)
}

/// Whether a line ends in LF without CR.
pub(super) fn has_bare_line_feeds(text: &[u8]) -> bool {
    (0..text.len()).any(|at| text[at] == b'\n' && (at == 0 || text[at - 1] != b'\r'))
}

/// The text with CRLF line ends. RFC 8551 section 3.1.1 signs this form.
pub(super) fn with_crlf(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() + text.len() / 16);
    crlf_pieces(text).for_each(|piece| bytes.extend_from_slice(piece));
    bytes
}

/// The pieces that make up the text with CRLF line ends, without a copy of the whole.
pub(super) fn crlf_pieces(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').flat_map(|line| match line.strip_suffix(b"\n") {
        Some(bare) if !bare.ends_with(b"\r") => [bare, b"\r\n"],
        Some(_) | None => [line, b""],
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn headers_are_unfolded_and_parameters_unquoted() {
        let bytes = b"MIME-Version: 1.0\r\ncontent-type: Multipart/Signed; protocol=\"a;b\";\r\n boundary=\"x \\\"y\"\r\n\r\nbody";
        let entity = Entity::read(bytes).unwrap();
        let kind = ContentType::read(&entity.header("Content-Type").unwrap());
        assert_eq!(kind.kind, "multipart/signed");
        assert_eq!((kind.parameter("protocol"), kind.parameter("boundary")), (Some("a;b"), Some("x \"y")));
        assert_eq!(entity.body, b"body");
    }

    #[test]
    fn what_does_not_begin_with_headers_is_no_entity() {
        for bytes in [&b""[..], b"{\"a\": 1}\n\n", b"\n\nbody", b"<html>\n\n", b"A: b\nno header\n\n", b"A: b\n"] {
            assert!(Entity::read(bytes).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn what_stands_before_a_message_is_passed_over() {
        for bytes in [
            &b"A: b\n\n"[..],
            b"\xef\xbb\xbfA: b\n\n",
            b"\nFrom a@b Sun\r\nA: b\n\n",
            b"\xef\xbb\xbfFrom x\n\nA: b\n\n",
        ] {
            assert_eq!(without_preface(bytes), b"A: b\n\n", "{bytes:?}");
        }
        for bytes in [&b"From: b\n\n"[..], b"From x", b""] {
            assert_eq!(without_preface(bytes), bytes);
        }
    }

    #[test]
    fn transfer_encodings_are_undone() {
        let body = |encoding: &str, body: &str| {
            let bytes = format!("Content-Transfer-Encoding: {encoding}\n\n{body}");
            Entity::read(bytes.as_bytes()).unwrap().decoded_body().map(Cow::into_owned)
        };
        assert_eq!(body("Quoted-Printable", "a=3D=\r\nb=c3=B6 \t\r\nc").unwrap(), "a=b\u{f6}\nc".as_bytes());
        assert_eq!(body("BASE64", "e3\r\n0=").unwrap(), b"{}");
        assert_eq!(body("8bit", "a=3D").unwrap(), b"a=3D");
        for (encoding, text) in [("quoted-printable", "=3"), ("quoted-printable", "=GG"), ("x", ""), ("base64", "=")] {
            assert!(body(encoding, text).is_err(), "{encoding} {text}");
        }
        assert!(body("7bit\nContent-transfer-encoding: base64", "e30=").unwrap_err().contains("2 transfer encodings"));
    }

    #[test]
    fn the_line_break_before_a_delimiter_is_no_part_of_the_text() {
        let body = b"preamble\n--b\none\n\n--b \r\nt--bwo\r\n--bx\r\n--b--\nepilogue --b";
        assert_eq!(parts(body, "b").unwrap(), [&b"one\n"[..], b"t--bwo\r\n--bx"]);
        assert!(parts(b"--b\none\n--b\ntwo", "b").is_err());
        assert!(parts(b"--\n--", "").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop::sample::select(b"-b:\r\n ;=\"A".to_vec()), 0..60)) {
            let _ = parts(&bytes, "b");
            if let Some(entity) = Entity::read(&bytes) {
                let _ = entity.header("A").map(|value| ContentType::read(&value));
                let _ = entity.decoded_body();
            }
            let _ = (without_preface(&bytes), decode_quoted_printable(&bytes));
            let crlf = with_crlf(&bytes);
            prop_assert!(!has_bare_line_feeds(&crlf));
            prop_assert_eq!(with_crlf(&crlf), crlf);
        }
    }
}
