//! The lines of a file of checksums. Pure.
//!
//! | form | line |
//! |---|---|
//! | GNU coreutils | `HEX  NAME`, `HEX *NAME`, and `\HEX  NAME` with `\\`, `\n` and `\r` in the name |
//! | BSD, `--tag` | `SHA256 (NAME) = HEX` |
//! | OpenSSL | `SHA256(NAME)= HEX`, `SHA2-256(NAME)= HEX` |
//! | Fedora | `# NAME: SIZE bytes`, which is the size of a file |

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::super::json::describe_text;
use super::super::{ListError, Sha512Digest};
use crate::digest::Sha256Digest;

/// The most lines of a file. The largest known ones have some hundred.
const MOST_LINES: usize = 10_000;
/// The longest line, in bytes.
const LONGEST_LINE: usize = 4096;

/// The files that a file of checksums has, by name.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Sums {
    files: BTreeMap<String, Sum>,
}

/// The digests and the size of one file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Sum {
    pub(super) sha512: Option<Sha512Digest>,
    pub(super) sha256: Option<Sha256Digest>,
    pub(super) size: Option<u64>,
    /// A digest that is not used: its algorithm.
    pub(super) other: Option<&'static str>,
    /// Whether two lines differ in a digest or a size.
    pub(super) contradicts: bool,
}

/// The content of one line.
#[derive(Debug, PartialEq)]
enum Line<'a> {
    Digest {
        name: Cow<'a, str>,
        digest: Digest,
    },
    Size {
        name: &'a str,
        size: u64,
    },
    /// A comment or an empty line.
    Nothing,
    NotUnderstood,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Digest {
    Sha512(Sha512Digest),
    Sha256(Sha256Digest),
    Other(&'static str),
}

impl Sums {
    /// Reads the signed text. Lines that are not understood are ignored if there is any digest that can be used.
    pub(super) fn read(text: &[u8]) -> Result<Self, ListError> {
        let mut sums = Self::default();
        let mut strange = None;
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let path = || format!("line {}", index + 1);
            if index >= MOST_LINES {
                return Err(error(path(), format!("expected at most {MOST_LINES} lines, found more")));
            }
            if line.len() > LONGEST_LINE {
                let found = line.len();
                return Err(error(path(), format!("expected at most {LONGEST_LINE} bytes, found {found}")));
            }
            match Line::read(line) {
                Line::Digest { name, digest } => sums.file(&name).add(digest),
                Line::Size { name, size } => sums.file(name).set_size(size),
                Line::Nothing => {}
                Line::NotUnderstood => strange = strange.or_else(|| Some((path(), line))),
            }
        }
        match sums.usable() {
            Ok(()) => Ok(sums),
            Err(found) => Err(match (found, strange) {
                (Some(other), _) => error("checksums".to_owned(), expected(&format!("{other} only"))),
                (None, Some((path, line))) => error(path, expected(&describe_text(&String::from_utf8_lossy(line)))),
                (None, None) => error("checksums".to_owned(), expected("none")),
            }),
        }
    }

    /// The names of the files and their digests.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &Sum)> {
        self.files.iter().map(|(name, sum)| (name.as_str(), sum)).filter(|(_, sum)| sum.has_digest())
    }

    fn file(&mut self, name: &str) -> &mut Sum {
        // GNU coreutils write the name as it was given: `sha256sum ./*` has `./` before each.
        self.files.entry(name.strip_prefix("./").unwrap_or(name).to_owned()).or_default()
    }

    /// The error is the unusable algorithm, if there is a digest at all.
    fn usable(&self) -> Result<(), Option<&'static str>> {
        if self.files.values().any(|sum| sum.sha512.is_some() || sum.sha256.is_some()) {
            return Ok(());
        }
        Err(self.files.values().find_map(|sum| sum.other))
    }
}

impl Sum {
    fn has_digest(&self) -> bool {
        self.sha512.is_some() || self.sha256.is_some() || self.other.is_some()
    }

    fn add(&mut self, digest: Digest) {
        match digest {
            Digest::Sha512(digest) => {
                self.contradicts |= self.sha512.replace(digest).is_some_and(|before| before != digest);
            }
            Digest::Sha256(digest) => {
                self.contradicts |= self.sha256.replace(digest).is_some_and(|before| before != digest);
            }
            Digest::Other(algorithm) => self.other = Some(algorithm),
        }
    }

