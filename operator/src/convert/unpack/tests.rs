use proptest::prelude::*;

use super::archive::{Pax, choose, number};
use super::*;

/// Goes on for ever.
struct Always;

impl Meter for Always {
    fn check(&self, _: u64) -> Result<(), ConvertError> {
        Ok(())
    }

    fn tell(&self, _: Part, _: u64, _: u64) {}
}

fn member(name: &str, kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
    header[156] = kind;
    header[148..156].fill(b' ');
    header[257..263].copy_from_slice(b"ustar\0");
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header.extend(bytes);
    header.resize(header.len().next_multiple_of(512), 0);
    header
}

/// What an archive of these bytes is taken for.
fn chosen(bytes: &[u8]) -> Result<String, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let package = Package { path: file.path(), format: Format::Tar, limit: 1 << 30, meter: &Always };
    let archive = Archive::new(Stream::open(&package).unwrap(), Format::Tar);
    choose(archive).map(|choice| choice.member).map_err(|error| error.to_string())
}

#[test]
fn numbers_are_octal_or_of_base_256() {
    let cases: [(&[u8], Option<u64>); 7] = [
        (b"00000000017\0", Some(15)),
        (b"        17 \0", Some(15)),
        (b"\0\0\0\0\0\0\0\0\0\0\0\0", Some(0)),
        (b"\x80\0\0\0\0\0\0\x01\0\0\0\0", Some(1 << 32)),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        (b"-0000000017\0", None),
        (b"00000000018\0", None),
    ];
    for (field, expected) in cases {
        assert_eq!(number(field), expected, "{field:?}");
    }
}

#[test]
fn long_names_are_read_in_both_ways() {
    let long = "d/".repeat(100) + "disk.raw";
    let gnu = [member("././@LongLink", b'L', format!("{long}\0").as_bytes()), member("d", b'0', b"x")].concat();
    assert_eq!(chosen(&gnu), Ok(long.clone()));
    let record = format!(" path={long}\n");
    let pax = format!("{}{record}", record.len() + 3);
    assert_eq!(chosen(&[member("x", b'x', pax.as_bytes()), member("d", b'0', b"x")].concat()), Ok(long));
    // The name is the next file's, not a directory's before it.
    let between = [member("x", b'x', b"10 path=a\n"), member("d", b'5', b""), member("b", b'0', b"x")].concat();
    assert_eq!(chosen(&between).as_deref(), Ok("b"));
}

#[test]
fn records_of_pax_are_checked() {
    let cases = [
        ("11 path=ab\n", Ok((Some("ab"), None))),
        ("11 path=ab\n10 size=9\n", Ok((Some("ab"), Some(9)))),
        ("9 mtime=\n", Ok((None, None))),
        ("0 path=a\n", Err("a pax record")),
        ("999 path=a\n", Err("a pax record")),
        ("path=a\n", Err("a pax record")),
        ("3 \u{e9}", Err("a pax record")),
        ("11 size=-1\n", Err("a size in a pax record")),
        ("22 GNU.sparse.major=1\n", Err("no sparse file")),
    ];
    for (text, expected) in cases {
        let mut pax = Pax::default();
        let taken = pax.take(text).map(|()| (pax.name.as_deref(), pax.size));
        match (taken, expected) {
            (Ok(taken), Ok(expected)) => assert_eq!(taken, expected, "{text:?}"),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{text:?}: {error}"),
            (taken, expected) => panic!("{text:?}: {taken:?}, expected {expected:?}"),
        }
    }
}

proptest! {
    #[test]
    fn no_archive_makes_it_panic(
        changes in prop::collection::vec((0..2560_usize, any::<u8>()), 0..8),
        cut in 0..2560_usize,
    ) {
        let mut bytes = [member("x", b'x', b"10 path=a\n"), member("b", b'0', &[1; 600])].concat();
        for (offset, value) in changes {
            bytes[offset] = value;
        }
        bytes.truncate(cut);
        let _taken = chosen(&bytes);
    }

    #[test]
    fn no_description_makes_it_panic(text in "(<(Envelope|References|File|Disk|DiskSection|VirtualSystem)( (id|href|fileRef)='[a-c./]{0,3}')?/?>|</[A-Za-z]{0,9}>|[a-c<>&;]){0,30}") {
        let _taken = ovf::choose(&text);
    }
}
