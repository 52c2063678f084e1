//! The stored form of a source that has several files: each file with its signature, byte for byte. Pure.
//!
//! It begins with a line that names the form. For each file there is a line `NAME LENGTH`, the bytes, and a line end. The
//! last line is `end`. The names and their order are fixed, so that there is only one form for the same files:
//!
//! ```text
//! vmcatcher-operator signed files 1
//! list 162
//! ….img
//! list-signature 833
//! -----BEGIN PGP SIGNATURE-----…
//! end
//! ```

/// The first line.
const FIRST: &[u8] = b"vmcatcher-operator signed files 1\n";
/// The last line.
const LAST: &[u8] = b"end\n";
/// The longest line before a file, in bytes, with its line end.
const LONGEST_LINE: usize = 64;

/// A file and its detached signature. Without a signature the file itself must be clear-signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedFile<'m> {
    /// The bytes of the file.
    pub text: &'m [u8],
    /// The bytes of its detached signature.
    pub signature: Option<&'m [u8]>,
}

/// Bytes that are not in this form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub struct SignedFilesError {
    expected: String,
    found: &'static str,
}

/// Whether a stored message is in this form.
pub(crate) fn is_signed_files(message: &[u8]) -> bool {
    message.starts_with(FIRST)
}

/// Writes the files, each with its name.
pub fn write(files: &[(&str, SignedFile<'_>)]) -> Vec<u8> {
    let mut message = FIRST.to_vec();
    for (name, file) in files {
        put(&mut message, name, file.text);
        if let Some(signature) = file.signature {
            put(&mut message, &format!("{name}-signature"), signature);
        }
    }
    message.extend_from_slice(LAST);
    message
}

fn put(message: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    message.extend_from_slice(format!("{name} {}\n", bytes.len()).as_bytes());
    message.extend_from_slice(bytes);
    message.push(b'\n');
}

/// Reads exactly the files with these names, in this order.
pub(crate) fn read<'m, const N: usize>(
    message: &'m [u8],
    names: [&str; N],
) -> Result<[SignedFile<'m>; N], SignedFilesError> {
    let mut rest = message.strip_prefix(FIRST).ok_or_else(|| error("the files of the source", "other bytes"))?;
    let mut files = [SignedFile { text: &[], signature: None }; N];
    for (file, name) in files.iter_mut().zip(names) {
        (file.text, rest) = take(rest, name)?.ok_or_else(|| error(name, "another file, or none"))?;
        if let Some((signature, after)) = take(rest, &format!("{name}-signature"))? {
            (file.signature, rest) = (Some(signature), after);
        }
    }
    if rest == LAST { Ok(files) } else { Err(error("the end", "more bytes")) }
}

/// The bytes of a file, and what follows it.
type Taken<'m> = (&'m [u8], &'m [u8]);

/// The next file, if it has this name.
fn take<'m>(rest: &'m [u8], name: &str) -> Result<Option<Taken<'m>>, SignedFilesError> {
    let line = rest.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n').map(|end| rest.split_at(end));
    let Some((line, after)) = line else { return Ok(None) };
    let Some(digits) = line.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b" ")) else {
        return Ok(None);
    };
    let length = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<usize>().ok());
    // A number has only one spelling.
    let length = length.filter(|length| length.to_string().as_bytes() == digits);
    let length = length.ok_or_else(|| error(name, "no length"))?;
    let (bytes, after) = after[1..].split_at_checked(length).ok_or_else(|| error(name, "fewer bytes"))?;
    let after = after.strip_prefix(b"\n").ok_or_else(|| error(name, "more bytes"))?;
    Ok(Some((bytes, after)))
}

fn error(expected: &str, found: &'static str) -> SignedFilesError {
    SignedFilesError { expected: expected.to_owned(), found }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_bytes_are_refused() {
        let good = write(&[("list", SignedFile { text: b"a", signature: Some(b"s") })]);
        assert!(read(&good, ["list"]).is_ok());
        let text = String::from_utf8(good.clone()).unwrap();
        let bad = [
            String::new(),
            text.replace("files 1", "files 2"),
            text.replace("list 1", "list 01"),
            text.replace("list 1", "list +1"),
            text.replace("list 1", "list 2"),
            text.replace("list 1", "list 0"),
            text.replace("list 1", "list 18446744073709551615"),
            text.replace("list 1", "other 1"),
            text.replace("list-signature", "signature"),
            text.replace("end\n", "end"),
            format!("{text}\n"),
        ];
        for text in bad {
            assert!(read(text.as_bytes(), ["list"]).is_err(), "{text}");
        }
        assert!(read(&good, ["list", "other"]).is_err());
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            one in prop::collection::vec(any::<u8>(), 0..40),
            other in prop::collection::vec(any::<u8>(), 0..40),
            signature in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
        ) {
            let one = SignedFile { text: &one, signature: signature.as_deref() };
            let other = SignedFile { text: &other, signature: None };
            let message = write(&[("one", one), ("other", other)]);
            prop_assert_eq!(read(&message, ["one", "other"]), Ok([one, other]));
            for end in 0..message.len() {
                prop_assert!(read(&message[..end], ["one", "other"]).is_err());
            }
        }
    }
}