    fn set_size(&mut self, size: u64) {
        self.contradicts |= self.size.replace(size).is_some_and(|before| before != size);
    }
}

impl<'a> Line<'a> {
    fn read(line: &'a [u8]) -> Self {
        let Ok(line) = std::str::from_utf8(line) else { return Self::NotUnderstood };
        let line = line.trim_end_matches(['\r', ' ', '\t']);
        if line.is_empty() {
            return Self::Nothing;
        }
        if let Some(comment) = line.strip_prefix('#') {
            return Self::size(comment).unwrap_or(Self::Nothing);
        }
        let (line, escaped) = line.strip_prefix('\\').map_or((line, false), |line| (line, true));
        let Some((name, digest)) = Self::gnu(line).or_else(|| Self::tagged(line)) else {
            return Self::NotUnderstood;
        };
        let name = if escaped { unescape(name).map(Cow::Owned) } else { Some(Cow::Borrowed(name)) };
        name.map_or(Self::NotUnderstood, |name| Self::Digest { name, digest })
    }

    /// `HEX  NAME` or `HEX *NAME`: the algorithm follows from the length.
    fn gnu(line: &'a str) -> Option<(&'a str, Digest)> {
        let (digits, name) = line.split_once(' ')?;
        let name = name.strip_prefix([' ', '*']).filter(|name| !name.is_empty())?;
        let algorithm = match digits.len() {
            32 => "MD5",
            40 => "SHA-1",
            56 => "SHA-224",
            64 => "SHA256",
            96 => "SHA-384",
            128 => "SHA512",
            _ => return None,
        };
        Some((name, digest(algorithm, digits)?))
    }

    /// `SHA256 (NAME) = HEX` or `SHA256(NAME)= HEX`. The name may have parentheses.
    fn tagged(line: &'a str) -> Option<(&'a str, Digest)> {
        let (algorithm, rest) = line.split_once('(')?;
        let (name, digits) = rest.rsplit_once(") = ").or_else(|| rest.rsplit_once(")= "))?;
        let name = Some(name).filter(|name| !name.is_empty())?;
        Some((name, digest(algorithm.trim_end_matches(' '), digits)?))
    }

    /// ` NAME: SIZE bytes`.
    fn size(comment: &'a str) -> Option<Self> {
        let (name, size) = comment.trim_start_matches(' ').strip_suffix(" bytes")?.rsplit_once(": ")?;
        let size: u64 = size.parse().ok()?;
        (!name.is_empty() && (1..=i64::MAX.unsigned_abs()).contains(&size)).then_some(Self::Size { name, size })
    }
}

/// The digest of a line. `None` if its digits do not fit its algorithm.
fn digest(algorithm: &str, digits: &str) -> Option<Digest> {
    let other = |name, length: usize| {
        let fits = digits.len() == length && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        fits.then_some(Digest::Other(name))
    };
    match algorithm {
        "SHA512" | "SHA2-512" | "SHA-512" => digits.parse().ok().map(Digest::Sha512),
        "SHA256" | "SHA2-256" | "SHA-256" => format!("sha256:{digits}").parse().ok().map(Digest::Sha256),
        "SHA384" | "SHA2-384" | "SHA-384" => other("SHA-384", 96),
        "SHA224" | "SHA2-224" | "SHA-224" => other("SHA-224", 56),
        "SHA1" | "SHA-1" => other("SHA-1", 40),
        "MD5" => other("MD5", 32),
        _ => None,
    }
}

/// The name in a line that begins with a backslash. `None` if it has another escape.
fn unescape(name: &str) -> Option<String> {
    let mut plain = String::with_capacity(name.len());
    let mut characters = name.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => match characters.next()? {
                '\\' => '\\',
                'n' => '\n',
                'r' => '\r',
                _ => return None,
            },
            other => other,
        });
    }
    Some(plain)
}

fn expected(found: &str) -> String {
    format!("expected lines with SHA-256 or SHA-512 digests, found {found}")
}

fn error(path: String, message: String) -> ListError {
    ListError::Field { path, message }
}
